"""What a repository, a model or a file name says gives a terminal no orders, on any command."""

from __future__ import annotations

import io
import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

import engine
from engine.cli import app
from engine.printable import escaped, printable

CLI = Path(app.__file__).parent

#: An escape sequence, a C1 introducer, marks of direction, a bell.
EVIL = "\x1b]0;owned\x07\x9b2J\u202e\u061c\u2066\x85"
ORDERS = re.compile(
    r"\x1b(?!\[[0-9;]*m)|[\x07\x80-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]"
)

PROGRAM = """orch 1
model planner { id = "scripted/plan.json" }
/// EVIL
worker look(q: string) -> string via command { run = ["true", q]  effect = read  timeout = 5s }
verifier short(result: string) via rules { assert result | length < 2 else "EVIL" }
orchestrator main(note: string = "EVIL") -> string {
  model = planner
  goal = "EVIL {{ note }}"
  workers = [look]
  policy { max_rounds = 1 }
  verify { before_finish { with = short  on_fail = escalate } }
}
test "EVIL" for main { mock orchestrator { script = [{ finish: "EVIL" }] } }
"""


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., str]:
    """Run a command line on a terminal; gives what it wrote to both streams."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TERM", "dumb")
    (tmp_path / "a.orch").write_text(PROGRAM.replace("EVIL", EVIL))
    (tmp_path / "plan.json").write_text(json.dumps([{"finish": EVIL}]))

    def shown(*arguments: str) -> str:
        out, err = Terminal(), Terminal()
        monkeypatch.setattr("sys.stdout", out)
        monkeypatch.setattr("sys.stderr", err)
        assert app.run(list(arguments)) != 70
        return out.getvalue() + err.getvalue()

    return shown


@pytest.mark.parametrize(
    "line",
    [
        "lint a.orch",
        "lint --format github a.orch",
        "lint --format json a.orch",
        "lint --format sarif a.orch",
        "lint --diff --unsafe-fixes --select ALL,ORC905 a.orch",
        "lint --bounds a.orch",
        f"lint {EVIL}.orch",
        f"lint --select {EVIL} a.orch",
        "fmt --diff a.orch",
        "doc a.orch",
        "graph a.orch",
        "graph --format dot a.orch",
        "schema a.orch main",
        "test a.orch",
        "test --format junit a.orch",
        f"run a.orch {EVIL}",
        f"run a.orch -i note={EVIL} --no-journal",
        f"explain {EVIL}",
        f"show {EVIL}",
    ],
    ids=lambda line: line.replace(EVIL, "EVIL"),
)
def test_no_command_writes_what_a_terminal_obeys(shown: Callable[..., str], line: str) -> None:
    assert not ORDERS.search(shown(*line.split(" ")))


def test_nor_does_one_about_a_run(shown: Callable[..., str]) -> None:
    assert not ORDERS.search(shown("run", "a.orch", "-i", f"note={EVIL}"))
    for line in (
        "runs",
        "gates",
        "show",
        "show --events",
        "tail",
        "tail --format json",
        "export",
        "replay",
        "diff last last",
    ):
        text = shown(*line.split())
        assert text
        assert not ORDERS.search(text), line


def test_nor_does_a_configuration_with_a_bad_key(shown: Callable[..., str]) -> None:
    key = json.dumps(EVIL)
    Path("orch.toml").write_text(f"[lint]\n{key} = 1\n")
    text = shown("lint", "a.orch")
    assert "unknown key" in text
    assert not ORDERS.search(text)


def test_a_file_whose_name_is_evil_is_named_without_harm(shown: Callable[..., str]) -> None:
    name = f"b{EVIL}.orch".replace("/", "")
    shutil.copy("a.orch", name)
    for command in ("lint", "fmt", "test", "graph", "doc", "lint --format github"):
        assert not ORDERS.search(shown(*command.split(), name)), command


def test_an_export_says_the_same_whoever_reads_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("a.orch").write_text(PROGRAM.replace("EVIL", EVIL))
    Path("plan.json").write_text(json.dumps([{"finish": EVIL}]))
    engine.load("a.orch").run(journal=".orch")
    assert app.run(["export"]) == 0
    events = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert events[0]["input"] == {"note": EVIL}


def test_a_text_that_is_piped_stays_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    app.echo(f"{EVIL}\x1b[1mbold\x1b[0m")
    assert capsys.readouterr().out == f"{EVIL}\x1b[1mbold\x1b[0m\n"


def test_what_is_replaced_and_what_is_not() -> None:
    assert (
        printable("tab\tline\né 漢 👩\u200d🔬 \u0646\u200c")
        == "tab\tline\né 漢 👩\u200d🔬 \u0646\u200c"
    )
    assert printable("a\x1b[31mb\x1b]0;t\x07c\r\nd\re") == "abc\nd\ufffde"
    assert not ORDERS.search(printable("".join(map(chr, range(0x3000)))))
    assert json.loads(escaped(json.dumps(EVIL, ensure_ascii=False))) == EVIL
    assert not ORDERS.search(escaped(json.dumps(EVIL, ensure_ascii=False)))


def test_commands_write_through_one_door() -> None:
    """`engine.cli.output.echo` is what makes a text printable; nothing goes past it."""
    past = [
        path.name
        for path in sorted(CLI.glob("*.py"))
        if path.name != "output.py" and re.search(r"click\.s?echo\(", path.read_text())
    ]
    assert past == []
