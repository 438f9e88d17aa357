"""Files that are no files, names that are no text, programs that are too much: a code for each."""

from __future__ import annotations

import json
import os
import socket

import orch_fork
import pytest

PROGRAM = """orch 1
model planner { id = "scripted/plan.json" }
worker look(q: string) -> string via command { run = ["true", q]  effect = read  timeout = 5s }
verifier boss(result: string) via human { message = "Good?"  timeout = 1h }
orchestrator main() -> string {
  model = planner
  goal = "Go."
  workers = [look]
  policy { max_rounds = 1 }
  verify { before_finish { with = boss  on_fail = abort } }
}
"""
ODD = os.fsdecode(b"odd\xff")
CHECKING = (
    "lint",
    "lint --fix",
    "lint --bounds",
    "fmt --check",
    "doc",
    "graph",
    "schema",
    "test",
    "run --no-journal",
)


@pytest.fixture
def orch(tmp_path):
    (tmp_path / "plan.json").write_text('[{"finish": "x"}]')

    def orch(*arguments, cwd=tmp_path):
        done = orch_fork.run_bytes(arguments, cwd=cwd)
        assert done.returncode != 70, done.stderr
        return done.returncode, done.stdout.decode(), done.stderr.decode()

    return orch


@pytest.mark.parametrize("command", CHECKING)
def test_a_pipe_in_the_place_of_a_program_is_refused_and_not_waited_for(orch, tmp_path, command):
    os.mkfifo(tmp_path / "a.orch")
    code, _, err = orch(*command.split(), "a.orch")
    assert code == 3
    assert "cannot read a.orch: it is not a regular file" in err


@pytest.mark.parametrize("path", ["/dev/null", "/dev/zero", "socket.orch", "loop.orch"])
def test_so_are_devices_sockets_and_circles(orch, tmp_path, path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    os.symlink("loop.orch", "loop.orch")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind("socket.orch")
        assert orch("lint", path)[0] == 3


def test_a_pipe_beside_good_files_hides_none_of_them(orch, tmp_path):
    os.mkfifo(tmp_path / "a.orch")
    (tmp_path / "b.orch").write_text(PROGRAM.replace("Go.", "Go {{ where }}."))
    code, out, err = orch("lint", ".")
    assert code == 3
    assert "not a regular file" in err
    assert "ORC303" in out


def test_a_configuration_that_is_a_pipe_is_told(orch, tmp_path):
    os.mkfifo(tmp_path / "orch.toml")
    (tmp_path / "a.orch").write_text(PROGRAM)
    code, _, err = orch("lint", "a.orch")
    assert code == 2
    assert "cannot read orch.toml: it is not a regular file" in err


@pytest.mark.parametrize("style", ["text", "json", "github", "sarif"])
def test_a_name_that_is_not_utf8_is_linted_like_any_other(orch, tmp_path, style):
    (tmp_path / f"{ODD}.orch").write_text(PROGRAM.replace("Go.", "Go {{ where }}."))
    for path in (f"{ODD}.orch", "."):
        code, out, _ = orch("lint", "--format", style, path)
        assert code == 1
        assert "ORC303" in out
    if style == "sarif":
        assert "odd%FF.orch" in out


def test_a_run_keeps_names_so_they_must_be_text(orch, tmp_path):
    (tmp_path / ODD).mkdir()
    for path in (tmp_path / f"{ODD}.orch", tmp_path / ODD / "a.orch"):
        path.write_text(PROGRAM)
        (path.parent / "plan.json").write_text('[{"finish": "x"}]')
        code, _, err = orch("run", path.name, cwd=path.parent)
        assert code == 2
        assert "is not UTF-8, and a run keeps the names of its files" in err


def test_a_journal_may_have_any_name(orch, tmp_path):
    (tmp_path / "a.orch").write_text(PROGRAM)
    journal = ("--journal", ODD)
    assert orch("run", "a.orch", *journal)[0] == 5
    assert json.loads(orch("gates", "--format", "json", *journal)[1])[0]["message"] == "Good?"
    for command in ("runs", "show", "export", "replay last"):
        code, out, _ = orch(*command.split(), *journal)
        assert code == 0
        assert out
    for told in (("approve", ODD), ("approve", "last", "--note", ODD), ("show", ODD)):
        assert orch(*told, *journal)[0] == 2
    assert orch("approve", "last", *journal)[:2] == (0, "x\n")


def _nested(open_, inside, close, times):
    return f"{open_ * times}{inside}{close * times}"


@pytest.mark.parametrize(
    "text",
    [
        f"param p: int = {_nested('(', '1', ')', 3000)}\n",
        f"param p: int = {'-' * 50_000}1\n",
        f"param p: int = {'1' + ' + 1' * 10_000}\n",
        f"schema A {{ x: {_nested('{ y: ', 'int', ' }', 2000)} }}\n",
        f"schema A {{ x: int{'[]' * 5000} }}\n",
        "{" * 50_000,
        "\0" * 50_000,
        'schema T from "deep.json"\n',
        f"// {'x' * 2_000_000}\n",
    ],
    ids=["brackets", "signs", "sums", "records", "lists", "open", "nul", "json", "long"],
)
def test_a_program_that_is_too_much_ends_in_findings(orch, tmp_path, text):
    (tmp_path / "deep.json").write_text(_nested('{"properties":{"a":', "{}", "}}", 3000))
    (tmp_path / "a.orch").write_text(f"orch 1\n{text}")
    code, out, err = orch("lint", "a.orch")
    assert code in (0, 1)
    assert "in 1 file" in out
    assert err == ""


def test_a_file_over_the_limit_is_told(orch, tmp_path):
    (tmp_path / "a.orch").write_bytes(b"x" * 10_000_001)
    code, _, err = orch("lint", "a.orch")
    assert code == 3
    assert "larger than 10 MB" in err
