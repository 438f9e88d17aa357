"""The worker `tracked_files`: what is in the repository.

Lists what git tracks, as it is in the work tree. Lines are counted in text files only and
within a budget of bytes; what was not counted has `lines: null` and is never guessed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any

from engine.errors import Failure
from repo_tools.git import Repo, is_binary

__all__ = ["language_of", "tracked_files"]

#: Bytes read in one call to count lines; about half a second.
_READ_BUDGET = 96 << 20
_COUNT_LIMIT = 2 << 20

_LANGUAGES: Mapping[str, str] = {
    "bash": "Shell", "c": "C", "cc": "C++", "clj": "Clojure", "cpp": "C++", "cs": "C#",
    "css": "CSS", "cxx": "C++", "dart": "Dart", "erl": "Erlang", "ex": "Elixir", "exs": "Elixir",
    "go": "Go", "h": "C", "hpp": "C++", "hs": "Haskell", "htm": "HTML", "html": "HTML",
    "j2": "Jinja", "java": "Java", "jl": "Julia", "js": "JavaScript", "json": "JSON",
    "jsx": "JavaScript", "kt": "Kotlin", "lark": "Lark", "lua": "Lua", "m": "Objective-C",
    "md": "Markdown", "mjs": "JavaScript", "ml": "OCaml", "orch": "Orch", "php": "PHP",
    "pl": "Perl", "pm": "Perl", "proto": "Protobuf", "py": "Python", "pyi": "Python", "r": "R",
    "rb": "Ruby", "rs": "Rust", "rst": "reStructuredText", "scala": "Scala", "scss": "CSS",
    "sh": "Shell", "sql": "SQL", "svelte": "Svelte", "swift": "Swift", "toml": "TOML",
    "ts": "TypeScript", "tsx": "TypeScript", "txt": "Text", "vue": "Vue", "xml": "XML",
    "yaml": "YAML", "yml": "YAML", "zig": "Zig", "zsh": "Shell",
}  # fmt: skip

_NAMES: Mapping[str, str] = {
    "Dockerfile": "Dockerfile", "Makefile": "Makefile", "CMakeLists.txt": "CMake",
    "Rakefile": "Ruby", "Gemfile": "Ruby",
}  # fmt: skip


def language_of(path: str) -> str | None:
    """The language a file's name means, or None."""
    name = PurePosixPath(path).name
    if name in _NAMES:
        return _NAMES[name]
    _, dot, suffix = name.rpartition(".")
    return _LANGUAGES.get(suffix.lower()) if dot else None


def tracked_files(repo: str, limit: int = 100) -> dict[str, Any]:
    """What git tracks in `repo`: totals, languages, and its longest files.

    Args:
        repo: A folder of a git work tree.
        limit: How many files to list, longest first.

    Raises:
        Failure: `not_a_repository`, `unreadable`.
    """
    folder = Repo(repo)
    skipped: Counter[str] = Counter()
    listed: list[dict[str, Any]] = []
    files_of: Counter[str] = Counter()
    lines_of: Counter[str] = Counter()
    total_bytes = total_lines = counted = read = 0
    for entry in folder.entries():
        path = entry.path
        if not entry.is_file:
            skipped["symlinks" if entry.mode.startswith("120") else "submodules"] += 1
            continue
        if path is None:
            skipped["names_not_utf8"] += 1
            continue
        try:
            size = (folder.root / path).lstat().st_size
        except OSError:
            skipped["missing"] += 1
            continue
        lines: int | None = None
        if size <= _COUNT_LIMIT and read + size <= _READ_BUDGET:
            read += size
            try:
                data = folder.read(path)
            except Failure:
                skipped["unreadable"] += 1
                continue
            if is_binary(data):
                skipped["binary"] += 1
            else:
                lines = data.count(b"\n") + (not data.endswith(b"\n") and len(data) > 0)
                counted += 1
                total_lines += lines
        language = language_of(path)
        total_bytes += size
        files_of[language or "other"] += 1
        lines_of[language or "other"] += lines or 0
        listed.append({"path": path, "bytes": size, "lines": lines, "language": language})
    listed.sort(key=lambda file: (-(file["lines"] or 0), -file["bytes"], file["path"]))
    ranked = sorted(files_of, key=lambda name: (-lines_of[name], -files_of[name], name))
    return {
        "repo": repo,
        "head": folder.head(),
        "total": len(listed),
        "bytes": total_bytes,
        "lines": total_lines,
        "lines_counted_in": counted,
        "skipped": {
            kind: skipped[kind]
            for kind in (
                "binary", "submodules", "symlinks", "missing", "unreadable", "names_not_utf8",
            )
        },
        "languages": [
            {"language": name, "files": files_of[name], "lines": lines_of[name]}
            for name in ranked[:20]
        ],
        "files": listed[:limit],
    }  # fmt: skip
