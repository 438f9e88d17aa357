"""What has changed between two programs: declarations and their settings, not their spelling.

The programs are compared as they were understood: params folded, imports resolved, prompts and
schemas read. So a comment, the order of declarations or a moved file are not changes, and an
edited prompt file is one of every declaration that uses it. Tests are left out: no run sees them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Literal

import msgspec

from engine.history.excerpts import excerpts
from engine.sema.expressions.template import Template, TemplateFunction
from engine.sema.model import Program
from engine.sema.types.contract import Contract

__all__ = ["Change", "changed_files", "changes"]

#: Of a declaration: what says where it is, and nothing else.
_PLACE = frozenset({"span", "base_dir", "name", "then_written"})
#: Longest excerpt of a value, in characters.
_ROOM = 60

_KINDS = {
    "model": "models",
    "server": "servers",
    "worker": "workers",
    "verifier": "verifiers",
    "orchestrator": "orchestrators",
}


class Change(msgspec.Struct, frozen=True):
    """One declaration that is not what it was.

    Attributes:
        kind: `model`, `server`, `worker`, `verifier`, `orchestrator`, `param` or `secret`.
        what: What happened to it.
        settings: What changed of it: name, then value before and value now, in a few words.
    """

    kind: str
    name: str
    what: Literal["added", "removed", "changed"]
    settings: tuple[tuple[str, str, str], ...] = ()


def changes(old: Program, new: Program) -> list[Change]:
    """The declarations in which two programs differ, kind by kind, in the order of the new one."""
    found: list[Change] = []
    for kind, field in _KINDS.items():
        found += _differences(kind, getattr(old, field), getattr(new, field))
    found += _differences("param", old.param_values(), new.param_values())
    found += _differences("secret", dict.fromkeys(old.secrets), dict.fromkeys(new.secrets))
    return found


def changed_files(old: Mapping[str, str], new: Mapping[str, str]) -> list[str]:
    """The paths whose text is not the same, or that only one of them has."""
    return sorted(path for path in {*old, *new} if old.get(path) != new.get(path))


def _differences(kind: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[Change]:
    for name in [*new, *(name for name in old if name not in new)]:
        if name not in old:
            yield Change(kind, name, "added")
        elif name not in new:
            yield Change(kind, name, "removed")
        else:
            found = list(_settings("", _plain(old[name]), _plain(new[name])))
            names = {setting for setting, _, _ in found}
            # A duration is there as it was read, and once more in milliseconds.
            # An effect is there in its settings, and once more as what it comes to.
            settings = tuple(dict.fromkeys(one for one in found if f"{one[0]}_ms" not in names))
            if settings:
                yield Change(kind, name, "changed", settings)


def _settings(path: str, old: Any, new: Any) -> Iterator[tuple[str, str, str]]:
    if old == new:
        return
    if isinstance(old, dict) and isinstance(new, dict):
        for name in {**old, **new}:
            inner = name if path in ("", "settings") else f"{path}.{name}".removesuffix(".text")
            yield from _settings(inner, old.get(name), new.get(name))
    else:
        unit = path.rpartition("_")[2]
        yield path or "value", *_short(_text(old, unit), _text(new, unit))


def _plain(value: Any) -> Any:
    """A declaration as plain data, without what says where it is in the file."""
    if isinstance(value, Contract):
        return value.schema
    if isinstance(value, Template):
        # A name that every template sees may be one with parameters, declared elsewhere.
        shared = {name: value.variables[name] for name in value.names if name in value.variables}
        return {"text": value.text, **_plain({n: v for n, v in shared.items() if n != "param"})}
    if isinstance(value, TemplateFunction):
        return _plain(value.template)
    if isinstance(value, msgspec.Struct):
        fields = value.__struct_fields__
        return {name: _plain(getattr(value, name)) for name in fields if name not in _PLACE}
    if isinstance(value, Mapping):
        return {str(name): _plain(inner) for name, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(inner) for inner in value]
    if isinstance(value, (str, int, float, bool, bytes)) or value is None:
        return value
    text = getattr(value, "text", None)
    return text if isinstance(text, str) else repr(value)


def _text(value: Any, unit: str) -> str:
    if value is None:
        return "none"
    if unit == "usd" and isinstance(value, int):
        return "$" + f"{value / 1_000_000:.6f}".rstrip("0").rstrip(".")
    text = value if isinstance(value, str) else msgspec.json.encode(value).decode()
    return " ".join(text.split())


def _short(old: str, new: str) -> tuple[str, str]:
    return (old, new) if max(len(old), len(new)) <= _ROOM else excerpts(old, new, _ROOM)
