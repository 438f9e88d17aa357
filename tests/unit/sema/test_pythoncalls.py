"""Python callables are found and compared without ever being run."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.diagnostics import Diagnostic
from engine.sema.kinds.python_calls import check_call
from engine.source import SourceFile, Span

MODULE = """
raise SystemExit("never run by a check")

from functools import partial
from os.path import join as joined

def plain(a, b=1): ...
async def waits(a, *, b): ...
def anything(**kwargs): ...
def positional(a, /): ...
class Made:
    def __init__(self, a): ...
ready = partial(plain, 1)
if True:
    def inside(a): ...
@partial
def decorated(x): ...
"""


@pytest.fixture
def base(tmp_path: Path) -> Path:
    (tmp_path / "tools").mkdir()
    (tmp_path / "tools" / "work.py").write_text(MODULE)
    (tmp_path / "tools" / "__init__.py").write_text("raise SystemExit('never run')\n")
    return tmp_path


def check(base: Path, call: str, *inputs: str) -> list[Diagnostic]:
    text = f'"{call}"'
    span = Span(SourceFile("x.orch", text), 0, len(text))
    return check_call(call, str(base), span, inputs=inputs, owner="worker `w`")


@pytest.mark.parametrize(
    ("call", "inputs"),
    [
        ("tools.work:plain", ("a",)),
        ("tools.work:plain", ("a", "b")),
        ("tools.work:waits", ("a", "b")),
        ("tools.work:anything", ("x", "y")),
        ("tools.work:Made", ("z",)),
        ("tools.work:Made.method", ("z",)),
        ("tools.work:ready", ("z",)),
        ("tools.work:inside", ("a",)),
        ("tools.work:joined", ("z",)),
        ("tools.work:decorated", ("z",)),
        ("json:dumps", ("obj",)),
        ("xml.sax.saxutils:escape", ("data",)),
        ("math:sqrt", ("x",)),
    ],
)
def test_what_fits(base: Path, call: str, inputs: tuple[str, ...]) -> None:
    assert check(base, call, *inputs) == []


@pytest.mark.parametrize(
    ("call", "inputs", "code", "message", "help"),
    [
        ("tools.work:plain", (), "ORC505", "needs `a`", "add `a` to the inputs"),
        ("tools.work:plain", ("a", "c"), "ORC505", "no parameter `c`", "`a`, `b`"),
        ("tools.work:waits", ("a",), "ORC505", "needs `b`", "add `b`"),
        ("tools.work:positional", ("a",), "ORC505", "by position only", "remove the `/`"),
        ("tools.work:plian", ("a",), "ORC506", "has no function `plian`", "`plain`"),
        ("tools.wrok:plain", ("a",), "ORC506", "module `tools.wrok` not found", "`tools.work`"),
        ("nowhere_at_all.x:f", (), "ORC506", "module `nowhere_at_all.x` not found", "looked for"),
        ("json.nothing:f", (), "ORC506", "module `json.nothing` not found", "looked for"),
    ],
)
def test_what_does_not(
    base: Path, call: str, inputs: tuple[str, ...], code: str, message: str, help: str
) -> None:
    (item,) = check(base, call, *inputs)
    assert item.code == code
    assert message in item.message
    assert help in (item.help or "")


def test_the_function_is_shown_too(base: Path) -> None:
    (item,) = check(base, "tools.work:plain", "a", "c")
    (related,) = item.related
    assert related.span.text == "def plain(a, b=1): ..."


def test_broken_python_is_told(base: Path) -> None:
    (base / "bad.py").write_text("def f(:\n")
    (item,) = check(base, "bad:f")
    assert item.code == "ORC506"
    assert "`bad.py` is not valid Python" in item.message
