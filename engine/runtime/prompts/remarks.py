"""Feedback: what checks, people and the engine say about a task, a result or a round.

The planner reads it under "Feedback", and a policy written in Python as a list of texts. A remark
is the engine's own words here, and whoever spoke adds theirs (`engine.runtime.state.Remark`).
"""

from __future__ import annotations

from collections.abc import Sequence

from engine.errors import Failure

RESULT_REJECTED = "the result was not accepted"
YOUR_RESULT_REJECTED = "your last result was not accepted"
ROUND_REJECTED = "the check of this round did not pass"
PLAN_REJECTED = "the plan was not accepted, and none of its tasks was started"
PLAN_REJECTED_LATE = "the plan was not accepted, and no more of its tasks was started"
PERSON_SAYS = "a person says"
#: What is told instead of the words of a check that may quote what the planner is not shown.
NOT_SHOWN = "it did not pass (its words may quote what you are not shown)"
#: What a verifier is taken to have said where it gave no words.
NOT_OK = "not ok"
REJECTED = "rejected"
NO_ANSWER = "no one answered in time"
APPROVED_BEFORE = "approved before"


def task_not_started(task: str) -> str:
    """A check kept a task from starting."""
    return f"task `{task}` was not started"


def no_decision(number: int) -> str:
    """A round without a decision that could be used."""
    return f"round {number} failed, no acceptable decision"


def no_progress(rounds: int, why: str, *, certain: bool) -> str:
    """Rounds that brought nothing new, or that only have the signs of it."""
    what = "no new information" if certain else "no progress"
    return f"{what} for {rounds} rounds ({why})"


def replan(said: str) -> str:
    """A stall, and what to do about it."""
    return (
        f"stalled: {said}. What you tried does not bring you closer to the goal: make a new plan, "
        "or finish with what you have"
    )


NOTHING_RUN = "no task was run"
SAME_RESULT = "the same result again"
SAME_FAILURE = "the same failure again"
SAME_OUTPUT = "no new output"
SAME_TASK = "the same task again"
SAME_TASK_REWORDED = "the same task again in other words"
TASK_FAILED = "a task failed"
MOVING_AWAY = "the tasks have less and less to do with the goal"
SKIPPED = "a task was skipped"


def asked_again(worker: str, times: int, new: float) -> str:
    """A worker that is asked nearly the same again.

    Args:
        times: For which time; 1 is the first.
        new: How much of its output was new, 0 to 1.
    """
    facts = "no new facts" if new < 0.1 else "few new facts"
    return (
        f"`{worker}` was asked nearly the same for the {_ordinal(times)} time and brought {facts}"
    )


def result_again(times: int) -> str:
    """A result that is nearly one which was not accepted; the first time counts."""
    return f"nearly the same result for the {_ordinal(times)} time"


def few_facts(who: str, rounds: int) -> str:
    """A worker, or a result, with little that is new; this many rounds in a row."""
    return f"{who} brought few new facts, for the {_ordinal(rounds)} round in a row"


def taking_turns(first: Sequence[str], second: Sequence[str]) -> str:
    """Two workers, or groups of workers, in turns."""
    one, other = (" and ".join(f"`{name}`" for name in names[:3]) for names in (first, second))
    return f"{one} and {other} take turns and bring no new facts"


def none_closed(points: int, rounds: int) -> str:
    """Failed tasks and checks that stay as they are."""
    what = "the open point was not" if points == 1 else f"none of {points} open points was"
    return f"{what} closed in {rounds} round{'' if rounds == 1 else 's'}"


def _ordinal(number: int) -> str:
    ending = {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{'th' if 10 <= number % 100 <= 20 else ending}"


def not_asked(most: str) -> str:
    """A verifier whose inputs are too large."""
    return f"it was not asked: its inputs take more than {most} (`max_input_bytes`)"


def inputs_do_not_match(problems: str) -> str:
    """A verifier whose inputs break its contract."""
    return f"its inputs do not match: {problems}"


def no_verdict(failure: Failure) -> str:
    """A verifier that failed."""
    return f"it gave no verdict ({failure.mode}: {failure.message})"


def cannot_evaluate(what: str, why: object) -> str:
    """An expression of a verifier that cannot be evaluated."""
    return f"{what} cannot be evaluated: {why}"


def message_not_rendered(why: object) -> str:
    """A question to a person that cannot be rendered."""
    return f"its message cannot be rendered: {why}"


def assertion_failed(text: str) -> str:
    """An assertion that has no words of its own."""
    return f"failed: {text}"


def not_true(text: str) -> str:
    """A `pass_when` that does not hold."""
    return f"not `{text}`"


def shortened(text: str, length: int) -> str:
    """Words that are too long to be kept whole."""
    return f"{text}... (cut: {length:,} characters in total)"
