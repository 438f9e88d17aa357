"""Reads recorded runs of Magentic-One with a labelled step, as rounds.

The format is that of the folder `Who&When/Hand-Crafted` of the data set Who&When: a file has a
question, a `history` of messages with their roles, and `mistake_step`, the place in the history of
the step that a person found decisive for the failure. An instruction (`Orchestrator (-> AGENT)`)
and the next message of that agent are a round; without an answer it failed. The ledger that the
orchestrator's model wrote next is kept for comparison only.
"""

from __future__ import annotations

import json
import re
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal, NamedTuple

Parity = Literal["even", "odd", "all"]

_TO = re.compile(r"Orchestrator \(-> (\w+)\)")
_LEDGER = "Updated Ledger"


class Round(NamedTuple):
    """One round of a recorded run.

    Attributes:
        answer: What the agent said, or None where it did not.
        late: It ended with the labelled step, or after it.
    """

    number: int
    agent: str
    instruction: str
    answer: str | None
    late: bool


class Run(NamedTuple):
    """A recorded run.

    Attributes:
        ledgers: Of each ledger that its model wrote: whether that was at the labelled step or
            after it, and whether it says that there is no progress, or a loop.
    """

    name: str
    goal: str
    rounds: list[Round]
    ledgers: list[tuple[bool, bool]]


def load(folder: Path, parity: Parity) -> list[Run]:
    """The runs of a folder, by number; files of the other parity are not opened."""
    wanted = {"even": (0,), "odd": (1,), "all": (0, 1)}[parity]
    numbers = sorted(int(path.stem) for path in folder.glob("*.json") if path.stem.isdecimal())
    chosen = [number for number in numbers if number % 2 in wanted]
    return [_run(folder / f"{number}.json") for number in chosen]


def _run(path: Path) -> Run:
    recorded = json.loads(path.read_text())
    step = int(recorded["mistake_step"])
    history = [(message["role"], message["content"]) for message in recorded["history"]]
    ledgers = [
        (place >= step, alarm)
        for place, (_, text) in enumerate(history)
        if text.startswith(_LEDGER) and (alarm := _ledger(text)) is not None
    ]
    return Run(path.stem, recorded["question"], _rounds(history, step), ledgers)


def _rounds(history: list[tuple[str, str]], step: int) -> list[Round]:
    """An instruction is answered by the next message of its agent, before the next instruction."""
    rounds: list[Round] = []
    asked = [place for place, (role, _) in enumerate(history) if _TO.match(role)]
    for number, (begin, end) in enumerate(pairwise([*asked, len(history)]), 1):
        role, instruction = history[begin]
        agent = _TO.match(role)[1]  # type: ignore[index]
        place = next((at for at in range(begin + 1, end) if history[at][0] == agent), None)
        answer = None if place is None else history[place][1]
        late = (begin if place is None else place) >= step
        rounds.append(Round(number, agent, instruction, answer, late))
    return rounds


def _ledger(text: str) -> bool | None:
    try:
        said: dict[str, Any] = json.loads(text[text.index("{") :])
        progress = said["is_progress_being_made"]["answer"]
        return bool(said["is_in_loop"]["answer"]) or not progress
    except (ValueError, KeyError, TypeError):
        return None
