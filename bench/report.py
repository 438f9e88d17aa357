"""Results into documents: Markdown tables between markers, so nobody copies numbers by hand."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

DOCS = Path(__file__).resolve().parents[1] / "docs"


def table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(str(cell) for cell in line) + " |" for line in lines)


def put(document: Path, name: str, text: str) -> None:
    """Put `text` between `<!-- NAME -->` and `<!-- /NAME -->` of a document."""
    whole = document.read_text()
    before, found, rest = whole.partition(f"<!-- {name} -->")
    _, ended, after = rest.partition(f"<!-- /{name} -->")
    if not found or not ended:
        raise SystemExit(f"{document} has no place for `{name}`")
    document.write_text(f"{before}{found}\n{text}\n{ended}{after}")
