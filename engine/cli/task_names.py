"""Names of tasks as people type them: `r:7` is `r[7]`, which a shell would take for a pattern.

Works on each part of a path: `a2/r:7`, `r:3.0`, and `r:0.draft` for a step of a pass.
"""

from __future__ import annotations

import re

import click

__all__ = ["task_name", "task_option", "typed"]

_TYPED = re.compile(r":(\d+(?:\.\d+)*)(?=$|/|\.)")
_NUMBER = re.compile(r"\[(\d+(?:\.\d+)*)\]")


def task_name(text: str) -> str:
    """The id of a task as the run has it."""
    return _TYPED.sub(r"[\1]", text)


def typed(name: str) -> str:
    """The id of a task as it is typed, without anything that a shell reads."""
    return _NUMBER.sub(r":\1", name)


def task_option(ctx: click.Context, option: click.Parameter, given: str | None) -> str | None:
    """A task that was named on the command line; a click callback."""
    return None if given is None else task_name(given)
