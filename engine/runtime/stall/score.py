"""One score for a round: how sure it is that the loop makes no progress, 0 to 1.

A round without new facts is weak evidence by itself, and strong with a second sign: what was asked
repeats, two workers take turns, no open point is closed, the tasks move away from the goal. The
evidence of a round is smoothed over the rounds before it, so one such round raises no alarm.
A round that does bring something is never over a high threshold, whatever came before it.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from engine.runtime.prompts import remarks
from engine.runtime.stall.distance import moving_away
from engine.runtime.stall.facts import news
from engine.runtime.stall.memory import RESULT, Entry, Finding, Memory
from engine.runtime.stall.open_points import none_closed
from engine.runtime.stall.oscillation import taking_turns
from engine.runtime.stall.repeats import Again, asked_before

__all__ = ["Weights", "judge"]


class Weights(msgspec.Struct, frozen=True):
    """How signs add up. `bench.stall` says how much the figures depend on them: little.

    Attributes:
        without_facts: The evidence of a round without new facts and without a second sign.
        new_subject: The same, where the worker was asked about something new ("src/c.py has no
            problems").
        keeps: How much of the level a round leaves as it was; with 0.8, the evidence of 3 rounds
            ago counts half.
        most: How many times the evidence of a round its score can be.
    """

    without_facts: float = 0.3
    new_subject: float = 0.1
    keeps: float = 0.8
    most: float = 1.4


_WEIGHTS = Weights()
#: An output with less than this of it new has "no new facts" in words.
_FEW = 0.5


def judge(
    memory: Memory,
    entries: Sequence[Entry],
    checks: Sequence[tuple[str, bool]] = (),
    *,
    certain: bool = False,
    weights: Weights = _WEIGHTS,
) -> Finding:
    """Look at a round, and remember it.

    Args:
        entries: Its tasks; a step is one, and so is a result that was not accepted.
        checks: The checks of the round in order, and whether each passed.
        certain: It is known already that it brought nothing.
        weights: How signs add up.
    """
    signs = [(asked_before(memory, entry), news(memory, entry)) for entry in entries]
    for entry in entries:
        memory.remember(entry)
    old = 1 - max((new for _, new in signs), default=0.0)
    memory.turns.append((tuple(sorted({entry.worker for entry in entries})), old))
    open_points, closed = none_closed(memory, entries, checks)
    others = [taking_turns(memory), open_points, moving_away(memory, entries)]
    evidence, why = 1.0, ""
    for entry, (again, new) in zip(entries, signs, strict=True):
        second = _second_sign(memory, entry, again, new, others)
        least = weights.new_subject if again.new_subject else weights.without_facts
        weight = (1 - new) * (least + (1 - least) * second.score)
        if weight <= evidence:  # a round is worth as much as the best of its tasks
            evidence, why = weight, second.why
    if closed:  # a retry that succeeds, a check that passes at last
        evidence = 0.0
    if certain:
        evidence = 1.0
    memory.level = weights.keeps * memory.level + (1 - weights.keeps) * evidence
    return Finding(min(memory.level, weights.most * evidence), why)


def _second_sign(
    memory: Memory, entry: Entry, again: Again, new: float, others: Sequence[Finding]
) -> Finding:
    """The signs besides the lack of new facts, added up, and the strongest in words."""
    idle = (memory.idle.get(entry.worker) or 0) + 1 if new < _FEW else 0
    memory.idle.put(entry.worker, idle)
    signs = [Finding(again.score, _repeated(entry.worker, again.times, new)), *others]
    doubt = 1.0
    for sign in signs:
        doubt *= 1 - sign.score
    strongest = max(signs, key=lambda sign: sign.score)
    why = strongest.why
    if not strongest.score or (strongest is signs[0] and again.times == 1):
        who = entry.worker if entry.worker == RESULT else f"`{entry.worker}`"
        why = remarks.few_facts(who, max(idle, 1))
    return Finding(1 - doubt, why)


def _repeated(worker: str, times: int, new: float) -> str:
    if worker == RESULT:
        return remarks.result_again(times)
    return remarks.asked_again(worker, times, new)
