"""What is there before the first test is not looked at by the garbage collector."""

from __future__ import annotations

import gc


def test_the_collector_looks_at_little() -> None:
    assert gc.get_freeze_count() > 20_000
