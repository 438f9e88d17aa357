"""What only the journal on disk does: durability, several databases, one owner each."""

import asyncio
import sqlite3
import subprocess
import sys
import textwrap
import threading

import pytest

from engine.errors import JournalError
from engine.journal import journal_directory


def run_python(script, *args):
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(script), *map(str, args)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


OWNER = """
    import asyncio, sys
    from engine.events import CallStarted
    from engine.journal import RunRecord, SqliteJournal

    async def main():
        with SqliteJournal(sys.argv[1]) as journal:
            record = RunRecord(run="theirs", workflow="x", orchestrator="o", started_ms=7)
            owned = await journal.create(record)
            await owned.append([CallStarted(key="k")])
            print("ready", flush=True)
            sys.stdin.readline()

    asyncio.run(main())
"""


@pytest.fixture
def owner(folder):
    """Another process, alive, that owns the run `theirs` in the same folder."""
    process = run_python(OWNER, folder)
    assert process.stdout.readline() == "ready\n"
    yield process
    process.kill()
    process.communicate()


def test_the_folder_is_chosen_then_from_the_environment_then_here():
    assert str(journal_directory("a", {"ORCH_JOURNAL": "b"})) == "a"
    assert str(journal_directory(None, {"ORCH_JOURNAL": "b"})) == "b"
    assert str(journal_directory(None, {})) == ".orch"


def test_nothing_is_made_before_a_run_is_entered(folder, open_journal):
    journal = open_journal()
    assert journal.runs() == []
    assert not folder.exists()


def test_the_folder_keeps_itself_out_of_git(folder, open_journal, make):
    asyncio.run(open_journal().create(make.record("r")))
    assert (folder / ".gitignore").read_text() == "*\n"


def test_an_event_is_there_for_others_when_append_returns(folder, open_journal, make):
    journal = open_journal()

    async def go():
        await journal.create(make.record("r"))
        with sqlite3.connect(f"file:{folder}/journal.db?mode=ro", uri=True) as other:
            for task in range(5):
                await journal.append("r", [make.started(task)])
                assert other.execute("SELECT count(*) FROM events").fetchone() == (task + 1,)
        other.close()

    asyncio.run(go())


def test_every_commit_is_forced_to_the_disk(folder, open_journal, make):
    journal = open_journal()

    async def go():
        await journal.create(make.record("r"))
        (writer,) = journal._writers.values()
        return await writer.do(
            lambda connection: [
                connection.execute(f"PRAGMA {name}").fetchone()[0]
                for name in ("journal_mode", "synchronous")
            ]
        )

    assert asyncio.run(go()) == ["wal", 2]


def test_equal_large_values_and_files_are_stored_once(folder, open_journal, make):
    journal = open_journal()
    value = "x" * 100_000

    async def go():
        for run in ("r", "s"):
            await journal.create(make.record(run, files={"x.orch": "y" * 50_000}))
            await journal.append(run, [make.finished(task, value) for task in range(20)])

    asyncio.run(go())
    journal.close()
    assert (folder / "journal.db").stat().st_size < 300_000
    assert [event.value for event in journal.read("s")] == [value] * 20


def test_a_task_costs_few_bytes_besides_its_payload(folder, open_journal, make):
    journal = open_journal()
    rounds, tasks = 50, 20

    async def go():
        await journal.create(make.record("r"))
        for at in range(0, rounds * tasks, tasks):
            some = range(at, at + tasks)
            await journal.append("r", [make.started(task) for task in some])
            await journal.append("r", [make.finished(task, "x" * 1_000) for task in some])

    asyncio.run(go())
    journal.close()
    assert (folder / "journal.db").stat().st_size < 100_000 + rounds * tasks * (1_002 + 300)


def test_runs_on_several_loops_and_threads_share_one_database(folder, open_journal, make):
    journal = open_journal()
    errors = []

    async def one(run):
        await journal.create(make.record(run))
        for task in range(20):
            await journal.append(run, [make.started(task), make.finished(task, task)])

    def work(run):
        try:
            asyncio.run(one(run))
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=(f"r{i}",)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert [len(journal.read(f"r{i}")) for i in range(8)] == [40] * 8
    assert [path.name for path in folder.glob("journal*.db")] == ["journal.db"]


def test_an_append_whose_caller_is_cancelled_is_written_whole(open_journal, make):
    journal = open_journal()

    async def go():
        await journal.create(make.record("r"))
        task = asyncio.ensure_future(journal.append("r", [make.started(1), make.finished(1)]))
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait((task,))
        await journal.append("r", [make.started(2)])

    asyncio.run(go())
    assert len(journal.read("r")) == 3


def test_two_processes_write_at_once_and_see_one_journal(folder, owner, open_journal, make):
    journal = open_journal()

    async def go():
        await journal.create(make.record("ours", started_ms=8))
        await journal.append("ours", [make.started(1)])

    asyncio.run(go())
    assert sorted(p.name for p in folder.glob("*.db")) == ["journal-2.db", "journal.db"]
    assert [(r.run, r.live) for r in journal.runs()] == [("ours", True), ("theirs", True)]
    assert len(journal.read("theirs")) == len(journal.read("ours")) == 1
    assert journal.find("th") == "theirs"


def test_a_run_that_another_process_has_cannot_be_claimed(owner, open_journal, make):
    journal = open_journal()
    with pytest.raises(JournalError, match=f"the process {owner.pid} is driving the run") as caught:
        asyncio.run(journal.claim("theirs"))
    assert caught.value.help


def test_a_run_whose_process_was_killed_can_be_claimed_at_once(owner, open_journal, make):
    journal = open_journal()
    asyncio.run(journal.create(make.record("ours", started_ms=8)))  # in the second database
    owner.kill()
    owner.wait()
    assert [(r.run, r.live) for r in journal.runs()] == [("ours", True), ("theirs", False)]

    async def go():
        assert await journal.claim("theirs") == 2
        await journal.append("theirs", [make.started(1)])

    asyncio.run(go())
    assert journal.record("theirs").live
    assert len(journal.read("theirs")) == 2


def test_a_stale_epoch_cannot_write(folder, open_journal, make):
    """Somebody got past the lock (a file system that lies): the older owner must notice."""
    journal = open_journal()

    async def go():
        await journal.create(make.record("r"))
        await journal.create(make.record("s"))
        with sqlite3.connect(folder / "journal.db") as other:
            other.execute("UPDATE runs SET epoch = epoch + 1 WHERE run = 'r'")
        other.close()
        with pytest.raises(JournalError, match="another drive has taken over the run r"):
            await journal.append("r", [make.started(1)])
        await journal.append("s", [make.started(1)])

    asyncio.run(go())
    assert journal.read("r") == []
    assert len(journal.read("s")) == 1


def test_locks_and_files_are_given_back(folder, make):
    for run in ("a", "b"):
        with make.opened(folder) as journal:
            asyncio.run(journal.create(make.record(run)))
    assert sorted(path.name for path in folder.iterdir()) == [
        ".gitignore",
        "journal.db",
        "journal.db.lock",
        "journal.db.reserve",
    ]
    assert not [t for t in threading.enumerate() if t.name == "orch-journal"]


APPENDER = """
    import asyncio, sys
    from engine.events import CallFinished, CallStarted
    from engine.journal import RunRecord, SqliteJournal

    async def one(journal, run):
        record = RunRecord(run=run, workflow="x", orchestrator="o", started_ms=7)
        owned = await journal.create(record)
        for task in range(10**9):
            key = f"round {task} / decision 1 / task a{task}"
            await owned.append([CallStarted(key=key)])
            value = "v" * (task * 97 % 9000)
            await owned.append([CallFinished(key=key, value=value)])
            print(run, 2 * task + 2, flush=True)

    async def main():
        journal = SqliteJournal(sys.argv[1])
        await asyncio.gather(*(one(journal, f"r{i}") for i in range(3)))

    asyncio.run(main())
"""


@pytest.mark.parametrize("lines", [1, 40, 150])
def test_a_killed_process_leaves_everything_it_acknowledged_and_no_hole(folder, make, lines):
    process = run_python(APPENDER, folder)
    said = [process.stdout.readline() for _ in range(lines)]
    process.kill()
    said += process.communicate()[0].splitlines()
    acknowledged = {}
    for line in said:
        words = line.split()
        # The last line may have been cut in the middle; a number may then be too small only.
        if len(words) == 2:
            acknowledged[words[0]] = int(words[1])
    with make.opened(folder) as journal:
        for run, count in acknowledged.items():
            events, damage = journal.salvage(run)
            assert damage is None
            assert len(events) >= count
            for at, event in enumerate(events):
                assert event.key == f"round {at // 2} / decision 1 / task a{at // 2}"
            asyncio.run(journal.claim(run))
            asyncio.run(journal.append(run, [make.started(1)]))
            assert len(journal.read(run)) == len(events) + 1
