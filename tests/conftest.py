"""Hypothesis tries the same examples in every run, so that a change fails for its own faults only.

`ORCH_EXAMPLES=random` looks for new ones.
"""

import os

from hypothesis import settings

settings.register_profile("steady", derandomize=True)
if os.environ.get("ORCH_EXAMPLES") != "random":
    settings.load_profile("steady")
