"""The table of settings: complete, consistent, and read the same from a literal or a param."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from engine.diagnostics import RULES, Diagnostic
from engine.sema.check import check_file
from engine.sema.kinds import bodies
from engine.sema.model import Program
from engine.sema.names.loader import MemoryReader
from engine.sema.settings.values import BlockValue, Choice, Names, block_of

KINDS = bodies()


def errors(text: str) -> list[Diagnostic]:
    reader = MemoryReader({"s.orch": "orch 1\n" + text}, "/base")
    result = check_file("/base/s.orch", reader=reader, env={})
    return [item for item in result.diagnostics if item.severity == "error"]


def model(setting: str, before: str = "") -> list[Diagnostic]:
    return errors(f'{before}\nmodel m {{ id = "openai/x"  {setting} }}\n')


def test_blocks_lead_to_kinds_that_exist() -> None:
    nested = {
        block_of(row.value)
        for kind in KINDS.values()
        for row in kind.rows
        if block_of(row.value) is not None
    }
    declared = {name for name in KINDS if name.endswith((" worker", " verifier", " server"))}
    assert nested | declared | {"model", "orchestrator", "test"} == set(KINDS)


def test_rows_are_unique_and_documented() -> None:
    for kind in KINDS.values():
        names = [row.name for row in kind.rows]
        assert len(names) == len(set(names)), kind.name
        for row in kind.rows:
            assert row.doc.endswith("."), (kind.name, row.name)
            assert row.missing in RULES
            if isinstance(row.value, Choice) and row.default is not None:
                assert row.default in row.value.options
            if isinstance(row.value, Names):
                assert row.value.kinds


@pytest.mark.parametrize(
    "setting",
    [
        "timeout = 1h30m",
        "max_tokens = 200k",
        "temperature = 1",
        "temperature = 0.5",
        "price { input = $0.25  output = $2 }",
        "price { input = $0.00  output = $0.00 }",
        "structured = prompt",
        'structured = "prompt"',
        "retry { max = 0 }",
        "retry { max = 2  on = []  backoff = 10ms }",
        "extra = { metadata: { user: 1 } }",
        "frequency_penalty = -0.5",
        'stop = ["END"]',
    ],
)
def test_what_is_legal(setting: str) -> None:
    assert model(setting) == []


@pytest.mark.parametrize(
    ("setting", "code", "message", "better"),
    [
        ("timeout = 30", "ORC203", "`timeout = 30` has no unit", "30s"),
        ('timeout = "30s"', "ORC202", "`timeout` needs a duration, got a string", "30s"),
        ("timeout = 0s", "ORC202", "`timeout` must be at least 1ms, got 0s", None),
        ("timeout = 20KiB", "ORC202", "`timeout` needs a duration, got a size", None),
        ("max_tokens = 0", "ORC202", "`max_tokens` must be at least 1, got 0", None),
        ("max_tokens = -5", "ORC202", "`max_tokens` must be at least 1, got -5", None),
        ("max_tokens = 2.5", "ORC202", "`max_tokens` needs an int, got a float", None),
        ("max_tokens = 30s", "ORC202", "`max_tokens` needs an int, got a duration", None),
        ("max_tokens = true", "ORC202", "`max_tokens` needs an int, got a bool", None),
        ("max_tokens = null", "ORC202", "`max_tokens` needs an int, got null", None),
        ("temperature = 2.5", "ORC202", "`temperature` must be at most 2, got 2.5", None),
        ("structured = natve", "ORC202", "`structured` cannot be `natve`", "native"),
        ("price { input = 3 output = $1 }", "ORC203", "`input = 3` has no unit", "$3"),
        ("fallback = m", "ORC202", "`fallback` needs a list of models", "[m]"),
        ("stop = 3", "ORC202", "`stop` needs a list of strings, got an int", "[3]"),
        ("extra = 3", "ORC202", "`extra` needs a map", None),
        ("temprature = 0", "ORC103", "models have no setting `temprature`", "temperature"),
        ("timeout { }", "ORC202", "`timeout` is a setting, not a block", None),
        ("retry = 3", "ORC202", "`retry` is a block, not a setting", None),
        ("retry { }", "ORC403", "`retry` needs `max`", " max = 2 "),
        ("retry { max = 1  on = [timeot] }", "ORC101", "failure mode `timeot`", "timeout"),
        ("rpm = 1 + 1", "ORC406", "`rpm` must be a constant", None),
        ("rpm = limit", "ORC406", "`rpm` must be a constant", "param.limit"),
        ("rpm = param.limt", "ORC101", "unknown param `limt`", "limit"),
        ("404 = x", "ORC103", "models have no numbered settings", None),
        ("assert true", "ORC103", "models take no `assert`", None),
    ],
)
def test_what_is_not(setting: str, code: str, message: str, better: str | None) -> None:
    (item,) = model(setting, "param limit: int = 3")
    assert item.code == code
    assert message in item.message
    assert (item.fix.edits[0].text if item.fix else None) == better


@pytest.mark.parametrize(
    ("type_", "default", "setting", "fits"),
    [
        ("duration", "30s", "timeout", True),
        ("duration", '"PT30S"', "timeout", True),
        ("string", '"soon"', "timeout", False),
        ("int", "3", "max_tokens", True),
        ("int", "0", "max_tokens", False),
        ("float", "0.5", "temperature", True),
        ("float", "2.5", "max_tokens", False),
        ('"auto" | "prompt"', '"prompt"', "structured", True),
        ("string", '"other"', "structured", False),
        ("string", '"2024-01-01"', "api_version", True),
    ],
)
def test_params_are_read_like_literals(type_: str, default: str, setting: str, fits: bool) -> None:
    found = model(f"{setting} = param.p", f"param p: {type_} = {default}")
    assert [item.code for item in found] == ([] if fits else ["ORC202"])


def test_both_branches_of_a_choice_are_checked() -> None:
    (item,) = model("timeout = 30s if param.fast else 60", "param fast: bool = true")
    assert (item.code, item.span.text) == ("ORC203", "60")


def test_a_setting_of_another_body_says_where_it_belongs() -> None:
    (item,) = errors(
        'model m { id = "openai/x" }\n'
        'worker w(q: string) -> string via llm { model = m  prompt = "{{ q }}" }\n'
        'orchestrator o(t: string) -> string { model = m  goal = "{{ t }}"  workers = [w]\n'
        "  max_rounds = 3  policy { max_rounds = 3 } }\n"
    )
    assert item.help == "`max_rounds` belongs in `policy { ... }`"


@pytest.mark.parametrize(
    ("word", "near", "safety"),
    [("none", "once", "unsafe"), ("wirte", "write", "safe"), ("writ", "write", "safe")],
)
def test_an_effect_is_only_guessed_safely_where_the_hand_slipped(
    word: str, near: str, safety: str
) -> None:
    text = (
        f'orch 1\nworker w(q: string) -> string via http {{ url = "http://h"  effect = {word} }}\n'
    )
    found = next(item for item in errors(text) if item.code == "ORC202")
    assert found.fix is not None
    assert (found.fix.edits[0].text, found.fix.safety) == (near, safety)


_LOOP = """
model m { id = "openai/x" }
worker w(q: string) -> string via llm { model = m  prompt = "{{ q }}" }
verifier v(goal: string) via rules { assert goal }
orchestrator o(t: string) -> string { model = m  goal = "{{ t }}"  workers = [w]
  policy { max_rounds = 3 BODY } verify { HOOK } }
"""
_PLANNED = """
model m { id = "openai/x" }
worker f(q: string) -> string via llm { model = m  prompt = "{{ q }}" }
worker p(q: string[]) -> json via plan {
  max_items = 9
  step s { STEP }
  result = s
}
"""
_EACH = _PLANNED.replace("STEP", "each = q  sort_by = item  call = f(q=item) BODY")
_REPEAT = _PLANNED.replace(
    "STEP",
    "repeat { max = 2  until = r == q[0]  gives = r BODY } step r { call = f(q=q[0]) }",
)
_BEFORE = "before_dispatch w { with = v BODY }"
_RESULT = "before_finish { with = v BODY }"
_OUTPUT = "after_dispatch w { with = v BODY }"
_AFTER = "after_round { with = v BODY }"
_PLAN = "before_round { with = v BODY }"


def _worker(via: str, required: str) -> str:
    return f"worker w(q: string) -> string via {via} {{ {required} BODY }}\n"


#: A program with room for the settings of a body, and what of it the checker makes of them.
_ROOM: dict[str, tuple[str, Callable[[Program], object]]] = {
    "model": ('model m { id = "openai/x" BODY }\n', lambda it: it.models["m"]),
    "retry": (
        'model m { id = "openai/x" retry { max = 1 BODY } }\n',
        lambda it: it.models["m"].retry,
    ),
    "llm worker": (
        'model m { id = "openai/x" }\n' + _worker("llm", 'model = m  prompt = "{{ q }}"'),
        lambda it: it.workers["w"],
    ),
    "sandbox": (
        _worker("python", 'call = "inspect:getdoc"  args = { object: q }').replace(
            "BODY", "sandbox { BODY }"
        ),
        lambda it: it.workers["w"],
    ),
    "python worker": (
        _worker("python", 'call = "inspect:getdoc"  args = { object: q }'),
        lambda it: it.workers["w"],
    ),
    "command worker": (
        _worker("command", 'run = ["echo", q]  effect = read'),
        lambda it: it.workers["w"],
    ),
    "http worker": (_worker("http", 'url = "https://h"'), lambda it: it.workers["w"]),
    "mcp worker": (
        'server s via mcp { url = "https://h" }\n'
        + _worker("mcp", 'server = s  tool = "t"  effect = read'),
        lambda it: it.workers["w"],
    ),
    "llm verifier": (
        'model m { id = "openai/x" }\n'
        'verifier v(q: string) via llm { model = m  prompt = "{{ q }}" BODY }\n',
        lambda it: it.verifiers["v"],
    ),
    "orchestrator": (
        _LOOP.replace("HOOK", "").replace(
            "policy { max_rounds = 3 BODY }", "policy { max_rounds = 3 } BODY"
        ),
        lambda it: it.orchestrators["o"],
    ),
    "python verifier": (
        'verifier v(q: string) via python { call = "inspect:getdoc"  args = { object: q } BODY }\n',
        lambda it: it.verifiers["v"],
    ),
    "command verifier": (
        'verifier v(q: string) via command { run = ["echo", q] BODY }\n',
        lambda it: it.verifiers["v"],
    ),
    "human verifier": (
        'verifier v(q: string) via human { message = "{{ q }}" BODY }\n',
        lambda it: it.verifiers["v"],
    ),
    "policy": (_LOOP.replace("HOOK", ""), lambda it: it.orchestrators["o"].policy),
    "plan worker": (
        "worker p(q: string) -> string via plan { max_items = 1  result = q BODY }\n",
        lambda it: it.workers["p"],
    ),
    "step": (_EACH, lambda it: it.workers["p"].plan),
    "repeat": (_REPEAT, lambda it: it.workers["p"].plan),
    "stall": (
        _LOOP.replace("HOOK", "").replace("BODY", "stall { after = 2  action = replan BODY }"),
        lambda it: it.orchestrators["o"].policy,
    ),
    "breaker": (
        _LOOP.replace("HOOK", "").replace("BODY", "max_items = 9  breaker { BODY }"),
        lambda it: it.orchestrators["o"].policy,
    ),
    "context": (
        _LOOP.replace("HOOK", "").replace("BODY", "context { BODY }"),
        lambda it: it.orchestrators["o"].policy,
    ),
    "dispatch hook": (
        _LOOP.replace("BODY", "").replace("HOOK", _BEFORE),
        lambda it: it.orchestrators["o"].hooks,
    ),
    "output hook": (
        _LOOP.replace("BODY", "").replace("HOOK", _OUTPUT),
        lambda it: it.orchestrators["o"].hooks,
    ),
    "hook": (
        _LOOP.replace("BODY", "").replace("HOOK", _RESULT),
        lambda it: it.orchestrators["o"].hooks,
    ),
    "plan hook": (
        _LOOP.replace("BODY", "").replace("HOOK", _PLAN),
        lambda it: it.orchestrators["o"].hooks,
    ),
    "round hook": (
        _LOOP.replace("BODY", "").replace("HOOK", _AFTER),
        lambda it: it.orchestrators["o"].hooks,
    ),
}


def _made(kind: str, body: str) -> str:
    """What the checker makes of a body: everything but where it is written."""
    text, part = _ROOM[kind]
    reader = MemoryReader({"s.orch": "orch 1\n" + text.replace("BODY", body)}, "/base")
    result = check_file("/base/s.orch", reader=reader, env={})
    wrong = [item for item in result.diagnostics if item.severity == "error"]
    assert wrong == [], wrong
    return re.sub(
        r"Span\([^()]*(\([^()]*\))?[^()]*\)|then_written=\w+", "", repr(part(result.partial))
    )


@pytest.mark.parametrize("kind", _ROOM)
def test_a_default_is_what_its_text_means(kind: str) -> None:
    rows = [row for row in KINDS[kind].rows if row.default is not None]
    assert rows, f"{kind} has no default: take it out of the table"
    for row in rows:
        written = f"{row.name} = {row.default_text}"
        if isinstance(row.value, BlockValue):
            written = f"{row.name} {{ {row.default_text} }}"
        assert _made(kind, f" {written} ") == _made(kind, ""), written


def test_every_kind_with_a_default_is_tried() -> None:
    have = {n for n, kind in KINDS.items() if any(r.default is not None for r in kind.rows)}
    assert have == set(_ROOM)
