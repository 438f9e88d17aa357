"""Programs under test heed signals, whatever the one who started the tests ignores."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

SUPPORT = Path(__file__).parents[2] / "support"
IGNORED = (signal.SIGINT, signal.SIGQUIT, signal.SIGHUP)

INTERRUPTS = """
import signal, subprocess, sys

CHILD = "import sys; print('up', flush=True); sys.stdin.read()"


def test_signals_end_a_process():
    for number in (signal.SIGINT, signal.SIGQUIT, signal.SIGHUP):
        child = subprocess.Popen(
            [sys.executable, "-c", CHILD],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        )
        child.stdout.readline()
        child.send_signal(number)
        assert child.wait(timeout=60) == -number
        child.stdin.close()
        child.stdout.close()
"""


def _ignore() -> None:
    for number in IGNORED:
        signal.signal(number, signal.SIG_IGN)


@pytest.mark.parametrize("workers", ["0", "1"])
def test_ignored_signals_are_not_handed_down(tmp_path: Path, workers: str) -> None:
    (tmp_path / "test_it.py").write_text(INTERRUPTS)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-n", workers, "-p", "default_signals",
         "-p", "no:cacheprovider", "test_it.py"],
        cwd=tmp_path,
        env={"PYTHONPATH": str(SUPPORT), "PATH": "/usr/bin:/bin"},
        preexec_fn=_ignore,  # as a shell does that starts something with `&`
        capture_output=True,
        text=True,
        check=False,
        timeout=170,
    )  # fmt: skip
    assert "1 passed" in done.stdout, done.stdout + done.stderr
