"""Why a task may not start: what its planner and people read, with the way out.

No value is quoted: it may be a stranger's, and the planner may not have seen it.
"""

from __future__ import annotations

from collections.abc import Sequence

from engine.sema.model import AllowedSource, InputSources
from engine.sema.trust import SOURCE_WORDS, shown_sources

__all__ = [
    "breaks_from",
    "broken_part",
    "must_be_from",
    "same_call_again",
    "strange_address",
]


def must_be_from(rule: InputSources) -> str:
    """What a planner reads about an input with `@from`, next to its schema."""
    path = ".".join(name for name in rule.path if name != "*")
    said = f"`{path}` must be from {shown_sources(rule.allowed)}"
    ways = _advice(rule.allowed)
    return f"{said}, or the task is denied: {ways}"


def breaks_from(parts: Sequence[str], more: int) -> list[str]:
    """Values that are not from where `@from` says, a sentence each."""
    return [*parts, *([f"and {more} more"] if more else [])]


def broken_part(path: str, allowed: Sequence[AllowedSource], way: str) -> str:
    """One such value: its place, its way, and what to do instead."""
    sources = shown_sources(allowed)
    return f"`{path}` must be from {sources}, and is from {way}: {_advice(allowed)}"


def _advice(allowed: Sequence[AllowedSource]) -> str:
    workers = [one for one in allowed if one.name not in SOURCE_WORDS]
    ways = []
    if workers:
        ways.append(f"pass it by reference from {shown_sources(workers)}")
    if any(one.name == "request" for one in allowed):
        ways.append("copy it from the request exactly as it is written there")
    return ", or ".join(ways) or "only a person can approve it"


def same_call_again(task: str, worker: str) -> str:
    """A tainted decision makes a call of a `once` worker again."""
    return (
        f"strangers may have decided this, and task `{task}` makes a call with the same values "
        f"already: only a person can approve another `{worker}` with these"
    )


def strange_address(worker: str, inputs: Sequence[str], ways: Sequence[str]) -> str:
    """Untrusted text may have chosen whom a worker that only reads talks to."""
    said = " and ".join(f"`{name}`" for name in inputs)
    return (
        f"untrusted text can reach {said}, which decides whom `{worker}` talks to, and a request "
        f"can carry data away: {'; '.join(ways)}. To allow it, say where the address may come "
        f"from, `{inputs[0]}: ... @from(...)`, or let a `before_dispatch` hook look at it"
    )
