"""What goes wrong with a journal, as a user meets it: real processes, real disks, the command line.

Whatever it is, it is said in words with the right exit code, nothing is started that cannot be
written down, what was good stays as it was, and when the fault is gone the run goes on.
"""

from __future__ import annotations

import contextlib
import json
import os
import resource
import shutil
import signal
import sqlite3
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import crash_child
import pytest
from crash_child import Kill
from crash_journals import JOURNALS, restore
from crash_world import OUTPUT, UNDISTURBED, Account, World

from engine.events import FORMAT, CallFinished
from engine.journal import SqliteJournal

LONG = int(os.environ.get("ORCH_CRASHES", "0")) >= 100


def check(world: World, report: dict[str, Any]) -> None:
    """The run has come to its end, and what may happen once did."""
    assert (report["status"], report["output"]) == ("finished", OUTPUT)
    done = world.done()
    assert done.keys() == UNDISTURBED.keys()
    for line, (effect, _) in UNDISTURBED.items():
        assert effect != "once" or done[line] == 1
    assert world.orders() == {"lamp": 1, "vase": 1}
    assert Account(world.events()).reported == report["lost"]


def wait_until(true: Callable[[], bool]) -> None:
    """Wait for something another process does."""
    while not true():
        time.sleep(0.005)


def contents(folder: Path) -> dict[str, bytes]:
    """The databases in a folder, byte for byte; a reader may leave a log that is empty."""
    found = {p.name: p.read_bytes() for p in folder.iterdir() if p.suffix in (".db", ".db-wal")}
    return {name: data for name, data in found.items() if data}


def mounted(arguments: list[str], place: Path) -> None:
    place.mkdir()
    mount = ["mount", *arguments, str(place)]
    if shutil.which("mount") is None or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("needs the right to mount a file system")


@pytest.fixture
def disk(new_world) -> Iterator[World]:
    """A world whose journal has a small disk to itself."""
    world = new_world()
    mounted(["-t", "tmpfs", "-o", "size=1536k", "tmpfs"], world.journal)
    yield world
    subprocess.run(["umount", "-l", str(world.journal)], check=True)


def fill(place: Path) -> Path:
    """Leave no room on a disk."""
    filler = place / "filler"
    with filler.open("ab", buffering=0) as file, contextlib.suppress(OSError):
        for size in (4096, 1):
            while file.write(b"x" * size):
                pass
    return filler


# ---------------------------------------------------------------- no room


def test_a_disk_that_fills_up_keeps_what_was_paid_for(disk):
    holds = [disk.hold(line) for line in ("reserve lamp", "reserve vase", "charge")]
    process = disk.start("run")
    for hold in holds:
        hold.arrived.wait()
    filler = fill(disk.journal)
    before = disk.done()
    for hold in holds:
        hold.release.set()
    code, stdout, stderr = process.wait()

    assert (code, stdout) == (1, "")
    assert "no space left for" in stderr
    assert "resume with: orch resume" in stderr
    assert disk.done() == before
    ends = {e.key for e in disk.events() if isinstance(e, CallFinished)}
    assert {f"round 2 / decision 1 / task {task}" for task in ("r1", "r2", "c")} <= ends

    fill(disk.journal)  # The process has tidied up after itself, and so made some room.
    code, _, stderr = disk.orch("resume", "last")
    assert code == 3
    assert "no space left for" in stderr
    assert disk.done() == before
    assert disk.orch("show")[0] == disk.orch("runs")[0] == 0

    filler.unlink()
    report = disk.settle()
    check(disk, report)
    assert report["lost"] == 0


def test_a_disk_that_is_full_already_can_be_looked_at(disk):
    filler = fill(disk.journal)
    code, _, stderr = disk.orch("run")
    assert (code, "No space left" in stderr) == (3, True)
    filler.unlink()
    assert disk.orch("run")[0] == 5  # a gate
    assert (disk.journal / ".gitignore").read_text() == "*\n"
    before = contents(disk.journal)

    filler = fill(disk.journal)
    code, shown, _ = disk.orch("runs", "--format", "json")
    assert (code, json.loads(shown)[0]["status"]) == (0, "waiting")
    for looking in (["show"], ["gates"], ["export"], ["replay"]):
        assert disk.orch(*looking)[0] == 0
    for writing in (["approve", "last"], ["cancel", "last"], ["runs", "rm", "last", "--force"]):
        code, _, stderr = disk.orch(*writing)
        assert (code, "no space left for" in stderr) == (3, True)
    assert contents(disk.journal) == before

    filler.unlink()
    check(disk, disk.settle())


def test_killed_while_the_disk_is_full(disk):
    held = {line: disk.hold(line) for line in ("reserve lamp", "reserve vase", "charge")}
    process = disk.start("run")
    for hold in held.values():
        hold.arrived.wait()
    filler = fill(disk.journal)
    held["charge"].release.set()
    charged = "round 2 / decision 1 / task c"
    wait_until(lambda: any(isinstance(e, CallFinished) and e.key == charged for e in disk.events()))
    process.kill()
    assert process.wait()[0] == -signal.SIGKILL
    for hold in held.values():
        hold.release.set()

    filler.unlink()
    report = disk.settle()
    check(disk, report)
    # The charge had been paid for, and was in the reserve when the process died.
    assert report["lost"] == 2


@pytest.mark.skipif(not hasattr(resource, "prlimit"), reason="limits of others are Linux's")
def test_a_limit_on_the_size_of_files_stops_the_run(new_world):
    world = new_world()
    hold = world.hold("charge")
    process = world.start("run")
    hold.arrived.wait()
    others = {f"round 2 / decision 1 / task {task}" for task in ("r1", "r2")}
    wait_until(lambda: others <= {e.key for e in world.events() if isinstance(e, CallFinished)})
    size = (world.journal / "journal.db-wal").stat().st_size
    resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (size, size))
    hold.release.set()
    code, stdout, stderr = process.wait()
    assert (code, stdout) == (1, "")
    assert "error: the journal " in stderr
    assert "resume with: orch resume" in stderr
    # The charge's end did not fit, so a person is asked what became of it.
    report = world.settle()
    check(world, report)
    assert report["lost"] == 1


# ---------------------------------------------------------------- nothing can be written


def crashed(world: World, write: int = 12) -> None:
    """Leave a run that was killed, with what it wrote still in the write-ahead log."""
    assert world.killed(crash_child.begin, Kill(write, "after"))
    assert (world.journal / "journal.db-wal").stat().st_size > 0


def test_a_read_only_disk_can_be_looked_at(disk):
    crashed(disk)
    events, done = disk.events(), disk.done()
    subprocess.run(["mount", "-o", "remount,ro", str(disk.journal)], check=True)

    assert disk.events() == events
    code, stdout, stderr = disk.orch("show")
    assert (code, stderr) == (0, "")
    assert "s1 stock" in stdout
    assert disk.orch("runs")[0] == 0
    for command in (["resume", "last"], ["cancel", "last"], ["run"]):
        code, _, stderr = disk.orch(*command)
        assert code == 3
        assert "cannot be" in stderr
        assert "Read-only file system" in stderr or "is read-only" in stderr
        assert "with --journal" in stderr
    assert disk.done() == done

    subprocess.run(["mount", "-o", "remount,rw", str(disk.journal)], check=True)
    check(disk, disk.settle())


def test_a_database_locked_for_a_while_is_waited_for(new_world):
    world = new_world()
    hold = world.hold("charge")
    process = world.start("run")
    hold.arrived.wait()
    other = sqlite3.connect(world.journal / "journal.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    hold.release.set()
    other.execute("ROLLBACK")
    other.close()
    assert process.wait()[0] == 5
    check(world, world.settle())


@pytest.mark.skipif(not LONG, reason="waits five seconds; `make test-crash` runs it")
def test_a_database_locked_for_long_stops_the_run(new_world):
    world = new_world()
    hold = world.hold("charge")
    process = world.start("run")
    hold.arrived.wait()
    before = world.done()
    other = sqlite3.connect(world.journal / "journal.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    hold.release.set()
    code, _, stderr = process.wait()
    assert code == 1
    assert "locked by another program" in stderr
    assert "close what has the file open" in stderr
    assert world.done() - before <= Counter({"reserve lamp": 1, "reserve vase": 1})
    other.execute("ROLLBACK")
    other.close()
    # Nobody knows what became of the charge: its answer could not be written down.
    check(world, world.settle())


# ---------------------------------------------------------------- damage


def test_a_log_cut_at_any_byte_gives_the_part_before(new_world):
    whole = new_world()
    crashed(whole)
    events = whole.events()
    size = (whole.journal / "journal.db-wal").stat().st_size
    lengths = set()
    for cut in range(size - 1, 0, -size // 8 | 1):
        world = new_world()
        shutil.copytree(whole.journal, world.journal)
        os.truncate(world.journal / "journal.db-wal", cut)
        (world.journal / "journal.db-shm").unlink()
        kept = world.events()
        assert kept == events[: len(kept)]
        lengths.add(len(kept))
        assert (world.orch("show")[0] == 0) == bool(kept)
    assert len(lengths) > 3


def test_a_log_damaged_in_the_middle_is_not_written_over(new_world):
    whole = new_world()
    crashed(whole)
    events = whole.events()
    log = (whole.journal / "journal.db-wal").read_bytes()
    frame = 24 + 8192
    commits = [at for at in range(32, len(log), frame) if any(log[at + 4 : at + 8])]
    assert len(commits) > 8
    refused = 0
    for at in commits[2:]:
        world = new_world()
        shutil.copytree(whole.journal, world.journal)
        (world.journal / "journal.db-wal").write_bytes(log[:at] + bytes(24) + log[at + 24 :])
        (world.journal / "journal.db-shm").unlink()
        before = contents(world.journal)
        # A commit that is behind the damage, and one more that could have been torn by the crash.
        if sum(other > at for other in commits) < 2:
            assert len(world.events()) < len(events)
            continue
        with SqliteJournal(world.journal) as journal:
            runs = journal.runs()
            good, damage = journal.salvage(runs[0].run) if runs else ([], None)
        assert good == events[: len(good)]
        if good:
            assert damage == f"event {len(good) + 1} and others are lost in a damaged log"
            assert "the journal of this run is damaged" in world.orch("show")[2]
        code, _, stderr = world.orch("runs")
        assert (code, "runs may be missing here" in stderr) == (0, True)
        for command in (["resume", "last"], ["run"], ["runs", "rm", "last", "--force"]):
            code, _, stderr = world.orch(*command)
            assert code in (2, 3)
            assert "log is damaged after" in stderr or "no run" in stderr
        assert contents(world.journal) == before
        assert world.done() == {}
        refused += 1
    assert refused > 8


@pytest.fixture
def ended(new_world) -> World:
    """A world with two runs that have ended, all of it in the database."""
    world = new_world()
    for _ in range(2):
        world.run()
        assert world.orch("approve", "last")[0] == 0
    assert not (world.journal / "journal.db-wal").exists()
    return world


def smash(path: Path, text: bytes) -> None:
    """Overwrite a text in a file with zeros, as a disk that lost a sector would."""
    whole = path.read_bytes()
    assert text in whole
    path.write_bytes(whole.replace(text, bytes(len(text))))


def test_of_a_damaged_run_the_good_part_is_shown_and_nothing_is_overwritten(new_world):
    world = new_world()
    world.run()
    smash(world.journal / "journal.db", b"round 2 / decision 1 / task")
    before = contents(world.journal)
    with SqliteJournal(world.journal) as journal:
        run = journal.find("last")
        good, damage = journal.salvage(run)
    assert len(good) > 10

    code, stdout, stderr = world.orch("show", "last")
    assert code == 0, stderr
    assert "round 1 (2 decisions asked for)" in stdout
    assert f"the journal of this run is damaged: {damage}" in stderr
    assert "what comes before that is shown" in stderr
    assert contents(world.journal) == before
    for command in ("resume", "approve", "cancel"):
        code, stdout, stderr = world.orch(command, "last")
        assert (code, stdout) == (3, "")
        assert "is damaged: event " in stderr
        assert "the run cannot be resumed" in stderr
    with SqliteJournal(world.journal) as journal:
        assert journal.salvage(run) == (good, damage)
    # Other runs go on beside it.
    world.run()
    assert world.settle()["output"] == OUTPUT


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.9])
def test_a_database_cut_short_is_told_and_left_alone(ended, share):
    path = ended.journal / "journal.db"
    os.truncate(path, int(path.stat().st_size * share))
    before = contents(ended.journal)
    for command in (["runs"], ["show", "last"], ["resume", "last"]):
        code, _, stderr = ended.orch(*command)
        if share == 0:
            assert code in (0, 2)
            assert "no run" in stderr
        elif code != 0:
            assert code == 3
            assert "damaged" in stderr or "not a" in stderr
    assert contents(ended.journal) == before


@pytest.mark.parametrize("how", ["deleted", "truncated", "moved", "log deleted", "log truncated"])
def test_a_journal_that_goes_away_stops_the_run_before_it_spends_more(new_world, how):
    world = new_world()
    world.run()
    world.orch("approve", "last")
    (world.folder / "log").write_text("")
    hold = world.hold("charge")
    process = world.start("run")
    hold.arrived.wait()
    database = world.journal / "journal.db"
    log = world.journal / "journal.db-wal"
    match how:
        case "deleted":
            shutil.rmtree(world.journal)
        case "truncated":
            os.truncate(database, 0)
        case "moved":
            world.journal.rename(world.folder / "elsewhere")
        case "log deleted":
            log.unlink()
        case "log truncated":
            os.truncate(log, 0)
    hold.release.set()
    code, stdout, stderr = process.wait()
    assert (code, stdout) == (1, "")
    assert "deleted, replaced or cut short while it was in use" in stderr
    assert stderr.endswith("\ninterrupted\n")
    # The one call that was held back, and those beside it: nothing was decided after them.
    assert not any("send" in line or "pack 3" in line for line in world.done())
    decisions = [line for line in stderr.splitlines() if line.startswith("round 3")]
    assert decisions == []


# ---------------------------------------------------------------- not ours, newer, older


def stranger(path: Path) -> None:
    with contextlib.closing(sqlite3.connect(path)) as other:
        other.execute("CREATE TABLE shopping (item)")
        other.execute("INSERT INTO shopping VALUES ('eggs')")
        other.commit()


def newer(path: Path) -> None:
    with contextlib.closing(sqlite3.connect(path)) as other:
        other.execute("UPDATE meta SET value = 99 WHERE key = 'format'")
        other.commit()


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (stranger, "is not a journal: it is a database of something else"),
        (lambda path: path.write_bytes(b"eggs, milk\n" * 1000), "is not a SQLite database"),
        (newer, "was written by a newer version of orch"),
    ],
    ids=["another database", "another file", "a newer journal"],
)
def test_a_file_that_is_not_for_this_version_is_left_alone(new_world, make, said):
    world = new_world()
    if make is newer:
        world.run()
    else:
        world.journal.mkdir()
    make(world.journal / "journal.db")
    before = contents(world.journal)
    done = world.done()
    for command in (["run"], ["runs"], ["show"], ["gates"], ["resume", "last"]):
        code, stdout, stderr = world.orch(*command)
        assert (code, stdout) == (3, ""), command
        assert said in stderr
        assert "help: " in stderr
    assert contents(world.journal) == before
    assert world.done() == done


def test_a_journal_of_the_present_format_is_kept():
    assert (JOURNALS / f"format-{FORMAT}.sql").exists(), "see crash_journals.py"


@pytest.mark.parametrize("kept", sorted(JOURNALS.iterdir()), ids=lambda path: path.stem)
def test_a_journal_of_an_older_version_is_read_and_gone_on_with(new_world, kept):
    world = new_world()
    world.journal.mkdir()
    restore(kept, world.journal / "journal.db", world.folder)
    (one,) = json.loads(world.orch("runs", "--format", "json")[1])
    assert one["status"] == "waiting"
    # Its gate is open for two hours, so it has to be answered in its own time.
    began = datetime.fromisoformat(one["started"]).timestamp()
    (world.folder / "clock").write_text(str(began + 60 - time.time()))
    assert "waits for a person about o send: Send a lamp and a vase?" in world.orch("show")[1]
    assert world.orch("approve", "last")[0] == 3  # its owner cannot be known
    assert world.orch("journal", "trust")[0] == 0
    code, stdout, stderr = world.orch("approve", "last")
    assert code == 0, stderr
    assert json.loads(stdout) == OUTPUT
    assert world.done() == {"send": 1}


# ---------------------------------------------------------------- the clock


@pytest.mark.parametrize("hours", [-1, 1])
def test_a_clock_that_jumps_during_a_run_changes_nothing(new_world, hours):
    world = new_world()
    hold = world.hold("charge")
    process = world.start("run")
    hold.arrived.wait()
    (world.folder / "clock").write_text(str(hours * 3600))
    hold.release.set()
    assert process.wait()[0] == 5
    report = world.settle()
    check(world, report)
    assert report["time_ms"] < 3_600_000
    moments = [event.at for event in world.events()]
    assert moments == sorted(moments)


def test_a_gate_is_open_for_its_time_whatever_the_clock_did_before(new_world):
    world = new_world()
    world.run()
    (world.folder / "clock").write_text("-3600")
    code, stdout, _ = world.orch("gates", "--format", "json")
    assert code == 0
    assert 0 < json.loads(stdout)[0]["left_ms"] <= 7_200_000
    (world.folder / "clock").write_text("3600")
    check(world, world.settle())


def test_a_gate_whose_time_has_run_out_is_not_answered_any_more(new_world):
    world = new_world()
    world.run()
    (world.folder / "clock").write_text(str(3 * 3600))
    code, _, stderr = world.orch("approve", "last")
    assert code == 2
    assert "was not answered in time; use `orch resume`" in stderr
    assert world.orch("resume", "last")[0] == 6
    assert world.done()["send"] == 0


def test_the_last_run_is_the_last_though_the_clock_went_back(new_world):
    world = new_world()
    world.run()
    world.orch("approve", "last")
    first = json.loads(world.orch("runs", "--format", "json")[1])[0]["run"]
    (world.folder / "clock").write_text("-3600")
    world.run()
    listed = [one["run"] for one in json.loads(world.orch("runs", "--format", "json")[1])]
    assert listed[1:] == [first]
    assert json.loads(world.orch("show", "last", "--format", "json")[1])["run"] == listed[0]


# ---------------------------------------------------------------- two processes


def test_a_second_process_that_resumes_is_refused(new_world):
    world = new_world()
    hold = world.hold("charge")
    process = world.start("run")
    hold.arrived.wait()
    code, stdout, stderr = world.orch("resume", "last")
    assert (code, stdout) == (3, "")
    assert "is being driven by another process" in stderr
    hold.release.set()
    assert process.wait()[0] == 5
    check(world, world.settle())
    assert world.done() == {line: usual for line, (_, usual) in UNDISTURBED.items()}


def test_an_owner_that_slept_through_a_takeover_does_no_more(new_world):
    world = new_world()
    hold = world.hold("charge")
    sleeper = world.start("run")
    hold.arrived.wait()
    others = {f"round 2 / decision 1 / task {task}" for task in ("r1", "r2")}
    wait_until(lambda: others <= {e.key for e in world.events() if isinstance(e, CallFinished)})
    sleeper.kill(signal.SIGSTOP)
    # Nothing but this can take a lock from a process that is stopped.
    (world.journal / "journal.db.lock").unlink()
    report = world.settle()
    done = world.done()

    hold.release.set()
    sleeper.kill(signal.SIGCONT)
    code, stdout, stderr = sleeper.wait()
    assert (code, stdout) == (1, "")
    assert "another drive has taken over the run" in stderr
    assert stderr.endswith("\ninterrupted\n")
    assert world.done() == done
    check(world, report)
    assert json.loads(world.orch("resume", "last", "--format", "json")[1])["status"] == "finished"


def test_a_gate_answered_from_many_processes_is_answered_once(new_world):
    world = new_world()
    world.run()
    answers = [world.start("approve", "last") for _ in range(4)]
    codes = [process.wait()[0] for process in answers]
    assert codes.count(0) == 1
    assert set(codes) <= {0, 2, 3}
    check(world, world.settle())
    assert world.done()["send"] == 1


def test_two_gates_answered_at_once_from_two_processes(new_world):
    world = new_world("gates")
    assert world.orch("run")[0] == 5
    waiting = {"a", "b"}
    while waiting:
        answers = {task: world.start("approve", "last", "--task", task) for task in waiting}
        ends = {task: process.wait() for task, process in answers.items()}
        refused = {task for task, (code, _, _) in ends.items() if code == 3}
        for task in refused:
            # Whoever comes second is told so, and asks again when the first has gone.
            assert "driv" in ends[task][2]
        assert len(refused) < len(waiting), ends
        waiting = refused
    report = json.loads(world.orch("resume", "last", "--format", "json")[1])
    assert (report["status"], report["output"]) == ("finished", 2)
    assert world.done() == {"a lamp": 1, "a vase": 1}
