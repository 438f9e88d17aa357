"""Pages that can be followed, carried out: their files written, their commands given and compared.

What a run prints differs from time to time in ids and durations; both are taken out on both
sides. A line of dots stands for any lines.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from doc_pages import BLOCKS, Block

#: Pages that can be followed, and how many commands they have.
PAGES = {"docs/tutorial/first-workflow.md": 8, "docs/howto/steps.md": 2}


def neutral(line: str) -> str:
    """A line without what differs from run to run."""
    line = re.sub(r"\d{8}-\d{6}-[0-9a-f]{6,10}", "RUN", line.rstrip())
    line = re.sub(r"\b[\d.]+ (ms|s)\b", "TIME", line)
    return re.sub(r" +", " ", line)


def carry_out(command: str, folder: Path) -> tuple[int, list[str]]:
    """Give a command; its exit code and the lines it printed."""
    words = command.split()
    environment = {k: v for k, v in os.environ.items() if not k.startswith("ORCH_")}
    while "=" in words[0]:
        name, _, value = words.pop(0).partition("=")
        environment[name] = value
    assert words.pop(0) == "orch"
    done = subprocess.run(
        [sys.executable, "-m", "engine.cli", *words],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=60,
        check=False,
    )
    return done.returncode, done.stdout.splitlines()


def missing(block: Block, printed: list[str]) -> list[str]:
    """The lines of a block that were not printed, in this order."""
    left = [neutral(line) for line in printed]
    lost = []
    for line in block.text.splitlines()[1:]:
        wanted = neutral(line)
        if wanted == "...":
            continue
        at = next((n for n, found in enumerate(left) if found.startswith(wanted)), None)
        if at is None:
            lost.append(line)
        else:
            left = left[at + 1 :]
    return lost


def recorded(folder: Path) -> list[str]:
    """What models were asked, in all recordings of a folder."""
    files = [json.loads(path.read_text("utf-8")) for path in folder.glob("recording/*.json")]
    asked = [file["request"]["messages"] for file in files if "request" in file]
    return [message["content"] for messages in asked for message in messages]


@pytest.mark.skipif(sys.platform == "win32", reason="the journal needs flock")
@pytest.mark.parametrize("page", PAGES)
def test_the_page_can_be_followed(page, tmp_path):
    commands = 0
    for block in BLOCKS:
        if block.page != page:
            continue
        name, more = block.word("file"), block.word("append")
        if name is not None:
            (tmp_path / name).write_text(block.text, encoding="utf-8")
        elif more is not None:
            with (tmp_path / more).open("a", encoding="utf-8") as file:
                file.write("\n" + block.text)
        elif block.language == "console":
            command = block.text.splitlines()[0].removeprefix("$ ")
            code, printed = carry_out(command, tmp_path)
            assert (code != 0) == ("fails" in block.words), (command, printed)
            assert missing(block, printed) == [], "\n".join(printed)
            commands += 1
        elif block.language == "text":
            assert any(block.text.strip() in prompt for prompt in recorded(tmp_path)), block
    assert commands == PAGES[page]
