"""`orch fmt` as a process: what is written, what is shown, and what is left alone."""

from __future__ import annotations

import os
import stat

import orch_fork
import pytest

from engine.cli.app import run
from engine.formatter.expressions import ExpressionLayout

UGLY = b'orch 1\nmodel m {id="x"} // why\n'
PRETTY = b'orch 1\n\nmodel m { id = "x" }  // why\n'
BROKEN = b'orch 1\nmodel m { id "x" }\n'


def orch_fmt(*arguments, cwd, stdin=b""):
    done = orch_fork.run_bytes(["fmt", *map(str, arguments)], stdin, cwd)
    assert b"Traceback" not in done.stdout + done.stderr
    return done.returncode, done.stdout, done.stderr.decode()


@pytest.fixture
def project(tmp_path):
    for name in ("a.orch", "sub/b.orch", "node_modules/c.orch", ".hidden/d.orch", "env/e.orch"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(UGLY)
    (tmp_path / "env" / "pyvenv.cfg").write_text("")
    (tmp_path / "pretty.orch").write_bytes(PRETTY)
    (tmp_path / "other.txt").write_bytes(UGLY)
    return tmp_path


def test_a_folder_is_the_default(project):
    assert orch_fmt(cwd=project) == (0, b"", "2 files reformatted, 1 file left unchanged\n")
    assert (project / "a.orch").read_bytes() == PRETTY
    assert (project / "sub" / "b.orch").read_bytes() == PRETTY
    for name in ("node_modules/c.orch", ".hidden/d.orch", "env/e.orch", "other.txt"):
        assert (project / name).read_bytes() == UGLY
    assert orch_fmt(cwd=project) == (0, b"", "3 files left unchanged\n")
    assert sorted(os.listdir(project / "sub")) == ["b.orch"]


def test_check_names_files_and_writes_nothing(project):
    code, out, err = orch_fmt("--check", "a.orch", "pretty.orch", cwd=project)
    assert (code, out) == (1, b"would reformat a.orch\n")
    assert err == "1 file would be reformatted, 1 file already formatted\n"
    assert (project / "a.orch").read_bytes() == UGLY
    assert orch_fmt("--check", "pretty.orch", cwd=project)[0] == 0


def test_diff(project):
    code, out, _ = orch_fmt("--diff", "a.orch", cwd=project)
    assert code == 1
    assert out == (
        b"--- a.orch\n+++ a.orch\n@@ -1,2 +1,3 @@\n orch 1\n"
        b'-model m {id="x"} // why\n+\n+model m { id = "x" }  // why\n'
    )
    assert (project / "a.orch").read_bytes() == UGLY


def test_standard_input(tmp_path):
    assert orch_fmt("-", cwd=tmp_path, stdin=UGLY) == (0, PRETTY, "")
    assert orch_fmt("-", cwd=tmp_path, stdin=PRETTY) == (0, PRETTY, "")
    assert orch_fmt("-", "--check", cwd=tmp_path, stdin=UGLY)[:2] == (
        1,
        b"would reformat stdin.orch\n",
    )
    code, out, err = orch_fmt("-", "--stdin-filename", "x.orch", cwd=tmp_path, stdin=BROKEN)
    assert (code, out) == (3, b"")
    assert "x.orch:2:" in err
    code, out, err = orch_fmt("-", cwd=tmp_path, stdin=b"orch 1\n\xff")
    assert (code, out) == (3, b"")
    assert "is not UTF-8 text (byte 0xff in line 2)" in err
    code, out, err = orch_fmt("-", "a.orch", cwd=tmp_path)
    assert (code, out) == (2, b"")


def test_broken_files_are_reported_and_the_others_formatted(project):
    (project / "broken.orch").write_bytes(BROKEN)
    code, _, err = orch_fmt("broken.orch", "a.orch", "nowhere.orch", cwd=project)
    assert code == 3
    assert "broken.orch:2:11" in err
    assert "cannot read nowhere.orch: it does not exist" in err
    assert "1 file reformatted, 2 files not formatted\n" in err
    assert (project / "broken.orch").read_bytes() == BROKEN
    assert (project / "a.orch").read_bytes() == PRETTY


def test_mode_links_mark_and_line_ends_stay(project):
    (project / "a.orch").chmod(0o640)
    (project / "link.orch").symlink_to("a.orch")
    windows = b"\xef\xbb\xbf" + UGLY.replace(b"\n", b"\r\n")
    (project / "windows.orch").write_bytes(windows)
    assert orch_fmt("link.orch", "windows.orch", cwd=project)[0] == 0
    assert (project / "link.orch").is_symlink()
    assert (project / "a.orch").read_bytes() == PRETTY
    assert stat.S_IMODE((project / "a.orch").stat().st_mode) == 0o640
    expected = b"\xef\xbb\xbf" + PRETTY.replace(b"\n", b"\r\n")
    assert (project / "windows.orch").read_bytes() == expected


def test_a_read_only_file_is_left_alone(project):
    (project / "a.orch").chmod(0o444)
    code, _, err = orch_fmt("a.orch", "pretty.orch", cwd=project)
    assert code == 3
    assert "cannot write a.orch: it is read-only" in err
    assert "1 file left unchanged, 1 file not formatted" in err
    assert (project / "a.orch").read_bytes() == UGLY


def test_a_folder_without_files(tmp_path):
    code, out, err = orch_fmt(cwd=tmp_path)
    assert (code, out) == (3, b"")
    assert "there is no .orch file in this folder" in err


def test_a_new_project_is_formatted(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert run(["init", "notes"]) == 0
    assert orch_fmt("--check", cwd=tmp_path)[0] == 0


def test_a_bug_of_ours_leaves_the_file_alone(project, monkeypatch, capsys):
    monkeypatch.chdir(project)
    monkeypatch.setattr(ExpressionLayout, "_text", lambda self, token: str(token).upper())
    assert run(["fmt", "a.orch"]) == 70
    assert (project / "a.orch").read_bytes() == UGLY
    assert "a.orch cannot be formatted" in (told := capsys.readouterr().err)
    assert "the file was left alone" in told
