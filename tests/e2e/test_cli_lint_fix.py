"""`orch lint --fix` as a process: what is written, what is shown, and what is left alone."""

from __future__ import annotations

import json
import os
import stat
import subprocess

import orch_fork
import pytest

CLEAN = """\
orch 1

model planner { id = "openai/gpt-5-mini" }

/// Says hello to one person.
worker greet(name: string) -> string via llm {
  model  = planner
  prompt = "Say hello to {{ name }}."
}

verifier polite(result: string) via rules {
  assert result | length > 3 else "too short"
}

/// Greets one person.
orchestrator hello(name: string) -> string {
  model   = planner
  goal    = "Greet {{ name }}."
  workers = [greet]
  policy  { max_rounds = 2  budget { cost = $0.10 } }
  verify  { before_finish { with = polite  on_fail = revise  max_revisions = 1  then = abort } }
}
"""
BROKEN = CLEAN.replace("{{ name }}.", "{{ nmae }}.", 1).replace("[greet]", "[gret]")


def orch(*arguments, cwd, stdin=""):
    done = orch_fork.run_bytes([*map(str, arguments)], stdin.encode(), cwd)
    done.stdout, done.stderr = done.stdout.decode(), done.stderr.decode()
    assert "Traceback" not in done.stdout + done.stderr
    return done


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "a.orch"
    path.write_text(BROKEN)
    return path


def test_safe_fixes_are_written_and_the_rest_is_shown(file):
    file.write_text(BROKEN.replace("max_rounds = 2", "max_rounds = 2  max_dispatches = 999"))

    done = orch("lint", "--fix", "a.orch", cwd=file.parent)

    assert done.returncode == 0
    assert file.read_text().replace("  max_dispatches = 999", "") == CLEAN
    assert "fixed 2 problems in 1 file; 1 warning in 1 file" in done.stdout
    assert "ORC410" in done.stdout
    assert done.stderr == ""


def test_fixes_that_uncover_others_are_followed_to_the_end(file):
    file.write_text(BROKEN.replace("worker greet", "wroker greet").replace("id = ", "id: "))

    done = orch("lint", "--fix", "-q", "a.orch", cwd=file.parent)

    assert (done.returncode, done.stdout, file.read_text()) == (0, "", CLEAN)


def test_a_diff_is_shown_and_nothing_written(file):
    done = orch("lint", "--diff", "a.orch", cwd=file.parent)

    assert done.returncode == 1
    assert done.stdout.startswith("--- a.orch\n+++ a.orch\n@@ ")
    assert '-  prompt = "Say hello to {{ nmae }}."\n+  prompt = "Say hello to {{ name }}."' in (
        done.stdout
    )
    assert done.stderr == "would fix 2 problems in 1 file\n"
    assert file.read_text() == BROKEN
    file.write_text(CLEAN)
    assert orch("lint", "--diff", "a.orch", cwd=file.parent).returncode == 0


def test_the_diff_of_a_file_without_a_last_line_end_can_be_applied(file):
    file.write_text(BROKEN[:-1])
    shown = orch("lint", "--diff", "a.orch", cwd=file.parent).stdout

    subprocess.run(
        ["git", "apply", "-p0"], input=shown.encode(), cwd=file.parent, check=True, timeout=60
    )

    assert file.read_text() == CLEAN[:-1]


def test_unsafe_fixes_only_where_asked_for(file):
    file.write_text(CLEAN + "\nschema Unused { a: int }\n")

    safe = orch("lint", "--fix", "a.orch", cwd=file.parent)
    before = file.read_text()
    unsafe = orch("lint", "--fix", "--unsafe-fixes", "--show-fixes", "a.orch", cwd=file.parent)

    assert "1 fixable with --fix --unsafe-fixes" in safe.stdout
    assert before == CLEAN + "\nschema Unused { a: int }\n"
    assert file.read_text() == CLEAN
    assert "a.orch:\n     1 x ORC705 unused-declaration\nfixed 1 problem" in unsafe.stdout


def test_only_selected_rules_are_fixed(file):
    orch("lint", "--fix", "--select", "ORC1", "a.orch", cwd=file.parent)

    assert file.read_text() == BROKEN.replace("[gret]", "[greet]")


def test_the_standard_input_becomes_the_standard_output(file):
    fixed = orch("lint", "--fix", "-", cwd=file.parent, stdin=BROKEN)
    left = orch("lint", "--fix", "-", cwd=file.parent, stdin=BROKEN.replace("[gret]", "[xyz]"))
    diff = orch("lint", "--diff", "-", "--stdin-filename", "x.orch", cwd=file.parent, stdin=BROKEN)

    assert (fixed.returncode, fixed.stdout) == (0, CLEAN)
    assert fixed.stderr.startswith("fixed 2 problems in 1 file; no problems found")
    assert (left.returncode, left.stdout) == (1, CLEAN.replace("[greet]", "[xyz]"))
    assert "error[ORC101]" in left.stderr
    assert diff.stdout.startswith("--- x.orch\n")


def test_what_is_left_can_be_had_as_json(file):
    done = orch("lint", "--fix", "--format", "json", "a.orch", cwd=file.parent)

    assert (done.returncode, json.loads(done.stdout), file.read_text()) == (0, [], CLEAN)


def test_files_that_were_not_named_are_left_alone(tmp_path):
    (tmp_path / "sub").mkdir()
    text = CLEAN.replace('"Say hello to {{ name }}."', 'file("sub/greet.j2")')
    (tmp_path / "a.orch").write_text('orch 1\nimport "sub/b.orch" as b\n' + text[7:])
    (tmp_path / "sub" / "b.orch").write_text('orch 1\nmodel m { idd = "openai/x" }\n')
    (tmp_path / "sub" / "greet.j2").write_text("Hello {{ nmae }}")

    alone = orch("lint", "--fix", "a.orch", cwd=tmp_path)
    left = (tmp_path / "sub" / "greet.j2").read_text(), (tmp_path / "sub" / "b.orch").read_text()
    folder = orch("lint", "--fix", ".", cwd=tmp_path)

    assert alone.returncode == 1
    assert left == ("Hello {{ nmae }}", 'orch 1\nmodel m { idd = "openai/x" }\n')
    assert folder.returncode == 0, folder.stdout
    assert (tmp_path / "sub" / "greet.j2").read_text() == "Hello {{ name }}"
    assert "id = " in (tmp_path / "sub" / "b.orch").read_text()


def test_mode_link_line_ends_and_byte_order_mark_stay(tmp_path):
    real = tmp_path / "real.orch"
    real.write_bytes(b"\xef\xbb\xbf" + BROKEN.replace("\n", "\r\n").encode())
    real.chmod(0o640)
    (tmp_path / "link.orch").symlink_to("real.orch")

    done = orch("lint", "--fix", "link.orch", cwd=tmp_path)

    assert done.returncode == 0, done.stdout
    assert real.read_bytes() == b"\xef\xbb\xbf" + CLEAN.replace("\n", "\r\n").encode()
    assert (tmp_path / "link.orch").is_symlink()
    assert stat.S_IMODE(real.stat().st_mode) == 0o640
    assert sorted(os.listdir(tmp_path)) == ["link.orch", "real.orch"]


@pytest.mark.skipif(os.geteuid() == 0, reason="the superuser may write anywhere")
def test_a_folder_that_takes_no_files_is_one_line_and_exit_3(file):
    file.parent.chmod(0o500)
    try:
        done = orch("lint", "--fix", "a.orch", cwd=file.parent)
    finally:
        file.parent.chmod(0o700)

    assert done.returncode == 3
    assert done.stderr.startswith("error: cannot write a.orch: ")
    assert file.read_text() == BROKEN


@pytest.mark.parametrize(
    "arguments",
    [
        ("--watch", "--fix", "a.orch"),
        ("--watch", "-"),
        ("-", "a.orch"),
        ("--bounds", "--fix", "a.orch"),
        ("--statistics", "--format", "json", "a.orch"),
    ],
)
def test_what_does_not_go_together_is_a_usage_error(file, arguments):
    done = orch("lint", *arguments, cwd=file.parent)

    assert (done.returncode, done.stdout, file.read_text()) == (2, "", BROKEN)
    assert "error: -" in done.stderr
