"""Delivers answers to a run that another process drives.

The process that drives the run treats a letter like any other event: it journals the event before
it takes effect, and only then deletes the letter. So a letter survives the death of either side,
and the next process that resumes the run finds it. Of two answers to one gate, the first one in the
journal counts. The sender reads the journal to see whether its answer was accepted.

`engine.journal.inbox` defines where letters are stored and how they are passed on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Literal

from engine import clock
from engine.drive.answers import check_answer, refuse_secrets
from engine.drive.driver import Driver
from engine.drive.guard import redactor_of
from engine.drive.loading import Loaded, load
from engine.errors import JournalError, UsageError
from engine.events import CancelRequested, Event, GateAnswered, NoteGiven
from engine.journal import HasInbox, Inbox, Journal, Letter, RunRecord, Said
from engine.runtime import notes
from engine.runtime.state import RunState

__all__ = ["Fate", "attending", "cancellation", "hand_over", "wait_for_end"]

#: The outcome of a letter: it counts; it came too late or did not fit; the run is not driven.
Fate = Literal["taken", "refused", "returned"]

#: How long a sender waits for the driving process to look into the inbox, in seconds.
PATIENCE_S = 30.0
#: How long it waits for the end of a process that no longer drives the run, in seconds.
RELEASE_S = 8.0
_LOOK_S = 0.05


@contextmanager
def attending(
    journal: Journal, run: str, driver: Driver, first: list[Event]
) -> Iterator[tuple[list[Event], Callable[[], None] | None]]:
    """Take letters to a run in while it is driven.

    Args:
        first: What the drive begins with.

    Returns:
        What it begins with in view of the letters that lie there already, and what is to be
        called when that is durable.
    """
    if not isinstance(journal, HasInbox):
        yield first, None
        return
    inbox = journal.inbox

    def take(letter: Letter) -> None:
        try:
            _check(driver.state, letter.event)
            if isinstance(letter.event, GateAnswered) and driver.has_answer(letter.event.key):
                raise UsageError(f"gate `{letter.event.key}` has been answered")
        except UsageError:
            inbox.remove(letter)
        else:
            driver.feed(letter.event, lambda: inbox.remove(letter))

    lying = [] if driver.state.root is None else _accepted(inbox, run, driver.state, first)
    asked: list[Event] = [x.event for x in lying if isinstance(x.event, CancelRequested)]
    told: list[Event] = [x.event for x in lying if isinstance(x.event, NoteGiven)]
    answers: list[Event] = [x.event for x in lying if isinstance(x.event, GateAnswered)]

    def durable() -> None:
        for letter in lying:
            inbox.remove(letter)

    leave = inbox.attend(run, take)
    try:
        # Taking the run over would first start again what is to be called off. A note comes before
        # the answers: what follows from one may be the decision that it is for.
        yield [*asked, *told, *first, *answers], durable
    finally:
        leave()
        if driver.state.ended:
            for letter in inbox.letters(run):
                inbox.remove(letter)


def cancellation(
    journal: Journal, record: RunRecord, reason: str
) -> tuple[Loaded, CancelRequested]:
    """What to hand to the process that drives a run so that it cancels it.

    Returns:
        The run as its journal tells it, for `hand_over` and for who cancels it after all; and the
        event.

    Raises:
        UsageError: The reason holds a secret of the run.
    """
    seen = load(journal, record)
    refuse_secrets(reason, redactor_of(seen.state.program))
    return seen, CancelRequested(reason=reason)


def _accepted(inbox: Inbox, run: str, state: RunState, first: list[Event]) -> list[Letter]:
    """The letters that lie there and count; the others are thrown away."""
    answered = {event.key for event in first if isinstance(event, GateAnswered)}
    accepted = []
    for letter in inbox.letters(run):
        event = letter.event
        try:
            _check(state, event)
            if isinstance(event, GateAnswered) and event.key in answered:
                raise UsageError(f"gate `{event.key}` has been answered")
        except UsageError:
            inbox.remove(letter)
            continue
        if not inbox.claim(letter) and not inbox.holds(letter):
            continue  # taken back
        if isinstance(event, GateAnswered):
            answered.add(event.key)
        accepted.append(letter)
    return accepted


def _check(state: RunState, event: Said) -> None:
    if isinstance(event, GateAnswered):
        check_answer(state, event)
    elif isinstance(event, NoteGiven):
        notes.check(state, event.task)


def hand_over(journal: Journal, seen: Loaded, event: Said) -> Fate:
    """Give an answer or a note to the process that drives a run, and wait until it is accepted.

    Args:
        seen: The run as it was seen before; folded on as far as the journal has to be read.
        event: The answer, checked already; the driving process checks it again.

    Returns:
        The outcome. `returned`: no process drives the run any more, and the answer is
        back in the hands of the caller.

    Raises:
        JournalError: The process does not look into its inbox; the answer is taken back.
    """
    assert isinstance(journal, HasInbox)
    inbox = journal.inbox
    run = seen.record.run
    letter = inbox.post(run, event)
    give_up = clock.running_s() + PATIENCE_S
    while inbox.holds(letter):
        if not journal.record(run).live:
            inbox.take_back(letter)
            _wait_for_release(journal, run)
            # Its former owner can no longer write, so what the journal says is the last word.
            return _fate(journal, seen, letter) or "returned"
        if clock.running_s() > give_up and inbox.take_back(letter):
            raise JournalError(
                f"the process driving run {run} did not accept the answer within "
                f"{PATIENCE_S:g} s; the answer was withdrawn",
                help="check whether that process is suspended or stuck; if so, kill it and resume "
                "the run",
            )
        clock.pause(_LOOK_S)
    return _fate(journal, seen, letter) or "refused"


def wait_for_end(journal: Journal, run: str) -> bool:
    """Wait for a while until no process drives a run; return whether that happened."""
    give_up = clock.running_s() + PATIENCE_S
    while journal.record(run).live:
        if clock.running_s() > give_up:
            return False
        clock.pause(_LOOK_S)
    return True


def _wait_for_release(journal: HasInbox, run: str) -> None:
    """A process whose run has ended needs a moment to give the journal back."""
    give_up = clock.running_s() + RELEASE_S
    while journal.is_held(run) and clock.running_s() < give_up:
        clock.pause(_LOOK_S)


def _fate(journal: Journal, seen: Loaded, letter: Letter) -> Fate | None:
    """What the journal says of a letter; None if its event is not there."""
    events = journal.read(seen.record.run, after=seen.seq)
    # The journal decides, not the file: the owner deletes a letter only after its event is durable,
    # so a missing file alone could also mean that the owner died or refused it. The name of the
    # letter in the event tells this answer from another one to the same gate.
    for at, event in enumerate(events):
        if not isinstance(event, (GateAnswered, NoteGiven, CancelRequested)):
            continue
        if event.letter == letter.name:
            if isinstance(event, CancelRequested):
                return "taken"
            seen.advance(events[:at])
            return "taken" if _counts(seen.state, event) else "refused"
    return None


def _counts(state: RunState, event: GateAnswered | NoteGiven) -> bool:
    """Whether a letter that is in the journal came in time there."""
    if isinstance(event, GateAnswered):
        return event.key in state.gates
    try:
        notes.check(state, event.task)
    except UsageError:
        return False
    return True
