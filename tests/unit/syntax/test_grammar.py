"""The grammar itself: free of conflicts, soft keywords, tables that load or are built again."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import grammar
from engine.source import SourceFile
from engine.syntax import ast
from engine.syntax.parser import parse

KEYWORDS = re.findall(r'^[A-Z]+: "([a-z]+)"$', grammar.grammar_text(), re.MULTILINE)
OPERATORS = ["and", "or", "not", "in", "is", "if", "else"]
ANYWHERE = {
    "declared name": "worker {0}(a: int) -> int via llm {{}}",
    "schema name": "schema {0} {{ a: int }}",
    "model name": "model {0} {{ id = x }}",
    "secret name": "secret {0}",
    "imported name": 'from "x.orch" import {0}, a as {0}',
    "alias of a file": 'import "x.orch" as {0}',
    "test target": 'test "t" for {0} {{}}',
    "failure mode": "worker w() -> int fails {0}, b via llm {{}}",
    "field": "schema S {{ a: int = b  {0}: string  {0}: int = 3  c: int }}",
    "input": "worker w({0}: string, {0}: int = 1) -> int via llm {{}}",
    "inline field": "schema S = {{ {0}: int }}[]",
    "setting": "model m {{ {0} = 1  a = b  {0} = c  {0} = d  e = f }}",
    "map key": "model m {{ a = {{ {0}: 1, b: c, {0}: 2 }} }}".replace("{0}: 2", "x{0}: 2"),
    "attribute": "model m {{ a = b.{0}.c  d = e.{0} }}",
    "label": "model m {{ a = b  limit {0} {{}}  limit lib.{0} {{}} }}",
    "named argument": "model m {{ a = f({0}=1) }}",
    "filter": "model m {{ a = b | {0} }}",
    "constraint": "schema S {{ a: int @{0} }}",
    "constraint key": "schema S {{ a: int @length({0}: 1) }}",
}
NOT_OPERATORS = {
    "variable": "model m {{ a = {0}  b = [{0}, f({0})]  c = {0}.x + {0} }}",
    "type": "schema S {{ a: {0}  b: {0}[]? }}",
    "block": "model m {{ {0} {{}}  a = b  {0} {{}}  {0} lbl {{ }} c = d }}",
    "kind": "worker w() -> int via {0} {{}}",
}


def fits(declaration: str) -> None:
    document, found = parse(SourceFile("x.orch", "orch 1\n" + declaration))
    assert [item.message for item in found] == []
    assert len(document.declarations) == 2
    assert not isinstance(document.declarations[1], ast.UnknownDecl)


def test_the_grammar_has_no_conflicts_and_no_collisions() -> None:
    parser = grammar.make_parser(strict=True)
    assert parser.parse("orch 1").children


def test_keywords_are_found() -> None:
    assert {"worker", "model", "via", "fails", "true", "null"} <= set(KEYWORDS)


@pytest.mark.parametrize("place", ANYWHERE)
@pytest.mark.parametrize("word", [*KEYWORDS, *OPERATORS, "assert"])
def test_every_word_is_a_name_in(word: str, place: str) -> None:
    fits(ANYWHERE[place].format(word))


@pytest.mark.parametrize("place", NOT_OPERATORS)
@pytest.mark.parametrize("word", [w for w in [*KEYWORDS, "assert"] if w not in ("true", "false")])
def test_every_keyword_is_a_name_in(word: str, place: str) -> None:
    fits(NOT_OPERATORS[place].format(word))


#: How to load each parser anew.
LOADERS = {
    "_LARK_TABLES": grammar.load_parser.__wrapped__,
    "_FAST_TABLES": grammar.load_fast_parser.__wrapped__,
}


@pytest.mark.parametrize("tables", LOADERS)
def test_tables_are_kept_in_the_cache_and_damage_is_harmless(
    tables: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    grammar.load_parser()  # the fast one is made from it: not from the cache of this test
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(grammar, tables, "no such tables")
    load = LOADERS[tables]
    load()
    (kept,) = (tmp_path / "orch").iterdir()
    whole = kept.read_bytes()
    assert load().parse("orch 1").children
    for damage in (b"", whole[:-100], b"junk" + whole, whole[:500] + b"x" + whole[501:]):
        kept.write_bytes(damage)
        assert load().parse("orch 1").children
        assert kept.read_bytes()[:64] == whole[:64]


@pytest.mark.parametrize("tables", LOADERS)
def test_a_cache_folder_that_cannot_be_written_is_no_error(
    tables: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "orch").write_text("a file where the folder should be")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(grammar, tables, "no such tables")
    assert LOADERS[tables]().parse("orch 1").children


def test_tables_that_another_version_has_written_are_ignored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(grammar, "_FAST_TABLES", "no such tables")
    name = grammar._cache_path("no such tables", grammar._key())
    assert name is not None
    kept = Path(name)
    kept.parent.mkdir()
    kept.write_bytes(grammar._sealed(b"{}", grammar._key()))
    assert LOADERS["_FAST_TABLES"]().parse("orch 1").children


def test_tables_for_a_wheel_load(tmp_path: Path) -> None:
    lark_tables, fast_tables = grammar.build_tables(tmp_path)
    payload = grammar._unsealed(lark_tables.read_bytes(), grammar._lark_key())
    assert payload is not None
    assert grammar._read_lark(payload).parse("orch 1").children
    payload = grammar._unsealed(fast_tables.read_bytes(), grammar._key())
    assert payload is not None
    tree = grammar._read(payload).parse("orch 1")
    assert tree is not None
    assert tree.children
