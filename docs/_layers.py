"""The layers of the architecture page, made from the import contract in pyproject.toml.

The page lists every package and module of the contract, in its order. Each is described by the
first paragraph of its docstring.
"""

from __future__ import annotations

import ast
import tomllib
from pathlib import Path

__all__ = ["with_layers"]

ROOT = Path(__file__).parents[1]
_BEGIN = "<!-- Made by docs/_generate.py from the contract in pyproject.toml. -->\n"
_END = "<!-- The end of what is made. -->\n"


def with_layers(page: str) -> str:
    """The text of the architecture page with its tables of layers written again."""
    before, _, rest = page.partition(_BEGIN)
    _, _, after = rest.partition(_END)
    return before + _BEGIN + _tables() + _END + after


def _tables() -> str:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    lines: list[str] = []
    for contract in contracts["tool"]["importlinter"]["contracts"]:
        if contract["id"] not in ("layers", "drive", "sema"):
            continue
        container = contract.get("containers", [""])[0]
        if container:
            folder = container.replace(".", "/")
            lines.append(f"\nInside `{folder}/`, lowest layer first:\n")
        else:
            lines.append("\nLowest layer first:\n")
        lines += ["| module | content |", "| --- | --- |"]
        for layer in reversed(contract["layers"]):
            lines += [_row(container, module.strip()) for module in layer.split("|")]
    return "\n".join(lines) + "\n\n"


def _row(container: str, module: str) -> str:
    path = ROOT / f"{container}.{module}".lstrip(".").replace(".", "/")
    shown = path.relative_to(ROOT)
    if path.is_dir():
        name, source = f"{shown}/", path / "__init__.py"
    else:
        source = path.with_suffix(".py")
        name = str(source.relative_to(ROOT))
    said = ast.get_docstring(ast.parse(source.read_text(encoding="utf-8"))) or ""
    first = " ".join(said.split("\n\n")[0].split()).replace("|", "\\|")
    return f"| `{name}` | {first} |"
