"""`orch test` as a process: what it prints, its exit codes, and that nothing is called."""

from __future__ import annotations

import json
import os
import re
import shutil
import textwrap
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import orch_fork
import pytest

EXAMPLES = Path(__file__).parents[1] / "fixtures" / "examples"

PROGRAM = """orch 1
model planner { id = "openai/gpt-5-mini" }
secret KEY
worker fetch(page: string) -> string fails gone via http {
  method = "GET"  url = "http://127.0.0.1:1/x"  headers = { A: secret.KEY }
}
worker touch(n: int) -> int via python { call = "tools:touch" }
orchestrator main(topic: string) -> { title: string } {
  model = planner  goal = "{{ topic }}"  workers = [fetch, touch]
  policy { max_rounds = 3 }
}
"""
PASSES = """
test "it is \\"fetched\\" <once> & used" for main {
  input = { topic: "t" }
  mock orchestrator { script = [
    { assessment: "", tasks: [{ id: "a", worker: "fetch", input: { page: "p" } }] },
    { assessment: "", finish: { title: "T" } },
  ] }
  mock fetch { returns = "text" }
  assert run.dispatched.fetch == 1 and output.title == "T"
}
"""
FAILS = """
test "the title" for main {
  input = { topic: "t" }
  mock orchestrator { script = [{ assessment: "", finish: { title: "T" } }] }
  assert output.title == "U" else "the title is {{ output.title }}"
}
"""
LIVE = """
test "it calls" for main {
  input = { topic: "t" }
  mock orchestrator { script = [
    { assessment: "", tasks: [{ id: "a", worker: "touch", input: { n: 1 } }] },
  ] }
}
"""


@pytest.fixture
def orch(tmp_path):
    def orch(*arguments, cwd=tmp_path):
        base = {
            k: v
            for k, v in os.environ.items()
            if not k.startswith("ORCH_") and not k.endswith(("_KEY", "_TOKEN"))
        }
        environment = {**base, "PYTHONDONTWRITEBYTECODE": "1"}
        done = orch_fork.run(arguments, cwd=cwd, environment=environment)
        assert "Traceback" not in done.stderr
        assert done.returncode != 70, done.stderr
        return done

    return orch


@pytest.fixture
def write(tmp_path):
    def write(*tests: str, name: str = "a.orch") -> None:
        (tmp_path / name).write_text(PROGRAM + "".join(tests))
        (tmp_path / "tools.py").write_text(
            "from pathlib import Path\n"
            "def touch(n):\n    Path(__file__).with_name('touched.txt').touch()\n    return n\n"
        )

    return write


def test_a_passing_test_is_a_dot(orch, write):
    write(PASSES)
    done = orch("test", "a.orch")
    assert (done.returncode, done.stderr) == (0, "")
    first, last = done.stdout.splitlines()
    assert first == "a.orch ."
    assert last.startswith("1 passed in ")


def test_a_failing_test_says_where_and_what_the_values_were(orch, write):
    write(PASSES, FAILS)
    done = orch("test", "a.orch")
    assert done.returncode == 1
    lines = done.stdout.splitlines()
    assert lines[0] == "a.orch .F"
    assert lines[2:5] == [
        'FAILED main: "the title"',
        '  a.orch:26:10: the title is T (assert output.title == "U")',
        '      output.title = "T"',
    ]
    assert lines[-1].startswith("1 failed, 1 passed in ")


def test_a_live_call_fails_and_calls_nothing(orch, write, tmp_path):
    write(LIVE)
    done = orch("test", "a.orch")
    assert done.returncode == 1
    assert (
        "a live call in a test: `touch` (via python) is not mocked (round 1 / decision 1 / "
        "task a); write `mock touch { returns = ... }`"
    ) in done.stdout
    assert not (tmp_path / "touched.txt").exists()
    assert not (tmp_path / ".orch").exists()


def test_json_says_the_same(orch, write):
    write(PASSES, FAILS)
    done = orch("test", "a.orch", "--format", "json")
    assert done.returncode == 1
    passed, failed = json.loads(done.stdout)
    assert (passed["outcome"], passed["findings"]) == ("passed", [])
    assert (failed["outcome"], failed["title"], failed["target"]) == ("failed", "the title", "main")
    (finding,) = failed["findings"]
    assert (finding["kind"], finding["line"], finding["column"]) == ("assertion", 26, 10)
    assert finding["values"] == [{"expression": "output.title", "value": "T"}]
    assert failed["run"]["status"] == "finished"


def test_junit_goes_to_stdout_or_to_a_file(orch, write, tmp_path):
    write(PASSES, FAILS)
    done = orch("test", "a.orch", "--format", "junit", "--junit", "out/report.xml")
    assert done.returncode == 1
    for text in (done.stdout, (tmp_path / "out" / "report.xml").read_text()):
        root = ElementTree.fromstring(text)
        assert (root.attrib["tests"], root.attrib["failures"]) == ("2", "1")
        cases = root.findall("./testsuite/testcase")
        assert [case.attrib["name"] for case in cases] == [
            'it is "fetched" <once> & used',
            "the title",
        ]


def test_a_file_for_junit_that_cannot_be_written(orch, write, tmp_path):
    write(PASSES)
    (tmp_path / "file").write_text("")
    done = orch("test", "a.orch", "--junit", "file/report.xml")
    assert done.returncode == 3
    assert "error: cannot write file/report.xml" in done.stderr


def test_folders_are_searched_and_k_selects(orch, write, tmp_path):
    write(PASSES, FAILS)
    write(PASSES, name="b.orch")
    write(name="without.orch")
    done = orch("test", ".", "-k", "FETCHED")
    assert done.returncode == 0
    assert done.stdout.splitlines()[:2] == ["./a.orch .", "./b.orch ."]
    assert done.stdout.splitlines()[2].startswith("2 passed in ")


@pytest.mark.parametrize("arguments", [["a.orch"], ["a.orch", "-k", "nowhere"]])
def test_no_tests_are_said(orch, write, arguments):
    write()
    done = orch("test", *arguments)
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr.startswith("warning: there are no tests")


def test_a_file_that_does_not_check_hides_no_other(orch, write, tmp_path):
    write(PASSES)
    (tmp_path / "broken.orch").write_text('orch 1\ntest "x" for nobody { }\n')
    done = orch("test", ".")
    assert done.returncode == 3
    assert "ORC101" in done.stderr
    assert "1 passed" in done.stdout


def test_usage(orch, write):
    write(PASSES)
    assert orch("test").returncode == 2
    assert orch("test", "missing.orch").returncode == 3
    bad = orch("test", "a.orch", "--param", "nope=1")
    assert bad.returncode == 2
    assert "nope" in bad.stderr


def test_the_example_needs_no_key_and_passes(orch, tmp_path):
    shutil.copytree(EXAMPLES, tmp_path / "examples")
    done = orch("test", "examples")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("examples/report.orch .\n1 passed in ")


def test_the_guide_shows_a_test_that_passes(orch, tmp_path):
    guide = (Path(__file__).parents[2] / "docs" / "howto" / "testing.md").read_text()
    whole, alone = re.findall(r"^```orch\S*(?: file=\S+)?\n(.*?)^```$", guide, re.M | re.S)
    (tmp_path / "answers.orch").write_text(f"{whole}\n{alone}")
    done = orch("test", "answers.orch")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("answers.orch ..\n2 passed in ")
    wrong = whole.replace('finish: "Nobody knows."', 'finish: "A sound that frogs make."')
    (tmp_path / "answers.orch").write_text(wrong)
    shown = guide[guide.index("    FAILED explain") :].split("\n\n")[0]
    assert textwrap.dedent(shown) in orch("test", "answers.orch").stdout
