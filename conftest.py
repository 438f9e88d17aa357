"""What holds for all tests: a time limit, default signals, and a small heap to collect.

These are plugins in `tests/support`; its modules are there for all tests.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "tests" / "support"))

pytest_plugins = ["default_signals", "old_objects", "time_limit"]
