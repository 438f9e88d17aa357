"""One score for a round: how sure it is that the loop makes no progress, 0 to 1.

A round without new facts is weak evidence by itself, and strong with a second sign: what was asked
repeats, two workers take turns, no open point is closed, the tasks move away from the goal. The
evidence of a round is smoothed over the rounds before it, so one such round raises no alarm.
A round that does bring something is never over a high threshold, whatever came before it.
"""

from __future__ import annotations

from collections.abc import Sequence

from engine.runtime.prompts import remarks
from engine.runtime.stall.distance import moving_away
from engine.runtime.stall.facts import news
from engine.runtime.stall.memory import RESULT, Entry, Finding, Memory
from engine.runtime.stall.open_points import none_closed
from engine.runtime.stall.oscillation import taking_turns
from engine.runtime.stall.repeats import Again, asked_before

__all__ = ["judge"]

#: The evidence of a round without new facts and without a second sign.
WITHOUT_FACTS = 0.3
#: The same, where the worker was asked about something new: "src/c.py has no problems".
NEW_SUBJECT = 0.1
#: How much of the level a round leaves as it was: the evidence of 3 rounds ago counts half.
KEEPS = 0.8
#: How many times the evidence of a round its score can be.
MOST = 1.5
#: An output with less than this of it new has "no new facts" in words.
_FEW = 0.5


def judge(
    memory: Memory,
    entries: Sequence[Entry],
    checks: Sequence[tuple[str, bool]] = (),
    *,
    certain: bool = False,
) -> Finding:
    """Look at a round, and remember it.

    Args:
        entries: Its tasks; a step is one, and so is a result that was not accepted.
        checks: The checks of the round in order, and whether each passed.
        certain: It is known already that it brought nothing.
    """
    signs = [(asked_before(memory, entry), news(memory, entry)) for entry in entries]
    for entry in entries:
        memory.remember(entry)
    old = 1 - max((new for _, new in signs), default=0.0)
    memory.turns.append((tuple(sorted({entry.worker for entry in entries})), old))
    others = [
        taking_turns(memory),
        none_closed(memory, entries, checks),
        moving_away(memory, entries),
    ]
    evidence, why = 1.0, ""
    for entry, (again, new) in zip(entries, signs, strict=True):
        found = _task(memory, entry, again, new, others)
        if found.score <= evidence:
            evidence, why = found.score, found.why
    if certain:
        evidence = 1.0
    memory.level = KEEPS * memory.level + (1 - KEEPS) * evidence
    return Finding(min(memory.level, MOST * evidence), why)


def _task(
    memory: Memory, entry: Entry, again: Again, new: float, others: Sequence[Finding]
) -> Finding:
    """The evidence of one task, and the strongest sign of it in words."""
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
    least = NEW_SUBJECT if again.new_subject else WITHOUT_FACTS
    return Finding((1 - new) * (least + (1 - least) * (1 - doubt)), why)


def _repeated(worker: str, times: int, new: float) -> str:
    if worker == RESULT:
        return remarks.result_again(times)
    return remarks.asked_again(worker, times, new)
