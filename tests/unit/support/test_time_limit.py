"""What hangs fails its own test, with stacks, and the tests after it run."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

SUPPORT = Path(__file__).parents[2] / "support"
PLUGINS = ["-p", "time_limit", "-p", "default_signals", "-p", "no:cacheprovider"]

HANGS = '''
import asyncio, subprocess, sys, threading, time

CHILD = """
import time
def never_ends():
    print("up", flush=True)
    time.sleep(600)
never_ends()
"""


def test_the_event_loop_hangs():
    async def held():
        threading.Event().wait()
    asyncio.run(held())


def test_an_await_hangs():
    async def forever():
        await asyncio.Event().wait()
    asyncio.run(forever())


def test_a_process_hangs():
    child = subprocess.Popen(
        [sys.executable, "-c", CHILD], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert child.stdout.readline()
    child.wait()


def test_the_failure_is_swallowed():
    try:
        while True:
            time.sleep(60)
    except BaseException:
        pass


def test_after():
    pass
'''

STUCK = """
import contextlib, time


def test_stuck():
    while True:
        with contextlib.suppress(BaseException):
            time.sleep(60)


def test_after():
    pass
"""


def pytest_on(
    folder: Path, text: str, *options: str, limit_s: float, grace_s: float = 60, **popen: object
) -> subprocess.CompletedProcess[str]:
    (folder / "test_it.py").write_text(text)
    prepare = f"import time_limit; time_limit.LIMIT_S, time_limit.GRACE_S = {limit_s}, {grace_s}"
    (folder / "conftest.py").write_text(prepare)
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-rA", *PLUGINS, *options, "test_it.py"],
        cwd=folder,
        env={"PYTHONPATH": str(SUPPORT), "PATH": "/usr/bin:/bin", "PYTHONFAULTHANDLER": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=170,
        **popen,  # type: ignore[call-overload]
    )


def test_a_test_that_hangs_fails_with_all_stacks(tmp_path: Path) -> None:
    done = pytest_on(tmp_path, HANGS, "-p", "no:xdist", limit_s=1)
    assert "4 failed, 1 passed" in done.stdout, done.stdout + done.stderr
    assert done.stdout.count("still running after 1 s") >= 4
    for place in ("in held", "in test_an_await_hangs", "in test_a_process_hangs"):
        assert place in done.stdout
    if Path("/proc/self/stat").exists():
        assert "in never_ends" in done.stdout, "the stacks of the child"


@pytest.mark.parametrize("workers", ["0", "1"])
def test_what_cannot_be_failed_is_ended(tmp_path: Path, workers: str) -> None:
    done = pytest_on(tmp_path, STUCK, "-n", workers, limit_s=0.5, grace_s=1)
    assert done.returncode == 1
    assert "Timeout (0:00:01" in done.stderr
    assert "in test_stuck" in done.stderr
    if workers == "1":  # a worker takes its place
        assert "crashed while running 'test_it.py::test_stuck'" in done.stdout
        assert "1 failed, 1 passed" in done.stdout
