"""The order of steps, and what waits for what without reading it.

A planner starts a round when the one before is over. A plan starts a step when what it reads is
there. So that an effect still comes after what the planner had seen before it decided on it, and
what read the world after an effect still does, such steps say `after`. So do the effects of one
decision, which keep their order.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from engine.history.distill.entries import Entry
from engine.history.distill.rewriting import step_sources, tree_leaves
from engine.sema.plans.values import FromStep

__all__ = ["needed", "ordered", "reach", "waiting"]


def _reads(entry: Entry) -> set[str]:
    sources = step_sources(entry.step)
    return {leaf.name for leaf in sources if isinstance(leaf, FromStep)} | set(entry.step.after)


def needed(entries: list[Entry], result: Any) -> list[Entry]:
    """The entries that the result needs, and those that change something, in their order."""
    by_id = {entry.id: entry for entry in entries}
    pending = [leaf.name for leaf in tree_leaves(result) if isinstance(leaf, FromStep)]
    pending += [entry.id for entry in entries if entry.changes_something]
    kept: set[str] = set()
    while pending:
        name = pending.pop()
        if name in by_id and name not in kept:
            kept.add(name)
            # What is only waited for is not needed for that.
            pending += _reads(by_id[name]) - set(by_id[name].step.after)
    return [entry for entry in entries if entry.id in kept]


def ordered(entries: list[Entry]) -> list[Entry]:
    """The same so that each reads earlier ones only; a decision may name later tasks."""
    by_id = {entry.id: entry for entry in entries}
    places = {id: place for place, id in enumerate(by_id)}
    waits = {id: _reads(entry) & by_id.keys() for id, entry in by_id.items()}
    feeds: dict[str, list[str]] = {id: [] for id in by_id}
    for id, sources in waits.items():
        for source in sources:
            feeds[source].append(id)
    # Accepted decisions have no cycles; of all that may come next, the first of them does.
    ready = [(place, id) for id, place in places.items() if not waits[id]]
    done: list[Entry] = []
    while ready:
        _, id = heapq.heappop(ready)
        done.append(by_id[id])
        for fed in feeds[id]:
            waits[fed].discard(id)
            if not waits[fed]:
                heapq.heappush(ready, (places[fed], fed))
    assert len(done) == len(entries), "steps read each other"
    return done


def reach(entry: Entry, by_id: Mapping[str, Entry]) -> set[str]:
    """The ids of all that an entry reads, and of what that reads in turn."""
    found: set[str] = set()
    pending = list(_reads(entry))
    while pending:
        name = pending.pop()
        if name in by_id and name not in found:
            found.add(name)
            pending += _reads(by_id[name])
    return found


def waiting(entries: list[Entry]) -> list[Entry]:
    """Let effects, and what comes after them, wait for earlier rounds."""
    before: dict[str, set[str]] = {}
    for entry in entries:
        known = {entry.id for entry in entries}
        after = [id for id in entry.step.after if id in known]
        direct = _reads(entry) & known
        upstream = _closure(direct, before)
        earlier = [
            other
            for other in entries
            if other.id in before and other.id not in upstream and _precedes(other, entry)
        ]
        covered = set().union(*(before[other.id] for other in earlier))
        after += [other.id for other in earlier if other.id not in covered]
        entry.step = msgspec.structs.replace(entry.step, after=tuple(dict.fromkeys(after)))
        before[entry.id] = _closure({*direct, *after}, before)
    return entries


def _precedes(other: Entry, entry: Entry) -> bool:
    """Whether an entry has to wait for another one that it does not read."""
    if other.round < entry.round:
        return entry.changes_something or other.changes_something
    # The effects of one decision keep the order in which they were written.
    both = entry.changes_something and other.changes_something
    return both and not (entry.commutes and other.commutes)


def _closure(direct: Iterable[str], before: dict[str, set[str]]) -> set[str]:
    """Names, and all that come before them."""
    found = set(direct)
    for name in direct:
        found |= before.get(name, set())
    return found
