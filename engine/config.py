"""How a project configures its checks: `orch.toml`, or `[tool.orch]` in `pyproject.toml`.

The nearest file above the checked file counts; in the same folder, `orch.toml` takes precedence. A
`pyproject.toml` without `[tool.orch]` is ignored. An unknown key is an error that names its line.
`engine.linter` knows which words select which rules.
"""

from __future__ import annotations

import functools
import os
import re
from collections.abc import Mapping
from typing import Any

import msgspec

from engine.errors import ConfigError
from engine.project import CONFIG_FILES, Project
from engine.reading import CannotRead, read_regular
from engine.spending_windows import Window, read_window

__all__ = ["FORMATS", "Config", "LintConfig", "find_config"]

#: How findings can be shown.
FORMATS = ("text", "json", "github", "sarif")

#: No configuration is larger; reading a tenth of that takes a tenth of a second.
_MAX_BYTES = 1_000_000


class LintConfig(msgspec.Struct, frozen=True):
    """What `[lint]` says. Words select rules as in `--select`.

    Attributes:
        select: The rules that count.
        extend_select: More of them.
        ignore: Those that do not.
        per_file_ignores: Patterns of paths, relative to the file's folder, and rules that do not
            count there.
        format: How findings are shown, one of `FORMATS`.
        strict: Whether warnings count for the exit code.
    """

    select: tuple[str, ...] = ("ALL",)
    extend_select: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    per_file_ignores: tuple[tuple[str, tuple[str, ...]], ...] = ()
    format: str = "text"
    strict: bool = False


class Config(msgspec.Struct, frozen=True):
    """A configuration, and where it is.

    Attributes:
        path: The file, or the empty string where there is none.
        lint: What it says about linting.
        spending: The spending windows that it sets.
        text: The file's text.
    """

    path: str = ""
    lint: LintConfig = LintConfig()
    text: str = ""
    spending: tuple[Window, ...] = ()

    @property
    def folder(self) -> str:
        """The folder that patterns are relative to."""
        return os.path.dirname(self.path)

    def place(self, key: str) -> str:
        """`path:line` of a key, for messages."""
        return _place(self.path, self.text, key)


def find_config(folder: str, known: dict[str, Config] | None = None) -> Config:
    """The configuration of the files in a folder.

    Args:
        folder: Where to begin to look.
        known: What was found for folders already; added to.

    Raises:
        ConfigError: If a file cannot be read, is not TOML, or says something unknown.
    """
    known = {} if known is None else known
    folder = os.path.abspath(folder)
    passed: list[str] = []
    config: Config | None = None
    while config is None:
        config = known.get(folder)
        passed.append(folder)
        for name in CONFIG_FILES:
            if config is None:
                config = _read(os.path.join(folder, name))
        above = os.path.dirname(folder)
        if above == folder:
            break
        folder = above
    config = config or Config()
    known.update(dict.fromkeys(passed, config))
    return config


def _read(path: str) -> Config | None:
    """What a file says; None if it is not there, or says nothing about orch."""
    if not os.path.lexists(path):
        return None
    folder = os.path.dirname(path)
    if os.path.islink(path) and not Project.of(folder).holds(path):
        message = f"{_shown(path)} is a link that leads outside the project"
        raise ConfigError(message, help="copy the file, or check with --isolated")
    try:
        data = read_regular(path, _MAX_BYTES)
    except CannotRead as problem:
        if problem.reason == "does not exist":
            return None  # a link that leads nowhere
        raise ConfigError(f"cannot read {_shown(path)}: it {problem.reason}") from None
    return _parsed(path, data)


@functools.lru_cache(maxsize=8)
def _parsed(path: str, data: bytes) -> Config | None:
    """What a file says, by its content: an application that starts many runs parses it once."""
    in_project = os.path.basename(path) == "pyproject.toml"
    if in_project and b"orch" not in data:
        return None  # most of them, and not worth parsing
    # 1.5 ms of CPU, and most folders have no configuration.
    import tomllib

    try:
        text = data.decode("utf-8-sig")
        tables: Any = tomllib.loads(text)
    except UnicodeDecodeError:
        raise ConfigError(f"{_shown(path)} is not UTF-8 text") from None
    except tomllib.TOMLDecodeError as problem:
        raise ConfigError(f"{_shown(path)} is not valid TOML: {problem}") from None
    except ValueError as problem:  # a number of more digits than Python converts
        raise ConfigError(f"{_shown(path)} is not valid TOML: {problem}") from None
    except RecursionError:
        raise ConfigError(f"{_shown(path)} is nested too deeply") from None
    if in_project:
        tools = tables.get("tool")
        if not isinstance(tools, dict) or "orch" not in tools:
            return None
        tables = tools["orch"]
    lint, spending = _Reader(path, text).config(tables)
    return Config(path, lint, text, spending)


class _Reader:
    """Reads the tables of one file."""

    def __init__(self, path: str, text: str) -> None:
        self._path = path
        self._text = text

    def config(self, tables: Any) -> tuple[LintConfig, tuple[Window, ...]]:
        found = self._table(tables, "tool.orch", ("lint", "spending"))
        lint = self._table(found.get("lint", {}), "lint", tuple(_KEYS))
        values = {key.replace("-", "_"): self._value(key, value) for key, value in lint.items()}
        return LintConfig(**values), self._windows(found.get("spending", []))

    def _windows(self, value: Any) -> tuple[Window, ...]:
        if not isinstance(value, list) or not all(isinstance(table, dict) for table in value):
            raise self._error("spending", "`spending` needs tables: `[[spending]]`")
        found: list[Window] = []
        for table in value:
            try:
                found.append(read_window(table, _shown(self._path)))
            except ValueError as problem:
                raise self._error("spending", f"`spending`: {problem}") from None
        return tuple(found)

    def _table(self, value: Any, name: str, keys: tuple[str, ...]) -> Mapping[str, Any]:
        if not isinstance(value, dict):
            raise self._error(name.rpartition(".")[2], f"`{name}` needs to be a table")
        for key in value:
            if key not in keys:
                # 2 ms of CPU, and only a mistake needs it.
                from difflib import get_close_matches

                near = get_close_matches(key, keys, n=1)
                known = ", ".join(f"`{known}`" for known in keys)
                help = f"did you mean `{near[0]}`?" if near else f"known are {known}"
                raise self._error(key, f"unknown key `{key}`", help)
        return value

    def _value(self, key: str, value: Any) -> Any:
        match _KEYS[key]:
            case "words":
                return self._words(key, value)
            case "patterns":
                if not isinstance(value, dict):
                    raise self._error(key, f'`{key}` needs a table: {{ "tests/*" = ["ORC7"] }}')
                return tuple((each, self._words(each, words)) for each, words in value.items())
            case "format":
                if value not in FORMATS:
                    raise self._error(key, f"`{key}` is one of {', '.join(FORMATS)}")
                return value
            case _:
                if not isinstance(value, bool):
                    raise self._error(key, f"`{key}` is `true` or `false`")
                return value

    def _words(self, key: str, value: Any) -> tuple[str, ...]:
        if not isinstance(value, list) or not all(isinstance(word, str) for word in value):
            raise self._error(key, f'`{key}` needs a list of rules: ["ORC3", "unused-worker"]')
        return tuple(value)

    def _error(self, key: str, message: str, help: str | None = None) -> ConfigError:
        return ConfigError(f"{_place(self._path, self._text, key)}: {message}", help=help)


#: The keys of `[lint]`, and what each takes.
_KEYS = {
    "select": "words",
    "extend-select": "words",
    "ignore": "words",
    "per-file-ignores": "patterns",
    "format": "format",
    "strict": "bool",
}


def _place(path: str, text: str, key: str) -> str:
    """`path:line` of a key. The standard library's reader tells no lines, so it is searched for.

    Looked for behind the table's own header, since another tool in the file may have such a key.
    """
    header = re.search(r"^\s*\[\s*\[?\s*(?:tool\s*\.\s*orch\b|lint\b|spending\b)", text, re.M)
    start = header.start() if header else 0
    word = re.escape(key)
    found = re.compile(rf"""(?:^|[\[.{{,\s])["']?{word}["']?\s*[=.\]]""", re.M).search(text, start)
    if found is None:
        return _shown(path)
    at = found.start() + len(found[0]) - len(found[0].lstrip())
    return f"{_shown(path)}:{text.count(chr(10), 0, at) + 1}"


def _shown(path: str) -> str:
    """A path as a person would name it: relative, where it is below the working folder."""
    relative = os.path.relpath(path)
    return path if relative.startswith("..") else relative
