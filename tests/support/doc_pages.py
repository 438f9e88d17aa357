"""The pages of the documentation and the fenced blocks in them.

A block's first line says what it is: "```orch" is a whole program, "```orch-fragment" part of one,
"```orch-bad ORC302" a program with that fault. `file=NAME` puts a block of any language into a
file that the page's other blocks can name, `append=NAME` adds to such a file.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
PAGES = sorted(
    [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "workflows").glob("*.md")]
)

_FENCE = re.compile(r"^( *)```([\w-]+)([^\n]*)\n(.*?)^\1```$", re.M | re.S)


class Block(NamedTuple):
    """A fenced block; `line` is that of its fence."""

    page: str
    line: int
    language: str
    words: tuple[str, ...]
    text: str

    def word(self, name: str) -> str | None:
        """What `name=` says in its first line."""
        found = [word.partition("=")[2] for word in self.words if word.startswith(f"{name}=")]
        return found[0] if found else None

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


def blocks_of(page: Path) -> list[Block]:
    """The fenced blocks of a page, in order."""
    text = page.read_text(encoding="utf-8")
    return [
        Block(
            str(page.relative_to(ROOT)),
            text.count("\n", 0, found.start()) + 1,
            found[2],
            tuple(found[3].split()),
            found[4],
        )
        for found in _FENCE.finditer(text)
    ]


BLOCKS = [block for page in PAGES for block in blocks_of(page)]


def write_files(page: str, folder: Path) -> None:
    """Write the files that a page shows."""
    for block in BLOCKS:
        name = block.word("file")
        if block.page == page and name is not None:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(block.text, encoding="utf-8")
