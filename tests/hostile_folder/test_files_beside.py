"""Whatever lies beside a workflow, checking it ends, with findings."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from engine.errors import CompileError
from engine.linter import lint
from engine.reading import CannotRead, open_plain, read_regular
from engine.sema.kinds.python_calls import functions_of, locate, modules_beside

WORKER = 'orch 1\nworker f(n: int) -> int via python { call = "gen:f" }\n'
SCHEMA = 'orch 1\nschema T from "t.json"\n'


def codes(folder: Path, text: str) -> list[str]:
    """What is found in a file of that text."""
    (folder / "a.orch").write_text(text)
    return [item.code for item in lint(str(folder / "a.orch"))]


# ---------------------------------------------------------------- Python


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"X = " + b"1 + " * 30_000 + b"1\ndef f(n): ...\n", ["ORC515"]),
        (b"X = " + b"-" * 20_000 + b"1\n", ["ORC515"]),
        (b"x = a" + b".b" * 30_000, ["ORC515"]),
        (b"x = 1\n" * 200_000, ["ORC515"]),
        (b"if a:\n  pass\n" + b"elif a:\n  pass\n" * 1_500 + b"def f(n): ...\n", []),
        (b"X = 1\0", ["ORC506"]),
        (b"\xff\xfe", ["ORC506"]),
        ("def f(n): ...\n".encode("utf-16"), ["ORC506"]),
        (b"# coding: nowhere\n", ["ORC506"]),
        (b"# coding: undefined\n", ["ORC506"]),
        (b"X = " + b"9" * 5_000, ["ORC506"]),
        (b"", ["ORC506"]),
        (b"\xef\xbb\xbfdef f(m): ...", ["ORC505"]),
        (b"# coding: latin-1\n\xe9 = 1\ndef f(m): ...", ["ORC505"]),
        (b"x = 1\r\r\r\r\rdef f(m): ...\r", ["ORC505"]),
        (b"\x0c\x0c\ndef f(m): ...", ["ORC505"]),
        (b"X = '\\d'\ndef f(n): ...\n", []),
    ],
)
def test_any_python_file_is_survived(content, expected, tmp_path):
    (tmp_path / "gen.py").write_bytes(content)

    assert codes(tmp_path, WORKER) == expected
    assert isinstance(functions_of("gen", str(tmp_path)), list)
    assert locate("gen:f", str(tmp_path)) is not None


def test_a_file_that_got_shorter_at_the_same_time_is_read_again(tmp_path):
    path = tmp_path / "gen.py"
    path.write_text("\n" * 50 + "def f(m): ...\n")
    os.utime(path, ns=(10**18, 10**18))
    assert codes(tmp_path, WORKER) == ["ORC505"]

    path.write_text("def f(k): ...\n")
    os.utime(path, ns=(10**18, 10**18))
    (item,) = lint(str(tmp_path / "a.orch"))

    assert item.related[0].span.text == "def f(k): ..."


def test_a_span_fits_the_tree_it_is_of(tmp_path):
    """Also where a file is written between two looks at it, at the same size."""
    path = tmp_path / "gen.py"
    path.write_text("\n" * 50 + "def f(m): ...\n")
    found = os.stat(path)
    assert codes(tmp_path, WORKER) == ["ORC505"]

    with open(path, "r+") as file:
        file.write("#" * 63)
    os.utime(path, ns=(found.st_atime_ns, found.st_mtime_ns))
    (item,) = lint(str(tmp_path / "a.orch"))

    assert item.related[0].span.begin_position.line == 51
    assert item.related[0].span.text == "def f(m): ..."


def test_modules_are_listed_past_what_is_none(tmp_path):
    (tmp_path / "loop.py").symlink_to("loop.py")
    (tmp_path / "nowhere.py").symlink_to("not-there")
    (tmp_path / "fine.py").touch()

    assert "fine" in modules_beside(str(tmp_path), "")


# ---------------------------------------------------------------- JSON and templates


@pytest.mark.parametrize(
    "content",
    [
        '{"x": ' + "9" * 5_000 + "}",
        '{"not": ' * 900 + "{}" + "}" * 900,
        '{"properties": {"a": ' * 450 + "{}" + "}}" * 450,
        "[" * 100_000,
        "{",
        "",
    ],
)
def test_any_schema_is_survived(content, tmp_path):
    (tmp_path / "t.json").write_text(content)

    assert codes(tmp_path, SCHEMA) == ["ORC207"]


def test_definitions_may_refer_to_one_another_in_a_long_row(tmp_path):
    rows = ",".join(
        f'"a{n}": {{"properties": {{"x": {{"$ref": "#/$defs/a{n + 1}"}}}}}}' for n in range(500)
    )
    (tmp_path / "t.json").write_text(f'{{"$ref": "#/$defs/a0", "$defs": {{{rows}, "a500": {{}}}}}}')

    assert codes(tmp_path, SCHEMA + 'worker f(t: T) -> T via python { call = "gen:f" }') == [
        "ORC506"
    ]


@pytest.mark.parametrize(
    "content", ["{{ " + "9" * 5_000 + " }}", "{{ " + "(" * 2_000, "{% if a %}" * 500]
)
def test_any_template_is_survived(content, tmp_path):
    (tmp_path / "t.j2").write_text(content)
    text = (
        'orch 1\nmodel m { id = "openai/gpt-4o" }\n'
        'worker f(n: int) -> int via llm { model = m  prompt = file("t.j2") }\n'
    )

    assert "ORC301" in codes(tmp_path, text)


def test_any_script_of_a_test_is_survived(tmp_path):
    text = """orch 1
model m { id = "openai/gpt-4o" }
worker f(n: int) -> int via python { call = "math:floor" }
orchestrator o() -> int {
  model = m  goal = "g"  workers = [f]
  policy { max_rounds = 1 }
}
test "t" for o {
  mock orchestrator { script = file("s.json") }
  assert run.status == "finished"
}
"""
    for content in ("[" * 100_000, "[" * 900 + "]" * 900, "[" + "9" * 5_000 + "]"):
        (tmp_path / "s.json").write_text(content)
        assert "ORC903" not in codes(tmp_path, text)  # what is read only when the test is run


# ---------------------------------------------------------------- special files


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no named pipes here")
def test_a_check_does_not_wait_for_a_pipe(tmp_path):
    """The pipes stand where an import, a schema, a template, Python, a snapshot, ... would be."""
    names = ("p.orch", "t.json", "t.j2", "gen.py", "all.mcp.json", "deep/orch.toml", "pipe.orch")
    (tmp_path / "deep").mkdir()
    for name in names:
        os.mkfifo(tmp_path / name)
    (tmp_path / "deep" / "x.orch").write_text("orch 1\n")
    (tmp_path / "all.orch").write_text(
        """orch 1
import "p.orch" as p
schema T from "t.json"
model m { id = "openai/gpt-4o" }
worker f(n: int) -> int via python { call = "gen:f" }
worker g(n: int) -> int via llm { model = m  prompt = file("t.j2") }
server s via mcp { command = ["x"] }
worker h(n: int) -> json via mcp { server = s  tool = "t"  timeout = 5s  effect = read }
"""
    )

    def orch(*arguments: str) -> tuple[int, str]:
        done = subprocess.run(
            [sys.executable, "-m", "engine.cli", *arguments],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        return done.returncode, done.stdout + done.stderr

    code, said = orch("lint", "all.orch", "pipe.orch")
    assert code == 3
    assert said.count("it is not a regular file") == 5
    assert "module `gen` not found" in said
    assert orch("lint", "deep/x.orch") == (
        2,
        "error: cannot read deep/orch.toml: it is not a regular file\n",
    )


@pytest.mark.parametrize("path", ["/dev/null", "/dev/zero", "/dev/tty"])
def test_devices_are_not_read(path):
    with pytest.raises(CannotRead, match=r"is not a regular file|does not exist"):
        read_regular(path)


def test_a_file_is_read_up_to_its_bound(tmp_path):
    path = tmp_path / "x"
    path.write_bytes(b"x" * 2_000_001)

    with pytest.raises(CannotRead, match="is larger than 2 MB"):
        read_regular(str(path), 2_000_000)
    path.write_bytes(b"x" * 2_000_000)
    assert len(read_regular(str(path), 2_000_000)) == 2_000_000


def test_what_is_opened_plainly_is_no_link(tmp_path):
    (tmp_path / "x").touch()
    (tmp_path / "link").symlink_to("x")

    os.close(open_plain(tmp_path / "x", os.O_RDONLY))
    with pytest.raises(OSError, match="symbolic link"):
        open_plain(tmp_path / "link", os.O_RDONLY)
    with pytest.raises(OSError, match="not a regular file"):
        open_plain(tmp_path, os.O_RDONLY)


def test_python_callers_get_findings_too(tmp_path):
    import engine

    (tmp_path / "gen.py").write_bytes(b"X = 1\0")
    (tmp_path / "a.orch").write_text(WORKER)

    with pytest.raises(CompileError, match="null bytes"):
        engine.load(tmp_path / "a.orch")
