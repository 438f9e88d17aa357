"""Finds the prose of the project: paragraphs of Markdown, and the texts in Python files.

It knows what is text for readers and what is code: code blocks, tables' rules and inline code are
left out. It does not judge the text; `tests/docs/test_style.py` does.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Passage", "markdown_passages", "python_passages", "sentences", "words"]

#: What inline code, links and formulas become: one word, which no list of idioms knows.
CODE = "X"

_ABBREVIATIONS = ("e.g", "i.e", "etc", "vs", "cf", "approx", "no", "fig", "Dr", "Mr", "Ms")
_END = re.compile(r"(?:(?<=[.!?])|(?<=[.!?][\"')\]*_]))\s+(?=[\"'(\[*_]*[A-Z0-9])")
_ITEM = re.compile(r"\s*(?:[-*+]|\d+[.)])\s+")
#: A heading of a section of a docstring, and an entry in one: `name: What it is.`
_SECTION = re.compile(r"\s*(?:Args|Returns|Raises|Yields|Attributes|Example|Examples):\s*$")
_ENTRY = re.compile(r"\s+\*{0,2}[A-Za-z][\w., ]*: ")
#: Python strings that are programs or tables, not prose.
_PROGRAM = re.compile(r"^\s*(?:[\w.]+ *[={(]|CREATE |SELECT |orch 1|[{\[<])|\n\s*[\w.]+ = |\{\n")
_PLACEHOLDER = re.compile(r"%[sdr]")


@dataclass(frozen=True)
class Passage:
    """A paragraph, list item, heading or table cell: text without line breaks."""

    path: Path
    line: int
    text: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}"


def words(text: str) -> list[str]:
    """The words of a sentence; inline code counts as one."""
    return re.findall(r"[A-Za-z0-9][A-Za-z0-9'_.,-]*", text)


def sentences(text: str) -> list[str]:
    """Splits a passage where a full stop ends a sentence, not after an abbreviation."""
    found = [""]
    for part in _END.split(text):
        last = found[-1].rstrip("\"')]*_. ").rsplit(" ", 1)[-1].lstrip("(")
        if found[-1] and last in _ABBREVIATIONS:
            found[-1] += " " + part
        else:
            found.append(part)
    return [one for one in found if one]


def _plain(text: str) -> str:
    """A passage without markup: inline code is one word, a link is its text."""
    text = re.sub(r"(`+)(?:(?!\1).|\n)+?\1", CODE, text)
    text = re.sub(r"<!--.*?-->", " ", text, flags=re.DOTALL)
    text = re.sub(r"!?\[([^\]]*)\]\([^)]*\)", r"\1", text)
    text = re.sub(r"https?://\S+", CODE, text)
    return " ".join(text.split())


def _passages(path: Path, first: int, text: str, *, python: bool = False) -> Iterator[Passage]:
    """Paragraphs and items of a text in Markdown; blocks of code are left out.

    With `python`, the entries of a docstring's sections are passages of their own.
    """
    start, held, fence, blank = first, [], "", True
    in_list = in_section = False

    def ended() -> Iterator[Passage]:
        plain = _plain("\n".join(held))
        held.clear()
        if plain:
            yield Passage(path, start, plain)

    for number, line in enumerate(text.split("\n"), first):
        bare = line.strip()
        if fence or bare.startswith(("```", "~~~")):
            yield from ended()
            opened = fence or re.match(r"`+|~+", bare)[0]
            fence = "" if bare == fence else opened
            blank = True
            continue
        if not bare:
            yield from ended()
            blank = True
            continue
        if line.startswith("    ") and blank and not (in_list or in_section):
            continue
        if bare.startswith("|"):
            yield from ended()
            if not re.fullmatch(r"[|\s:-]+", bare):
                for cell in re.split(r"(?<!\\)\|", re.sub(r"`[^`]*`", CODE, bare).strip("|")):
                    yield Passage(path, number, _plain(cell))
            blank = False
            continue
        heading, item = line.startswith("#"), _ITEM.match(line)
        if heading or item or _SECTION.match(line) or (python and _ENTRY.match(line)):
            yield from ended()
            in_list = bool(item)
            in_section = in_section or bool(_SECTION.match(line))
            bare = bare.lstrip("#").strip() if heading else line[item.end() :] if item else bare
        elif not line.startswith(" ") and blank:
            in_list = in_section = False
        if not held:
            start = number
        held.append(bare)
        blank = False
        if heading:
            yield from ended()
    yield from ended()


def markdown_passages(path: Path) -> list[Passage]:
    """What a person reads in a page, without code."""
    text = re.sub(
        r"<!--.*?-->", lambda m: "\n" * m[0].count("\n"), path.read_text("utf-8"), flags=re.DOTALL
    )
    return [one for one in _passages(path, 1, text) if one.text]


def _joined(node: ast.JoinedStr) -> str:
    """An f-string with its values as one word each."""
    return "".join(
        part.value if isinstance(part, ast.Constant) else CODE
        for part in node.values
        if not isinstance(part, ast.Constant) or isinstance(part.value, str)
    )


def python_passages(path: Path) -> list[Passage]:
    """Docstrings, comments, and the strings of a module that hold sentences."""
    source = path.read_text("utf-8")
    tree = ast.parse(source)
    found: list[Passage] = []
    docs: set[int] = set()
    for node in ast.walk(tree):
        if isinstance(
            node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
        ) and ast.get_docstring(node):
            held = node.body[0].value
            docs.add(id(held))
            text = ast.get_docstring(node) or ""
            found += _passages(path, held.lineno, text, python=True)
    inner: set[int] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            inner.update(id(part) for part in node.values)
            found += _texts(path, node.lineno, _joined(node))
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            found += [] if id(node) in docs | inner else _texts(path, node.lineno, node.value)
    return [*found, *_comments(path, source)]


def _texts(path: Path, line: int, text: str) -> Iterator[Passage]:
    """A string as prose, if it holds at least three words in a row."""
    if re.search(r"[A-Za-z']+,? [a-z']+,? [a-z']+", text) and not _PROGRAM.search(text):
        yield from _passages(path, line, _PLACEHOLDER.sub(CODE, text))


def _comments(path: Path, source: str) -> Iterator[Passage]:
    """Comments, with those on lines in a row as one text."""
    held: list[str] = []
    start = 0
    for number, line in enumerate([*source.split("\n"), ""], 1):
        said = re.match(r"\s*#:? (?!noqa|type:|-{5})(.*)", line)
        if said:
            start = start if held else number
            held.append(said[1])
        elif held:
            yield Passage(path, start, _plain("\n".join(held)))
            held = []
