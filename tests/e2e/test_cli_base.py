"""The command line itself: help, version, usage errors, crashes, pipes; and `orch explain`."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from engine.diagnostics import RULES
from engine.version import __version__


def orch(*arguments, cwd=None, env=None, **options):
    return subprocess.run(
        [sys.executable, "-m", "engine.cli", *arguments],
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        cwd=cwd,
        env={**os.environ, **(env or {})},
        timeout=60,
        check=False,
        **options,
    )


def imported(*arguments):
    """Names of the modules that a command line imports, and its result."""
    code = (
        "import sys\nfrom engine.cli import main\ncode = main(sys.argv[1:])\n"
        "print('\\n'.join(sys.modules), file=sys.stderr)\nsys.exit(code)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return set(done.stderr.split()), done


def test_version_imports_no_library():
    modules, done = imported("--version")

    assert (done.returncode, done.stdout) == (0, f"orch {__version__}\n")
    assert not modules & {"click", "msgspec", "lark", "jinja2"}


def test_help_imports_no_command():
    modules, done = imported("--help")

    assert done.returncode == 0
    assert "lint" in done.stdout
    assert "Check files without running anything." in done.stdout
    commands = {name for name in modules if name.startswith("engine.cli.")}
    assert commands == {f"engine.cli.{name}" for name in ("app", "exit_codes", "output")}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "Usage: orch"),
        (("lnt",), "Did you mean 'lint'?"),
        (("--frobnicate",), "No such option"),
        (("lint",), "Missing argument"),
        (("lint", "x.orch", "--format", "xml"), "Invalid value for '--format'"),
        (("explain", "--frobnicate"), "No such option"),
    ],
)
def test_usage_errors_go_to_stderr_with_exit_2(arguments, said):
    done = orch(*arguments)

    assert (done.returncode, done.stdout) == (2, "")
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_explain_tells_a_rule_by_code_or_name():
    by_code = orch("explain", "orc302")
    by_name = orch("explain", "unknown-template-field")

    assert by_code.returncode == 0
    assert by_code.stdout == by_name.stdout
    assert by_code.stdout.startswith("ORC302 unknown-template-field (error)\n")
    assert "\nseverity: error, stops a run unless a comment allows it\n" in by_code.stdout


def test_explain_suggests_the_nearest_rule():
    done = orch("explain", "ORC30")

    assert (done.returncode, done.stdout) == (2, "")
    assert "there is no rule `ORC30`" in done.stderr
    assert "did you mean `ORC30" in done.stderr or "did you mean `ORC3" in done.stderr


def test_explain_lists_all_rules():
    assert [rule["code"] for rule in json.loads(orch("explain", "--format", "json").stdout)] == [
        *RULES
    ]
    listed = orch("explain").stdout
    assert all(code in listed for code in RULES)


BROKEN = """
import sys
from engine.cli import app, main
app.COMMANDS["explode"] = ("broken_command", "Fails.")
sys.exit(main(["explode"]))
"""


def explode(tmp_path, body, **env):
    (tmp_path / "broken_command.py").write_text(
        f"import click\n\n@click.command()\ndef command():\n    {body}\n"
    )
    return subprocess.run(
        [sys.executable, "-c", BROKEN],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path), "TMPDIR": str(tmp_path), **env},
        timeout=60,
        check=False,
    )


def test_a_bug_of_ours_is_one_line_and_a_log(tmp_path):
    done = explode(tmp_path, "raise ValueError('kaboom')")

    assert (done.returncode, done.stdout) == (70, "")
    assert done.stderr.startswith("error: internal error: ValueError: kaboom\n")
    assert "Traceback" not in done.stderr
    (log,) = tmp_path.glob("orch-crash-*.log")
    assert str(log) in done.stderr
    assert "Traceback" in log.read_text()


def test_debug_shows_the_traceback_of_a_bug(tmp_path):
    done = explode(tmp_path, "raise ValueError('kaboom')", ORCH_DEBUG="1")

    assert done.returncode == 70
    assert "Traceback" in done.stderr
    assert not list(tmp_path.glob("orch-crash-*.log"))


def test_an_interrupt_is_exit_130(tmp_path):
    done = explode(tmp_path, "raise KeyboardInterrupt")

    assert (done.returncode, done.stderr) == (130, "error: interrupted\n")


def test_a_reader_that_left_is_not_an_error():
    process = subprocess.Popen(
        [sys.executable, "-m", "engine.cli", "explain", "--format", "json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    process.stdout.close()

    assert process.stderr.read() == ""
    process.stderr.close()
    assert process.wait(60) == 141


def test_a_terminal_without_unicode_gets_escapes(tmp_path):
    done = explode(tmp_path, "click.echo('日本')", PYTHONIOENCODING="latin-1")

    assert (done.returncode, done.stdout) == (0, "\\u65e5\\u672c\n")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
@pytest.mark.parametrize("arguments", [("--version",), ("explain",), ("explain", "ORC302")])
def test_a_full_disk_behind_standard_output_is_said(arguments):
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "engine.cli", *arguments],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )

    assert done.returncode == 3
    assert done.stderr == "error: standard output cannot be written: no space left on device\n"
