"""The `.orch` program of the APIs: one worker each, its inputs typed as the API's schema says.

Outputs are typed by external JSON Schemas inferred from the record. Three files are written:
`travel.orch`, `answers.schema.json`, and `recorded.py` with one function for each worker.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Set
from pathlib import Path

from bench.complexfunc.data import Api, Goal, Parameter
from bench.complexfunc.shapes import Shape

#: A parameter of an API: (name of the API, name of the parameter).
Place = tuple[str, str]

_TYPES = {
    "string": "string",
    "number": "float",
    "integer": "int",
    "boolean": "bool",
    "array": "json[]",
    "object": "json",
}

HEAD = """\
orch 1

/// How many rounds a goal may take.
param rounds: int = 2
/// How many calls a round may make.
param width: int = 1

model record { id = "scripted/none.json" }
"""

TAIL = """\

orchestrator travel(request: string) -> { calls: int } {
  model   = record
  goal    = "{{ request }}"
  workers = [
    WORKERS
  ]
  policy  {
    max_rounds     = param.rounds
    max_per_round  = param.width
    max_parallel   = 16
    ITEMS
    context { preview = 512B }
  }
}
"""


def worker_name(api: str) -> str:
    """The API's name as an identifier: `Get_Hotel_Reviews(Tips)` is `Get_Hotel_Reviews_Tips`."""
    return re.sub(r"\W+", "_", api).strip("_")


def write(
    folder: Path,
    apis: list[Api],
    goals: list[Goal],
    *,
    widened: Set[Place] = frozenset(),
    steps: bool = False,
) -> Path:
    """Write the program of these APIs.

    Args:
        goals: Whose recorded answers the output types are inferred from.
        widened: Parameters that take anything, whether the API names them or not.
        steps: Whether a decision may have steps.
    """
    folder.mkdir(parents=True, exist_ok=True)
    shapes: dict[str, Shape] = {api.name: Shape() for api in apis}
    for goal in goals:
        for call in goal.output:
            shapes[call.name].add(call.response)
    answers = {"$defs": {worker_name(name): shape.schema() for name, shape in shapes.items()}}
    (folder / "answers.schema.json").write_text(json.dumps(answers))
    (folder / "recorded.py").write_text(functions(apis))
    path = folder / "travel.orch"
    path.write_text(text(apis, widened, steps=steps))
    return path


def text(apis: list[Api], widened: Set[Place] = frozenset(), *, steps: bool = False) -> str:
    names = [worker_name(api.name) for api in apis]
    parts = [HEAD]
    parts += [f'schema {name}_answer from "answers.schema.json#/$defs/{name}"\n' for name in names]
    parts += [_worker(api, {p for a, p in widened if a == api.name}) for api in apis]
    items = "max_items      = 100\n" if steps else ""
    tail = TAIL.replace("    ITEMS\n", f"    {items}" if items else "")
    parts.append(tail.replace("WORKERS", ",\n    ".join(names)))
    return "".join(parts)


def _worker(api: Api, widened: Set[str]) -> str:
    name = worker_name(api.name)
    extra = {p: Parameter("json") for p in sorted(widened - set(api.query_parameters))}
    inputs = "".join(_input(p, api, widened) for p in ({**api.query_parameters, **extra}).items())
    return (
        f"\n{_doc(api.description, '')}worker {name}(\n{inputs}) -> {name}_answer via python {{\n"
        f'  call   = "recorded:{name}"\n  effect = read\n  trust  = untrusted\n}}\n'
    )


def _input(item: tuple[str, Parameter], api: Api, widened: Set[str]) -> str:
    name, parameter = item
    if name in widened:
        kind = "json"
    elif parameter.enum:
        kind = " | ".join(json.dumps(value) for value in parameter.enum)
    else:
        kind = _TYPES[parameter.type]
    if not parameter.required:
        kind = f"({kind})?" if " | " in kind else f"{kind}?"
    return f"{_doc(parameter.description, '  ')}  {name}: {kind},\n"


def _doc(words: str, indent: str) -> str:
    words = " ".join(words.split())
    return f"{indent}/// {words}\n" if words else ""


def functions(apis: Iterable[Api]) -> str:
    lines = ["from bench.complexfunc.replay import answer\n"]
    for api in apis:
        name = worker_name(api.name)
        lines.append(f"\n\nasync def {name}(**inputs):\n    return answer({api.name!r}, inputs)\n")
    return "".join(lines)


def names(apis: Iterable[Api]) -> Mapping[str, str]:
    """The APIs' names by those of their workers."""
    return {worker_name(api.name): api.name for api in apis}
