"""A walk finds each node once, in the order of the text, and leaves none out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from engine.source import SourceFile
from engine.syntax import ast
from engine.syntax.parser import parse
from engine.syntax.visitor import children, walk

ROOT = Path(__file__).parents[3]
FILES = sorted((ROOT / "tests").glob("fixtures/examples/*.orch")) + sorted(
    (ROOT / "tests" / "cases").rglob("*.orch")
)


def every_node(value: Any) -> list[ast.Node]:
    """Every node in a value, found by looking at every field there is."""
    if isinstance(value, tuple):
        return [node for item in value for node in every_node(item)]
    if isinstance(value, ast.Node):
        fields = [getattr(value, name) for name in value.__struct_fields__]
        return [value, *every_node(tuple(fields))]
    return []


@pytest.mark.parametrize("chunk", range(8))
def test_a_walk_finds_what_looking_everywhere_finds(chunk):
    for path in FILES[chunk::8]:
        document, _ = parse(SourceFile(str(path), path.read_text(encoding="utf-8")))
        found = list(walk(document.declarations))
        # As often too: `import a` holds one name as what is imported and as what it is called.
        assert sorted(map(id, found)) == sorted(map(id, every_node(document.declarations)))
        for declaration in document.declarations:
            for node in walk(declaration):
                if isinstance(node, ast.FieldDecl | ast.ParamDecl):
                    continue  # its default comes after its constraints
                starts = [child.span.start for child in children(node)]
                assert starts == sorted(starts), f"{path}: {node.span.text[:80]}"


def test_a_walk_stays_out_where_it_is_told_to():
    source = SourceFile("a.orch", 'orch 1\nparam a: string = "x"\nparam b: int = 1 + 2\n')
    document, _ = parse(source)
    inside = list(
        walk(
            document.declarations,
            into=lambda node: not isinstance(node, ast.ParamDecl) or node.name.text == "b",
        )
    )
    assert not any(isinstance(node, ast.String) for node in inside)
    assert sum(isinstance(node, ast.Number) for node in inside) == 2
