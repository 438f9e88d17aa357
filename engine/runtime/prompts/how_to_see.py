"""What an orchestrator reads about outputs whose words it is not shown (`engine.runtime.shown`).

One section says how to use what cannot be seen, in the contract's form and in the wire form. It is
in a prompt only where there is such a worker. Nothing here comes from a worker.
"""

from __future__ import annotations

from engine.runtime.wire_schema import WireDecision

__all__ = ["SEES", "done_unseen", "how_to_see", "why_unseen"]

#: What the catalogue says of a worker, by its `show`.
SEES = {
    "shape": "shown to you: only the shape of its output",
    "none": "shown to you: only that it is done",
}

_HEAD = """\
# What you are not shown
Of some workers you see only the shape of an output, between <shape> tags. Numbers, true or false, \
dates and listed values are as they are. {"$text": 120} is a text of 120 characters, {"$list": 40} \
a list of 40 items, {"$object": 3} an object with 3 keys. `$more` counts keys that are not named. \
Of others you see only that a task is done. The whole output is there: use it by reference, with a \
JSON Pointer from the output's schema in the list of workers: """
_CONTRACT = '{"$from": "a1", "at": "/subject"}.'
_WIRE = '{"from": "a1", "at": "/subject", "name": "query"}.'
_GUESS = "Never write out or guess what you are not shown, and never write a shape as a value."
_STEPS = """\
To use one item of a list by what is in it, select it: an `each` with `where`, `sort_by` and \
`take` looks at the values themselves."""


def how_to_see(form: WireDecision | None, *, steps: bool) -> str:
    """The section on what is not shown.

    Args:
        form: The wire form that decisions are asked for in; None for the contract's own.
        steps: Whether there may be steps.
    """
    lines = [_HEAD + (_CONTRACT if form is None else _WIRE), _GUESS]
    return "\n".join([*lines, _STEPS] if steps else lines)


def done_unseen(task: str, worker: str, size: int) -> str:
    """A task that is done, and of whose output nothing is shown."""
    return f"task {task} ({worker}) is done: {size} bytes, which you are not shown"


def why_unseen(mode: str) -> str:
    """What is said after a failure's mode where its words are not shown."""
    said = {
        "denied": "a check, a person or `@from` refused it, or a reference leads to untrusted text",
        "unmet_reference": "what a reference leads to is not there or does not fit its input",
    }
    return f" ({said[mode]})" if mode in said else ""
