"""Hypothesis tries the same examples in every run, so that a change fails for its own faults only.

`ORCH_EXAMPLES=random` looks for new ones. What orch notes of journals goes to a state folder of the
tests' own, here and in all processes they start.
"""

import os
import shutil
import tempfile

from hypothesis import settings

from engine.runtime.moves import check_moves

settings.register_profile("steady", derandomize=True)
if os.environ.get("ORCH_EXAMPLES") != "random":
    settings.load_profile("steady")

_STATE = tempfile.mkdtemp(prefix="orch-state-")
os.environ["XDG_STATE_HOME"] = _STATE
os.environ.pop("ORCH_TRUST_JOURNAL", None)
os.environ.pop("ORCH_PROJECT", None)


def pytest_unconfigure() -> None:
    """Take the state folder away."""
    shutil.rmtree(_STATE, ignore_errors=True)


# An illegal move of a task or loop fails in whatever test it is made.
check_moves(True)
