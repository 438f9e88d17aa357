"""What holds for the tests of the engine and of the workflows: a time limit and default signals.

Both are plugins in `tests/support`; its modules are there for all tests.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "tests" / "support"))

pytest_plugins = ["default_signals", "time_limit"]
