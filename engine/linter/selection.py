"""Which rules count: by code, by beginning of a code, by name, or `ALL`; for a file or for all.

Where one word selects a rule and another ignores it, the longer one wins: `ORC302` over `ORC3`,
`ORC3` over `ALL`; of two that are as long, the one that ignores. A selection only hides findings:
a program with a hidden error is still not run. Optional rules are not part of `ALL`.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase

from engine.config import Config
from engine.diagnostics import OPTIONAL, RULES, Diagnostic
from engine.errors import ConfigError
from engine.sema.suggest import closest

__all__ = ["Named", "Selection", "UnknownRule", "rules_named", "selection_of"]

#: Rules by code, with how exactly they were named: 0 for `ALL`, else characters of the code.
Named = Mapping[str, int]

_NAMES = {rule.name: code for code, rule in RULES.items()}


class UnknownRule(ValueError):
    """A word that names no rule.

    Attributes:
        help: What could have been meant.
    """

    def __init__(self, word: str) -> None:
        near = closest(word.upper(), RULES) or closest(word.lower(), _NAMES)
        self.help = f"did you mean `{near}`?" if near else "`orch explain` lists the rules"
        super().__init__(f"there is no rule `{word}`")


def rules_named(words: Iterable[str]) -> Named:
    """The rules that words select.

    Raises:
        UnknownRule: For the first word that selects none.
    """
    chosen: dict[str, int] = {}
    for word in words:
        if word.upper() == "ALL":
            found, length = [code for code in RULES if code not in OPTIONAL], 0
        elif word.lower() in _NAMES:
            found = [_NAMES[word.lower()]]
            length = len(found[0])
        else:
            found = [code for code in RULES if word and code.startswith(word.upper())]
            length = len(word)
        if not found:
            raise UnknownRule(word)
        for code in found:
            chosen[code] = max(length, chosen.get(code, 0))
    return chosen


class Selection:
    """The rules that count for the findings of a run.

    Args:
        codes: The rules that count everywhere.
        folder: What the patterns are relative to.
        per_file: Patterns of paths, and the rules that do not count in files they fit.
    """

    def __init__(
        self,
        codes: Iterable[str] = RULES,
        folder: str = "",
        per_file: Iterable[tuple[str, Iterable[str]]] = (),
    ) -> None:
        self.codes = frozenset(codes)
        self._folder = folder
        self._per_file = [(pattern, frozenset(rules)) for pattern, rules in per_file]
        self._ignored_in: dict[str, frozenset[str]] = {}

    def keeps(self, item: Diagnostic) -> bool:
        """Whether a finding counts."""
        if item.code not in self.codes:
            return False
        return not self._per_file or item.code not in self._ignored(item.span.source.path)

    def _ignored(self, path: str) -> frozenset[str]:
        if path not in self._ignored_in:
            relative = os.path.relpath(path, self._folder).replace(os.sep, "/")
            self._ignored_in[path] = frozenset().union(
                *(rules for pattern, rules in self._per_file if _fits(relative, pattern))
            )
        return self._ignored_in[path]


def _fits(path: str, pattern: str) -> bool:
    """Whether a path fits a pattern, as a whole or by its file's name; `*` goes over folders."""
    pattern = pattern.removeprefix("./").removeprefix("**/")
    if pattern.endswith("/"):
        pattern += "*"
    return (
        fnmatchcase(path, pattern)
        or fnmatchcase(path, f"*/{pattern}")
        or fnmatchcase(os.path.basename(path), pattern)
    )


def selection_of(
    config: Config, select: Named | None = None, ignore: Named | None = None
) -> Selection:
    """What a configuration and the command line select together.

    Rules selected on the command line replace those that the configuration selects and ignores;
    what the configuration ignores in single files stays ignored.

    Raises:
        ConfigError: If the configuration names a rule there is not.
    """
    lint = config.lint
    chosen = dict(select) if select is not None else None
    left_out = dict(ignore or {})
    if chosen is None:
        chosen = dict(_configured(config, "select", lint.select))
        _merge(chosen, _configured(config, "extend-select", lint.extend_select))
        _merge(left_out, _configured(config, "ignore", lint.ignore))
    codes = [code for code, exact in chosen.items() if exact > left_out.get(code, -1)]
    per_file = [
        (pattern, _configured(config, pattern, words)) for pattern, words in lint.per_file_ignores
    ]
    return Selection(codes, config.folder, per_file)


def _configured(config: Config, key: str, words: Iterable[str]) -> Named:
    try:
        return rules_named(words)
    except UnknownRule as problem:
        raise ConfigError(f"{config.place(key)}: {problem}", help=problem.help) from None


def _merge(named: dict[str, int], more: Named) -> None:
    for code, exact in more.items():
        named[code] = max(exact, named.get(code, 0))
