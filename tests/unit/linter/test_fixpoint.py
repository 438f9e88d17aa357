"""`Fixpoint`: fixes that follow from fixes, fixes that do harm, files that others read."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import pytest

from engine.diagnostics import Edit, Fix, diagnostic
from engine.linter import lint_result
from engine.linter.fixpoint import MAX_ROUNDS, EditedReader, Fixpoint, Linted
from engine.sema.check import check_file
from engine.sema.names.loader import DiskReader, MemoryReader, Reader
from engine.source import SourceFile, Span

CASES = Path(__file__).parents[2] / "cases"


def fixed(reader: Reader, *paths: str, unsafe: bool = False, owned=None) -> Fixpoint:
    def lint(path: str, texts: Mapping[str, str]) -> Linted:
        result = check_file(path, reader=EditedReader(reader, texts))
        return Linted.of(path, result, lint_result(result))

    fixing = Fixpoint(
        lint,
        {path: lint(path, {}) for path in paths},
        owned or (lambda path: path in map(os.path.abspath, paths)),
        lambda path, item: True,
        unsafe,
    )
    fixing.run()
    return fixing


def memory(**files: str) -> MemoryReader:
    return MemoryReader({f"{name}.orch": text for name, text in files.items()}, "/base")


def test_what_a_fix_uncovers_is_fixed_too() -> None:
    text = 'modle m { id: "x"  timeot = 30 }\n'
    fixing = fixed(memory(a=text), "/base/a.orch")

    assert fixing.after == {"/base/a.orch": 'orch 1\n\nmodel m { id = "x"  timeout = 30s }\n'}
    assert fixing.before == {"/base/a.orch": text}
    assert {item.code for item in fixing.applied} >= {"ORC006", "ORC007", "ORC003", "ORC203"}


def test_a_fix_that_adds_errors_is_dropped_and_the_others_are_kept() -> None:
    path = str(CASES / "workers" / "mcp_snapshot.orch")
    fixing = fixed(DiskReader(), path, unsafe=True)

    assert [item.message for item in fixing.applied] == ["server `open` has no tool `fre`"]
    assert 'tool = "close_ticket"' in fixing.after[path]


def test_a_file_is_not_changed_to_the_harm_of_one_that_reads_it() -> None:
    library = "schema A { x: int }\n"
    # Unused here, and read there. Nobody but the reader knows.
    own = (
        'model m { id = "scripted/x" }\nverifier v(result: json) via rules { assert result }\n'
        'worker w(q: string) -> string via llm { model = m  prompt = "{{ q }}" }\n'
        'orchestrator o(t: string) -> string { model = m  goal = "{{ t }}"  workers = [w]\n'
        "  policy { max_rounds = 1 }  verify { before_finish { with = v } } }\n"
    )
    files = memory(
        lib=f"orch 1\n{library}{own}", main='orch 1\nfrom "lib.orch" import A\nparam p: A[] = []\n'
    )

    together = fixed(files, "/base/lib.orch", "/base/main.orch", unsafe=True)
    alone = fixed(files, "/base/lib.orch", unsafe=True)

    assert "/base/lib.orch" not in together.after
    assert alone.after == {"/base/lib.orch": f"orch 1\n{own}"}


def test_an_imported_file_is_fixed_only_where_it_may_be() -> None:
    files = memory(lib='orch 1\nmodel m { idd = "x" }\n', main='orch 1\nimport "lib.orch" as l\n')

    assert fixed(files, "/base/main.orch").after == {}
    whole = fixed(files, "/base/main.orch", owned=lambda path: True)
    assert whole.after == {"/base/lib.orch": 'orch 1\nmodel m { id = "x" }\n'}


@pytest.mark.parametrize("text", ["x", "xx"])
def test_fixes_that_undo_each_other_come_to_an_end(text: str) -> None:
    """A rule that swaps `x` and `xx` forever, each time under another message."""

    def lint(path: str, texts: Mapping[str, str]) -> Linted:
        source = SourceFile(path, texts.get(path, text))
        other = "xx" if source.text == "x" else "x"
        span = Span(source, 0, len(source.text))
        item = diagnostic("ORC909", f"write {other}", span, fix=Fix("swap", (Edit(span, other),)))
        return Linted(path, [item], frozenset({path}))

    fixing = Fixpoint(lint, {"/a": lint("/a", {})}, lambda path: True, lambda path, item: True)
    fixing.run()

    assert len(fixing.applied) == MAX_ROUNDS


@pytest.mark.parametrize(
    "folder",
    sorted({path.parent for path in CASES.rglob("*.orch")}),
    ids=lambda folder: folder.name,
)
def test_whatever_is_fixed_it_comes_to_an_end_with_fewer_errors(folder: Path) -> None:
    paths = [str(path) for path in sorted(folder.glob("*.orch"))]
    before = fixed(DiskReader(), *paths, owned=lambda path: False)

    fixing = fixed(DiskReader(), *paths, unsafe=True, owned=lambda path: True)

    for path in paths:
        assert syntax_errors(fixing.linted[path]) <= syntax_errors(before.linted[path])
    again = fixed(EditedReader(DiskReader(), fixing.after), *paths, unsafe=True)
    assert again.after == {}


def syntax_errors(linted: Linted) -> int:
    return sum(item.code < "ORC006" for item in linted.found)


def test_a_fix_that_helps_nothing_is_dropped() -> None:
    calls = []

    def lint(path: str, texts: Mapping[str, str]) -> Linted:
        calls.append(texts)
        source = SourceFile(path, texts.get(path, "x"))
        span = Span(source, 0, 0)
        item = diagnostic("ORC909", "again", span, fix=Fix("add", (Edit(span, "y"),)))
        return Linted(path, [item], frozenset({path}))

    fixing = Fixpoint(lint, {"/a": lint("/a", {})}, lambda path: True, lambda path, item: True)
    fixing.run()

    assert (fixing.after, fixing.applied, len(calls)) == ({}, [], 2)
