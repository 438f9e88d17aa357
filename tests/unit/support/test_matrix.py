"""The matrix of `make test-matrix`: which cells there are."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

MATRIX = Path(__file__).parents[3] / ".ci" / "matrix.py"


def test_a_cell_that_there_is_not_is_refused() -> None:
    done = subprocess.run(
        [sys.executable, str(MATRIX), "3.13-newst"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert "there is no cell 3.13-newst; there are 3.11-lowest," in done.stderr
