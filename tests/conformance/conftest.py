"""Puts the modules of this folder where its tests find them."""

import sys
from pathlib import Path

# The tests are no package (import mode `importlib`).
sys.path.insert(0, str(Path(__file__).parent))
