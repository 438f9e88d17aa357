"""`python -m orch`, the same as `orch`."""

from __future__ import annotations

import sys
from typing import cast

from ._own import own

__all__ = ["main"]


def main() -> int:
    """Run the command line with the arguments of the process, and return its exit code."""
    return cast(int, own("engine.cli").main())


if __name__ == "__main__":
    sys.exit(main())
