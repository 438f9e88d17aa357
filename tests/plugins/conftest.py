"""Tests here drive `orch` as a process, with other packages installed beside it."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "support"))
