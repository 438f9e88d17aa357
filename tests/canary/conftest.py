"""The tests are no package (import mode `importlib`), and the oracle has modules of its own."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
