"""Shell completion: the scripts parse in their shells, and the answers are what fits."""

from __future__ import annotations

import os
import shutil
import subprocess

import orch_fork
import pytest

PROGRAM = """\
orch 1
model planner { id = "scripted/none.json" }
worker find() -> string via command { run = ["true"]  effect = read }
orchestrator alpha() -> string {
  model = planner
  goal = "x"
  workers = [find]
  policy { max_rounds = 1 }
}
"""


def orch(*arguments, cwd=None, **env):
    base = {k: v for k, v in os.environ.items() if not k.startswith(("ORCH_", "_ORCH_"))}
    return orch_fork.run(arguments, cwd=cwd, environment={**base, **env})


def completed(line, cwd=None):
    """What a shell offers at the end of a line: `(word, help)` each."""
    words = line.split(" ")
    done = orch(cwd=cwd, _ORCH_COMPLETE="fish_complete", COMP_WORDS=line, COMP_CWORD=words[-1])
    assert done.stderr == ""
    offered = [row.partition(",")[2].partition("\t") for row in done.stdout.splitlines()]
    return [(word, help) for word, _, help in offered if word]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_script_asks_orch(shell):
    done = orch("completion", shell)

    assert done.returncode == 0
    assert f"_ORCH_COMPLETE={shell}_complete" in done.stdout
    if shutil.which(shell):
        subprocess.run([shell, "-n"], input=done.stdout, text=True, check=True)


def test_without_a_name_it_is_the_users_shell():
    assert orch("completion", SHELL="/usr/bin/fish").stdout == orch("completion", "fish").stdout


def test_an_unknown_shell_has_to_be_named():
    done = orch("completion", SHELL="/bin/tcsh")

    assert done.returncode == 2
    assert done.stderr.endswith("help: name one: bash, zsh, fish\n")


def test_commands_options_and_rules_are_completed():
    assert [word for word, _ in completed("orch ru")] == ["run", "runs"]
    assert ("--format", "How to show it.") in completed("orch explain --f")
    assert ("ORC102", "duplicate-name") in completed("orch explain orc1")


def test_names_in_the_named_file_are_completed(tmp_path):
    (tmp_path / "a.orch").write_text(PROGRAM)

    assert completed("orch run a.orch a", tmp_path) == [("alpha", "")]
    assert completed("orch run none.orch a", tmp_path) == []


def test_runs_are_completed_and_a_broken_journal_completes_nothing(desk):
    desk.write(desk.finish(2))
    desk.orch("run", "a.orch")
    offered = completed("orch show ", desk.folder)

    assert offered[0] == ("last", "the newest run")
    assert offered[1][1] == "count, finished"
    assert len(offered) == 2
    for path in (desk.folder / ".orch").rglob("*.db"):
        path.write_bytes(b"no database")
    assert completed("orch show ", desk.folder) == [("last", "the newest run")]
