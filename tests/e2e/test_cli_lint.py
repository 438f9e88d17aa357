"""`orch lint` as a process: what it prints where, and the exit code, on good and bad input."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys

import orch_fork
import pytest

GOOD = """\
orch 1

/// The planner.
model planner { id = "openai/gpt-5-mini" }

/// Says hello to one person.
worker greet(
  /// Who is greeted.
  name: string
) -> string via llm {
  model  = planner
  prompt = "Say hello to {{ name }}."
}

verifier polite(result: string) via rules {
  assert result | length > 3 else "too short"
}

/// Greets one person.
orchestrator hello(
  /// Who is greeted.
  name: string
) -> string {
  model   = planner
  goal    = "Greet {{ name }}."
  workers = [greet]
  policy  {
    max_rounds = 2
    budget { cost = $0.10 }
    stall  { after = 2  action = replan }
  }
  verify  { before_finish { with = polite  on_fail = revise  max_revisions = 1  then = abort } }
}
"""
BAD = GOOD.replace("{{ name }}.", "{{ nmae }}.", 1)
TWO_BAD = BAD.replace("workers = [greet]", "workers = [gret]")


def orch(*arguments, cwd, stdin="", env=None):
    environment = {**os.environ, **(env or {})}
    done = orch_fork.run([*map(str, arguments)], stdin, cwd, environment)
    assert "Traceback" not in done.stdout + done.stderr
    return done


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "good.orch").write_text(GOOD)
    (tmp_path / "bad.orch").write_text(BAD)
    return tmp_path


def test_a_clean_file_is_exit_0(folder):
    done = orch("lint", "good.orch", cwd=folder)

    assert (done.returncode, done.stderr) == (0, "")
    assert "no problems found in 1 file" in done.stdout or "note" in done.stdout


def test_an_error_shows_its_line_with_carets_and_is_exit_1(folder):
    done = orch("lint", "bad.orch", cwd=folder)

    assert (done.returncode, done.stderr) == (1, "")
    assert "error[ORC303]" in done.stdout
    assert "--> bad.orch:12:" in done.stdout
    line, marks = re.findall(r"^(?:12| +) \| (.*(?:nmae|\^).*)$", done.stdout, re.M)
    assert line.index("nmae") == marks.index("^^^^")
    assert "did you mean" in done.stdout
    assert "\n1 error in 1 file\n[*] 1 fixable with --fix\n" in done.stdout


def test_json_is_an_array_of_the_promised_shape(folder):
    done = orch("lint", "bad.orch", "--format", "json", "--select", "ORC303", cwd=folder)

    (found,) = json.loads(done.stdout)
    assert done.returncode == 1
    assert list(found) == [
        "code", "name", "severity", "message", "file", "range", "help", "fix", "page"
    ]  # fmt: skip
    assert (found["code"], found["severity"], found["file"]) == ("ORC303", "error", "bad.orch")
    assert found["range"]["start"]["line"] == found["range"]["end"]["line"] == 12


def test_json_of_a_clean_file_is_empty(folder):
    done = orch("lint", "good.orch", "--format", "json", "--ignore", "ORC9", cwd=folder)

    assert (done.returncode, json.loads(done.stdout)) == (0, [])


def test_github_writes_workflow_commands(folder):
    done = orch("lint", "bad.orch", "--format", "github", "--select", "ORC303", cwd=folder)

    assert done.returncode == 1
    assert re.fullmatch(
        r"::error file=bad\.orch,line=12,col=\d+,endLine=12,endColumn=\d+,"
        r"title=ORC303 unknown-template-variable::.+\n",
        done.stdout,
    )


def test_warnings_count_only_under_strict(folder):
    (folder / "warned.orch").write_text(GOOD.replace("    budget { cost = $0.10 }\n", ""))

    lenient = orch("lint", "warned.orch", cwd=folder)
    strict = orch("lint", "warned.orch", "--strict", cwd=folder)
    ignored = orch("lint", "warned.orch", "--strict", "--ignore", "ORC405", cwd=folder)

    assert "warning[ORC405]" in lenient.stdout
    assert (lenient.returncode, strict.returncode, ignored.returncode) == (0, 1, 0)


def test_several_files_and_folders(folder):
    deep = folder / "deep" / "er"
    deep.mkdir(parents=True)
    (deep / "two.orch").write_text(TWO_BAD)
    (folder / ".hidden").mkdir()
    (folder / ".hidden" / "no.orch").write_text("not orch at all")

    done = orch("lint", "bad.orch", ".", "--format", "json", cwd=folder)

    files = {item["file"] for item in json.loads(done.stdout) if item["severity"] == "error"}
    assert {os.path.normpath(file) for file in files} == {"bad.orch", "deep/er/two.orch"}
    assert done.returncode == 1


def test_all_faults_are_found_in_one_go(folder):
    (folder / "two.orch").write_text(TWO_BAD)

    done = orch("lint", "two.orch", "--format", "json", cwd=folder)

    codes = [item["code"] for item in json.loads(done.stdout) if item["severity"] == "error"]
    assert codes == ["ORC303", "ORC101"]


def test_the_standard_input_is_a_file_too(folder):
    (folder / "sub").mkdir()
    (folder / "orch.toml").touch()
    text = 'orch 1\nimport "../good.orch" as other\n'

    clean = orch("lint", "-", cwd=folder, stdin=GOOD)
    bad = orch("lint", "-", "--stdin-filename", "x.orch", cwd=folder, stdin=BAD)
    imports = orch("lint", "-", "--stdin-filename", "sub/x.orch", cwd=folder, stdin=text)

    assert clean.returncode == 0
    assert bad.returncode == 1
    assert "--> x.orch:12:" in bad.stdout
    assert imports.returncode == 0


def test_statistics_count_by_rule(folder):
    done = orch("lint", ".", "--statistics", cwd=folder)

    assert re.search(r"^ +1  ORC303  \[\*\]  unknown-template-variable$", done.stdout, re.M)
    assert done.returncode == 1


def test_color_is_for_terminals_and_for_those_who_ask(folder):
    plain = orch("lint", "bad.orch", cwd=folder)
    forced = orch("lint", "bad.orch", "--color", "always", cwd=folder, env={"NO_COLOR": "1"})
    never = orch("lint", "bad.orch", "--color", "never", cwd=folder)

    assert "\x1b[" not in plain.stdout + never.stdout
    assert "\x1b[1;31m" in forced.stdout


@pytest.mark.parametrize(
    ("env", "colored"), [({}, True), ({"NO_COLOR": "1"}, False), ({"TERM": "dumb"}, False)]
)
def test_a_terminal_gets_colours_unless_it_asks_for_none(folder, env, colored):
    reader, writer = os.openpty()
    inherited = {k: v for k, v in os.environ.items() if k not in ("NO_COLOR", "TERM")}
    process = subprocess.Popen(
        [sys.executable, "-m", "engine.cli", "lint", "bad.orch"],
        stdout=writer,
        cwd=folder,
        env={**inherited, "TERM": "xterm", **env},
    )
    os.close(writer)
    shown = b""
    try:
        while chunk := os.read(reader, 4096):
            shown += chunk
    except OSError:
        pass  # how Linux says that the other end of a terminal is closed
    os.close(reader)

    assert process.wait(60) == 1
    assert (b"\x1b[1;31m" in shown) is colored
    assert b"ORC303" in shown


def test_a_param_changes_what_is_checked(folder):
    (folder / "p.orch").write_text(
        GOOD.replace("/// The planner.", "/// How often.\nparam n: int = 2 @max(5)\n").replace(
            "max_rounds = 2", "max_rounds = param.n"
        )
    )

    good = orch("lint", "p.orch", "--param", "n=3", cwd=folder)
    wrong = orch("lint", "p.orch", "--param", "n=many", cwd=folder)

    assert good.returncode == 0, good.stdout
    assert wrong.returncode != 0
    assert orch("lint", "p.orch", "--param", "n", cwd=folder).returncode == 2


def missing(folder):
    return "no.orch", "does not exist"


def empty_folder(folder):
    (folder / "empty").mkdir()
    return "empty", "there is no .orch file in this folder"


def not_utf8(folder):
    (folder / "latin.orch").write_bytes("orch 1\n// caf\xe9\n".encode("latin-1"))
    return "latin.orch", "is not UTF-8 text (byte 0xe9 in line 2)"


def huge(folder):
    with open(folder / "huge.orch", "wb") as file:
        file.truncate(50_000_000)
    return "huge.orch", "is larger than 10 MB"


@pytest.mark.parametrize("make", [missing, empty_folder, not_utf8, huge])
def test_what_cannot_be_read_is_one_line_and_exit_3_and_the_rest_is_checked(folder, make):
    name, said = make(folder)

    alone = orch("lint", name, cwd=folder)
    beside = orch("lint", name, "bad.orch", "--format", "json", cwd=folder)

    assert (alone.returncode, alone.stdout) == (3, "")
    assert alone.stderr.startswith(f"error: cannot read {name}: ")
    assert said in alone.stderr
    assert beside.returncode == 3
    assert {item["file"] for item in json.loads(beside.stdout)} == {"bad.orch"}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\0" * 100,
        "orch 1\n" + "{" * 5_000,
        "orch 1\nparam p: int = " + "(" * 3_000 + "1" + ")" * 3_000,
        "orch 1\nschema S { a: " + "{ a: " * 2_000 + "int" + " }" * 2_000 + " }",
        'orch 1\nparam p: string = "' + "x" * 100_000,
        "\ufeff" + GOOD,
        GOOD.replace("\n", "\r\n"),
        GOOD[: len(GOOD) // 2],
    ],
    ids=["empty", "nul", "braces", "parens", "nest", "long", "bom", "crlf", "half"],
)
def test_strange_text_gives_findings_not_crashes(folder, text):
    done = orch("lint", "-", cwd=folder, stdin=text)

    assert done.returncode in (0, 1)
    assert done.stderr == ""


def test_an_import_cycle_is_an_error(folder):
    (folder / "a.orch").write_text('orch 1\nimport "b.orch" as b\n')
    (folder / "b.orch").write_text('orch 1\nimport "a.orch" as a\n')

    done = orch("lint", "a.orch", cwd=folder)

    assert done.returncode == 1
    assert "error[ORC107]" in done.stdout


def test_sarif_is_a_log_with_a_run(folder):
    done = orch("lint", "bad.orch", "--format", "sarif", cwd=folder)

    (run,) = json.loads(done.stdout)["runs"]
    assert done.returncode == 1
    assert run["results"][0]["ruleId"] == "ORC303"
    assert run["originalUriBaseIds"]["%SRCROOT%"]["uri"] == f"{folder.resolve().as_uri()}/"


def test_errors_that_are_left_out_are_not_forgotten(folder):
    done = orch("lint", "bad.orch", "--ignore", "unknown-template-variable", cwd=folder)
    run = orch("run", "bad.orch", "-i", "name=Ada", cwd=folder)

    assert (done.returncode, done.stderr) == (0, "")
    assert "; 1 error not shown, which `orch run` will not ignore\n" in done.stdout
    assert (run.returncode, run.stdout) == (3, "")
    assert "error[ORC303]" in run.stderr


def test_quiet_and_exit_zero(folder):
    quiet = orch("lint", "good.orch", "-q", "--ignore", "ORC9", cwd=folder)
    zero = orch("lint", "bad.orch", "-q", "--exit-zero", "--select", "ORC303", cwd=folder)
    missing = orch("lint", "no.orch", "--exit-zero", cwd=folder)

    assert (quiet.returncode, quiet.stdout, quiet.stderr) == (0, "", "")
    assert zero.returncode == 0
    assert zero.stdout.endswith("= help: did you mean `name`?\n\n")
    assert missing.returncode == 3


def test_a_configuration_is_read_from_each_files_folder_and_the_command_line_wins(folder):
    (folder / "sub").mkdir()
    (folder / "sub" / "bad.orch").write_text(BAD)
    (folder / "pyproject.toml").write_text('[tool.orch.lint]\nignore = ["ORC303", "ORC9"]\n')
    (folder / "sub" / "orch.toml").write_text('[lint]\nformat = "json"\nignore = ["ORC9"]\n')

    both = orch("lint", "bad.orch", "sub", cwd=folder)
    json_first = orch("lint", "sub", "bad.orch", cwd=folder)
    selected = orch("lint", "bad.orch", "--select", "ORC303", cwd=folder)
    isolated = orch("lint", "bad.orch", "--isolated", cwd=folder)

    assert [line for line in both.stdout.split("\n") if "-->" in line] == [
        "  --> sub/bad.orch:12:29"
    ]
    assert "1 error in 2 files; 1 error not shown" in both.stdout
    assert [item["file"] for item in json.loads(json_first.stdout)] == ["sub/bad.orch"]
    assert "error[ORC303]" in selected.stdout
    assert "error[ORC303]" in isolated.stdout


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[lint]\nselct = []\n", "error: orch.toml:2: unknown key `selct`\n  help: did you mean"),
        ("[lint\n", "error: orch.toml is not valid TOML: "),
        ('[lint]\nignore = ["nope"]\n', "error: orch.toml:2: there is no rule `nope`"),
    ],
)
def test_a_faulty_configuration_is_a_message_and_exit_2(folder, text, said):
    (folder / "orch.toml").write_text(text)

    done = orch("lint", "good.orch", cwd=folder)

    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(said)
    assert orch("lint", "good.orch", "--isolated", cwd=folder).returncode == 0


def test_folders_of_other_people_are_left_out(folder):
    for name in ("node_modules", "venv", ".venv"):
        (folder / name).mkdir()
        (folder / name / "x.orch").write_text("nonsense")
    (folder / "venv" / "pyvenv.cfg").write_text("")

    done = orch("lint", ".", "--select", "ORC303", cwd=folder)

    assert "1 error in 2 files" in done.stdout


def test_an_unknown_rule_is_a_usage_error(folder):
    done = orch("lint", "good.orch", "--select", "ORC30x", cwd=folder)

    assert (done.returncode, done.stdout) == (2, "")
    assert "there is no rule `ORC30x`" in done.stderr


def test_lint_never_imports_what_is_slow(folder):
    code = (
        "import sys\nfrom engine.cli import main\nmain(sys.argv[1:])\n"
        "print(*sys.modules, file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, "lint", "good.orch", "bad.orch"],
        capture_output=True,
        text=True,
        cwd=folder,
        timeout=60,
        check=False,
    )

    assert "error[ORC303]" in done.stdout
    slow = {"litellm", "networkx", "rich", "openai", "httpx", "jsonschema", "asyncio", "sqlite3"}
    slow |= {"watchfiles", "engine.diagnostics.render_sarif"}
    assert not slow & set(done.stderr.split())
