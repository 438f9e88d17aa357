"""Hosts in networks of their own: one cut off, one killed for good, the server killed.

The small version of the benchmark that measures how long it takes to recover; here only what has
to hold is asked.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from bench.scale.network import missing

pytestmark = pytest.mark.temporal

ROOT = Path(__file__).resolve().parents[2]


def test_nothing_is_lost_and_nothing_done_twice() -> None:
    problem = missing()
    if problem is not None:
        pytest.skip(problem)
    command = [sys.executable, "-m", "bench.scale", "hosts", "--small", "--json"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["lost"] == []
    assert found["wrong"] == []
    for worker in ("ship", "pay"):
        assert found["effects"][worker] == found["tasks"][worker]
    assert found["repeated"]["pay"] == 0
    assert len(found["faults"]) == 3
