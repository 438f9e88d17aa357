"""The fuzzer's texts are a module of their own (the tests are no package)."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
