"""Oscillation: two workers take turns, A B A B, and neither brings new facts."""

from __future__ import annotations

from engine.runtime.prompts import remarks
from engine.runtime.stall.memory import NOTHING, Finding, Memory

__all__ = ["taking_turns"]


def taking_turns(memory: Memory) -> Finding:
    """Look at the last four rounds; the newest is in `memory.turns` already."""
    if len(memory.turns) < 4:
        return NOTHING
    workers = [names for names, _ in memory.turns]
    first, second = workers[:2]
    if first == second or workers[2:] != [first, second]:
        return NOTHING
    return Finding(min(old for _, old in memory.turns), remarks.taking_turns(first, second))
