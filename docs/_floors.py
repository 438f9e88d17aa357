"""The floors of the architecture page, made from the import contract in pyproject.toml.

What a room holds is the first line of its docstring, so the page has every room that the contract
has, in its order, and says of each what the code says.
"""

from __future__ import annotations

import ast
import tomllib
from pathlib import Path

__all__ = ["with_floors"]

ROOT = Path(__file__).parents[1]
_BEGIN = "<!-- Made by docs/_generate.py from the contract in pyproject.toml. -->\n"
_END = "<!-- The end of what is made. -->\n"


def with_floors(page: str) -> str:
    """The text of the architecture page with its tables of floors written again."""
    before, _, rest = page.partition(_BEGIN)
    _, _, after = rest.partition(_END)
    return before + _BEGIN + _tables() + _END + after


def _tables() -> str:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    lines: list[str] = []
    for contract in contracts["tool"]["importlinter"]["contracts"]:
        if contract["id"] not in ("floors", "drive", "sema"):
            continue
        container = contract.get("containers", [""])[0]
        if container:
            folder = container.replace(".", "/")
            lines.append(f"\nInside `{folder}/`, the lowest first:\n")
        else:
            lines.append("\nThe lowest first:\n")
        lines += ["| | holds |", "| --- | --- |"]
        for floor in reversed(contract["layers"]):
            lines += [_row(container, room.strip()) for room in floor.split("|")]
    return "\n".join(lines) + "\n\n"


def _row(container: str, room: str) -> str:
    path = ROOT / f"{container}.{room}".lstrip(".").replace(".", "/")
    shown = path.relative_to(ROOT)
    if path.is_dir():
        name, source = f"{shown}/", path / "__init__.py"
    else:
        source = path.with_suffix(".py")
        name = str(source.relative_to(ROOT))
    said = ast.get_docstring(ast.parse(source.read_text(encoding="utf-8"))) or ""
    first = " ".join(said.split("\n\n")[0].split()).replace("|", "\\|")
    return f"| `{name}` | {first} |"
