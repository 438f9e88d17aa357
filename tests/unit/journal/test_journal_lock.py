"""The lock of a database belongs to one process, and is free as soon as that one is dead."""

import asyncio
import signal
import subprocess
import sys
import textwrap

# Forks a child as user code does that has a pool of processes, and is killed.
OWNER = """
    import asyncio, os, signal, sys
    from engine.journal import RunRecord, SqliteJournal

    journal = SqliteJournal(sys.argv[1])
    record = RunRecord(run="r", workflow="x", orchestrator="o", started_ms=1)
    asyncio.run(journal.create(record))
    if os.fork() == 0:
        os.read(0, 1)
        os._exit(0)
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_child_that_user_code_forked_does_not_keep_the_lock(folder, make):
    owner = subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", textwrap.dedent(OWNER), str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert owner.wait() == -signal.SIGKILL
    # The child lives: it holds the pipe, and waits for a byte in the other.
    assert not owner.stdout.closed
    with make.opened(folder) as journal:
        assert [run.live for run in journal.runs()] == [False]
        assert asyncio.run(journal.claim("r")) == 2
        asyncio.run(journal.append("r", [make.started(1)]))
        owner.stdin.write(b"x")
        owner.stdin.close()
        assert owner.stdout.read() == b""
        owner.stdout.close()
