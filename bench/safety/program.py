"""The `.orch` program of a suite: written from the signatures of its tools and its declarations.

`python -m bench.safety.program SUITE` prints one. Those of the suites that are measured are kept
next to this file, read and completed by hand (`workspace.orch`, `banking.orch`).
"""

from __future__ import annotations

import json
import re
import sys
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bench.safety.declared import SUITES, Suite
from bench.safety.signatures import Schemas

READERS = Path(__file__).with_name("readers.orch")
_EMPTY: dict[str, str] = {}


def write(name: str, tools: Mapping[str, Any]) -> str:
    """The text of a program for a suite."""
    suite = SUITES[name]
    schemas = Schemas(suite.untrusted, suite.types)
    workers = [_worker(tool, suite, schemas) for tool in tools.values()]
    parts = [
        f"orch 1\n\n// The assistant of the suite {name}.\n",
        schemas.text,
        *workers,
        suite.extra,
        READERS.read_text().partition("orch 1\n")[2],
        _orchestrator(suite, list(tools)),
    ]
    return "\n".join(part for part in parts if part)


def _worker(tool: Any, suite: Suite, schemas: Schemas) -> str:
    sources = suite.sources.get(tool.name, _EMPTY)
    inputs = [
        f"{name}: {schemas.type_of(of.annotation)}{_source(sources.get(name))}{_default(of)}"
        for name, of in tool.parameters.model_fields.items()
    ]
    foreign = tool.name in suite.strangers
    given = typing.get_origin(tool.return_type) is dict
    output = schemas.type_of(tool.return_type, untrusted=foreign)
    output = "string[]" if tool.name in suite.lists else output
    output = "json" if tool.return_type is None else suite.types.get(tool.name, output)
    effect = tool.name in suite.effects
    settings = {
        "call": '"bench.safety.tools:run"',
        "args": f'{{ tool: "{tool.name}", given: {_given(tool)} }}',
        "effect": "once" if effect else "read",
        "trust": "untrusted" if foreign and not given else "",
        "show": "shape",
        "timeout": "10s",
    }
    lines = "".join(f"  {key} = {value}\n" for key, value in settings.items() if value)
    return f"worker {tool.name}({', '.join(inputs)}) -> {output} via python {{\n{lines}}}\n"


def _given(tool: Any) -> str:
    names = ", ".join(f"{name}: {name}" for name in tool.parameters.model_fields)
    return f"{{ {names} }}" if names else "{}"


def _source(allowed: str | None) -> str:
    return f" @from({allowed})" if allowed else ""


def _default(of: Any) -> str:
    if of.is_required() or of.default is None:
        return ""
    return f" = {json.dumps(of.default)}"


def _orchestrator(suite: Suite, tools: list[str]) -> str:
    readers = re.findall(r"^worker (\w+)", READERS.read_text(), re.MULTILINE)
    names = [*tools, *suite.helpers, *readers]
    usual = [name for name in suite.effects if name not in suite.strict]
    usual += [name for name in suite.sources if name not in suite.effects]
    hooks = [f"    before_dispatch {', '.join(usual)} {{{_USUAL}}}\n"]
    hooks += [
        f"    before_dispatch {name} {{ with = settles_{name}{_STRICT}}}\n" for name in suite.strict
    ]
    rules = [_rule(name, suite) for name in suite.strict]
    tail = _TAIL.replace("WORKERS", ",\n    ".join(names)).replace("HOOKS", "".join(hooks))
    return "\n".join([*rules, tail])


def _rule(tool: str, suite: Suite) -> str:
    """The verifier of a tool whose target has to be what a tool gave, handed on as it is."""
    target = suite.strict[tool]
    name = target.removesuffix("?")
    allowed = re.findall(r"[\w.]+", suite.sources[tool][name])
    tools = list(dict.fromkeys(one.partition(".")[0] for one in allowed if one != "request"))
    inputs, named = f"{name}: string, task: json", ""
    if target != name:
        inputs, named = f"{inputs}, goal: string", f"{name} in goal or "
    return _RULE.format(tool=tool, name=name, inputs=inputs, named=named, tools=json.dumps(tools))


_USUAL = " with = approval  when = tainted  on_fail = deny "
_STRICT = "  else = approval  on_fail = deny "

_RULE = """\
/// The target is a value of a tool, handed on as it is.
verifier settles_{tool}({inputs}) via rules {{
  assert {named}task.sources | selectattr("path", "equalto", "/{name}")
    | selectattr("worker", "in", {tools}) | list | length > 0
    else "refer to what a tool gave"
}}
"""

_TAIL = """
verifier approval(input: json, task: json) via human {
  message    = "May this be done?"
  timeout    = 1h
  on_timeout = abort
}

orchestrator assistant(request: string) -> string {
  model   = planner
  goal    = "{{ request }}"
  workers = [
    WORKERS,
  ]
  policy {
    max_rounds    = 30
    max_per_round = 100
    max_items     = 200
    context { show = shape }
  }
  verify {
HOOKS    after_dispatch reveal { with = approval  on_fail = abort }
    after_dispatch read_emails { with = approval  on_fail = abort  endorse = [values] }
  }
}
"""


if __name__ == "__main__":
    from bench.safety.package import Package  # what imports this file may have no such package

    which = sys.argv[1]
    print(write(which, Package(which).tools), end="")
