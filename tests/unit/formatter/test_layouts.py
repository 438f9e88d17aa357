"""What the formatter makes of every construct, and of comments and text blocks anywhere.

Each file in `layouts/` holds what is given, a line of `=`, and what is expected.
`ORCH_UPDATE_GOLDEN=1` writes the second part anew.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from engine.formatter.formatting import format_text

LAYOUTS = sorted((Path(__file__).parent / "layouts").glob("*.txt"))
RULER = "=" * 60 + "\n"


@pytest.mark.parametrize("path", LAYOUTS, ids=lambda path: path.stem)
def test_layout(path: Path) -> None:
    given, expected = path.read_text("utf-8").split(RULER)
    result = format_text(given)
    if os.environ.get("ORCH_UPDATE_GOLDEN"):
        path.write_text(given + RULER + result, "utf-8")
    else:
        assert result == expected
    assert format_text(result) == result
