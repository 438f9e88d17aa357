"""The worker `todos`: notes that people left in the code.

`git grep` finds the words in tracked text files. A hit counts only in a comment. For Python the
tokens decide; for other source files, a comment sign must come before it on the line. In prose it
must be at the start of a line or list item.
"""

from __future__ import annotations

import io
import re
import tokenize
from typing import Any

from engine.errors import Failure
from repo_tools.files import language_of
from repo_tools.git import Repo, evidence

__all__ = ["todos"]

_TAGS = ("TODO", "FIXME", "XXX", "HACK")
_PROSE = frozenset({"Markdown", "reStructuredText", "Text", "HTML", "XML", None})
_WORD = r"\b(TODO|FIXME|XXX|HACK)\b(?![-/|`'\"\w])"
_IN_COMMENT = re.compile(r"(?:#|//|/\*|^\s*\*|--|;|<!--|%|\"\"\"|''').{0,40}?" + _WORD + r"\s*(.*)")
_IN_PROSE = re.compile(r"^\s*(?:[-*+>#.]+\s*)?(?:\[[ xX]\]\s*)?(?:<!--\s*)?" + _WORD + r"\s*(.*)")
_IN_TOKEN = re.compile(_WORD + r"\s*(.*)")

#: Python files tokenized at most, and bytes of each.
_MAX_TOKENIZED = 200
_TOKENIZE_LIMIT = 512 << 10


def todos(repo: str, limit: int = 60) -> dict[str, Any]:
    """`TODO`, `FIXME`, `XXX` and `HACK` in the comments of tracked text files.

    Args:
        repo: A folder of a git work tree.
        limit: How many to list: `FIXME` first, then `XXX`, `HACK` and `TODO`.

    Raises:
        Failure: `not_a_repository`, `unreadable`.
    """
    folder = Repo(repo)
    output = folder.git(
        "grep", "-n", "-z", "-I", "-w", "--no-color", "--no-recurse-submodules",
        *(part for tag in _TAGS for part in ("-e", tag)),
        ok=(0, 1),
    )  # fmt: skip
    hits: dict[str, list[tuple[int, str]]] = {}
    for raw_path, number, raw_line in _records(output):
        try:
            path = raw_path.decode("utf-8")
        except UnicodeDecodeError:
            continue
        hits.setdefault(path, []).append((number, raw_line.decode("utf-8", "replace")[:2000]))
    items: list[dict[str, Any]] = []
    tokenized = 0
    for path, lines in hits.items():
        language = language_of(path)
        comments: dict[int, str] | None = None
        if language == "Python" and tokenized < _MAX_TOKENIZED:
            tokenized += 1
            comments = _python_comments(folder, path)
        for number, line in lines:
            if comments is not None:
                match = _IN_TOKEN.search(comments.get(number, ""))
            elif language in _PROSE:
                match = _IN_PROSE.match(line)
            else:
                match = _IN_COMMENT.search(line)
            if match:
                items.append(
                    {
                        "path": path,
                        "line": number,
                        "tag": match.group(1),
                        "text": evidence(match.group(2).lstrip(":").removesuffix("-->")),
                    }
                )
    order = ("FIXME", "XXX", "HACK", "TODO")
    items.sort(key=lambda item: (order.index(item["tag"]), item["path"], item["line"]))
    return {
        "total": len(items),
        "files": len({item["path"] for item in items}),
        "items": items[:limit],
    }


def _records(output: bytes) -> list[tuple[bytes, int, bytes]]:
    """Parse `git grep -n -z`: path NUL number NUL line LF, where a path may hold line feeds."""
    records = []
    position = 0
    while (path_end := output.find(b"\0", position)) != -1:
        number_end = output.find(b"\0", path_end + 1)
        line_end = output.find(b"\n", number_end + 1)
        number = output[path_end + 1 : number_end]
        if number_end == -1 or line_end == -1 or not number.isdigit():
            break
        records.append((output[position:path_end], int(number), output[number_end + 1 : line_end]))
        position = line_end + 1
    return records


def _python_comments(folder: Repo, path: str) -> dict[int, str] | None:
    """The comments of a Python file by line, or None where it cannot be tokenized."""
    try:
        data = folder.read(path, limit=_TOKENIZE_LIMIT)
        return {
            token.start[0]: token.string
            for token in tokenize.tokenize(io.BytesIO(data).readline)
            if token.type == tokenize.COMMENT
        }
    except (Failure, tokenize.TokenError, SyntaxError, ValueError):
        return None
