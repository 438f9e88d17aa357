"""`orch lint --watch` as a process: it waits for real changes of real files."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys

import pytest

PROGRAM = """\
orch 1
import "shared/models.orch" as shared
schema Ticket from "ticket.schema.json"
worker look(t: Ticket) -> string via llm { model = shared.m  prompt = file("look.j2") }
worker count(n: int) -> int via python { call = "tools:count" }
"""
FILES = {
    "orch.toml": "",
    "flows/a.orch": PROGRAM.replace("shared/", "../shared/"),
    "shared/models.orch": 'orch 1\nmodel m { id = "openai/x" }\n',
    "flows/ticket.schema.json": json.dumps(
        {
            "type": "object",
            "properties": {"title": {"type": "string"}},
            "required": ["title"],
            "additionalProperties": False,
        }
    ),
    "flows/look.j2": "{{ t.title }}",
    "flows/tools.py": "def count(n):\n    return n\n",
    "flows/notes.bin": "",
}


class Watcher:
    """A process that watches; `shown` waits until it has shown something and waits itself."""

    def __init__(self, folder, *arguments, **options):
        self.process = subprocess.Popen(
            [sys.executable, "-m", "engine.cli", "lint", "--watch", *arguments],
            cwd=folder,
            stdin=subprocess.DEVNULL,
            **{"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, **options},
        )

    def shown(self) -> str:
        lines = []
        for line in self.process.stdout:
            if line.startswith(b"waiting for changes"):
                return b"".join(lines).decode()
            lines.append(line)
        raise AssertionError(b"".join(lines).decode())

    def until(self, text: str) -> str:
        """What was shown when it held a text; a file that is written may be seen half."""
        while text not in (shown := self.shown()):
            pass
        return shown

    def interrupt(self) -> str:
        self.process.send_signal(signal.SIGINT)
        left = self.process.stdout.read().decode()
        self.process.stdout.close()
        assert self.process.wait(60) == 130
        return left


@pytest.fixture
def watch(tmp_path):
    started = []
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)

    def start(*arguments):
        started.append(Watcher(tmp_path, *arguments))
        return started[-1]

    yield start
    for each in started:
        each.process.kill()
        each.process.wait()


def test_every_file_that_is_involved_counts(watch, tmp_path):
    watcher = watch("flows/a.orch")
    assert watcher.shown().startswith("no problems found in 1 file")

    for name, old, new, found in (
        ("shared/models.orch", "model m", "model n", "shared.m"),
        ("flows/look.j2", "title", "titel", "ORC302"),
        ("flows/ticket.schema.json", "title", "topic", "ORC302"),
        ("flows/tools.py", "count(n)", "count(m)", "ORC505"),
        ("flows/a.orch", "prompt = ", "promt = ", "ORC103"),
    ):
        path = tmp_path / name
        before = path.read_text()
        path.write_text(before.replace(old, new))
        watcher.until(found)
        path.write_text(before)
        watcher.until("no problems found in 1 file")

    watcher.interrupt()


def test_new_files_and_folders_of_a_folder_count(watch, tmp_path):
    watcher = watch("flows")
    assert "in 1 file\n" in watcher.shown()

    (tmp_path / "flows" / "new").mkdir()
    (tmp_path / "flows" / "new" / "b.orch").write_text("orch 1\nmodle m { id = 1 }\n")

    assert "flows/new/b.orch:2:1" in watcher.until("in 2 files")
    watcher.interrupt()


def test_a_file_that_goes_and_comes_back_is_told(watch, tmp_path):
    watcher = watch("flows/a.orch")
    watcher.shown()
    (tmp_path / "flows" / "a.orch").rename(tmp_path / "flows" / "b.txt")
    watcher.until("error: cannot read flows/a.orch: it does not exist")
    (tmp_path / "flows" / "b.txt").rename(tmp_path / "flows" / "a.orch")
    watcher.until("no problems found")
    watcher.interrupt()


def test_a_broken_configuration_is_told_and_waited_for(watch, tmp_path):
    watcher = watch("flows")
    watcher.shown()
    (tmp_path / "flows" / "orch.toml").write_text("[lint]\nselct = []\n")
    watcher.until("error: flows/orch.toml:2: unknown key `selct`")
    (tmp_path / "flows" / "orch.toml").write_text('[lint]\nignore = ["ALL"]\n')
    watcher.until("no problems found")
    watcher.interrupt()


def test_a_terminal_is_cleared_and_a_pipe_is_not(watch, tmp_path):
    watcher = watch("flows")
    assert "\x1b[2J" not in watcher.shown()
    watcher.interrupt()

    controller, terminal = os.openpty()
    with open(controller, "rb", buffering=0) as screen:
        shown = Watcher(tmp_path, "flows", stdout=terminal, stderr=terminal)
        os.close(terminal)
        text = b""
        while b"waiting for changes" not in text:
            text += screen.read(4096)
        shown.process.send_signal(signal.SIGINT)
        assert shown.process.wait(60) == 130
    assert text.startswith(b"\x1b[2J")
