"""`orch graph` as a process, on a real file with imports, in every format."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET

import orch_fork
import pytest

TOOLS = """\
orch 1
model fast { id = "openai/gpt-5-mini" }
"""
MAIN = """\
orch 1
import "tools.orch" as tools

worker find(topic: string) -> string[] via llm {
  model  = tools.fast
  prompt = "{{ topic }}"
}

orchestrator inner(topic: string) -> string[] {
  model   = tools.fast
  goal    = "Find {{ topic }}"
  workers = [find]
  policy  { max_rounds = 2  budget { cost = $0.10 } }
}

orchestrator outer(topic: string) -> string[] {
  model   = tools.fast
  goal    = "Find {{ topic }}, twice"
  workers = [inner, find]
  policy  { max_rounds = 3  budget { cost = $0.50 } }
  limit find { max_dispatches = 2  after = [inner] }
}
"""


def orch(*arguments, cwd):
    done = orch_fork.run([*map(str, arguments)], cwd=cwd)
    assert "Traceback" not in done.stdout + done.stderr
    return done


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "tools.orch").write_text(TOOLS)
    (tmp_path / "main.orch").write_text(MAIN)
    return tmp_path


def test_json_has_nodes_and_edges(folder):
    done = orch("graph", "main.orch", "--format", "json", cwd=folder)

    data = json.loads(done.stdout)
    assert (done.returncode, done.stderr, data["entry"]) == (0, "", "outer")
    assert {node["name"]: node["kind"] for node in data["nodes"]} == {
        "inner": "orchestrator",
        "outer": "orchestrator",
        "find": "worker",
        "tools.fast": "model",
    }
    kinds = {(edge["source"], edge["target"], edge["kind"]) for edge in data["edges"]}
    assert ("outer", "inner", "dispatch") in kinds
    assert ("inner", "outer", "return") in kinds
    assert ("inner", "find", "precedence") in kinds
    assert ("find", "tools.fast", "uses") in kinds


def test_mermaid_is_the_default(folder):
    done = orch("graph", "main.orch", cwd=folder)

    assert done.stdout == orch("graph", "main.orch", "--format", "mermaid", cwd=folder).stdout
    assert done.stdout.startswith("flowchart LR\n")
    assert "tools.fast<br/>openai/gpt-5-mini" in done.stdout


def test_dot(folder):
    done = orch("graph", "main.orch", "--format", "dot", cwd=folder)

    assert '  "outer" -> "find" [dir=both, label="at most 2"]\n' in done.stdout


def test_svg_goes_to_a_file(folder):
    done = orch("graph", "main.orch", "--format", "svg", "-o", "g.svg", cwd=folder)

    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert ET.parse(folder / "g.svg").getroot().tag == "{http://www.w3.org/2000/svg}svg"


def test_one_orchestrator_alone(folder):
    done = orch("graph", "main.orch", "--name", "inner", "--format", "json", cwd=folder)

    data = json.loads(done.stdout)
    assert data["entry"] == "inner"
    assert {node["name"] for node in data["nodes"]} == {"inner", "find", "tools.fast"}


def test_an_unknown_orchestrator_gets_a_suggestion(folder):
    done = orch("graph", "main.orch", "--name", "iner", cwd=folder)

    assert (done.returncode, done.stdout) == (2, "")
    assert "did you mean `inner`?" in done.stderr


def test_a_program_with_errors_is_not_drawn(folder):
    (folder / "main.orch").write_text(MAIN.replace("workers = [find]", "workers = [fnd]"))

    done = orch("graph", "main.orch", cwd=folder)

    assert (done.returncode, done.stdout) == (3, "")
    assert "error[ORC101]" in done.stderr
    assert "did you mean `find`?" in done.stderr


@pytest.mark.parametrize("name", ["no.orch", "."])
def test_what_cannot_be_read_is_exit_3(folder, name):
    done = orch("graph", name, cwd=folder)

    assert (done.returncode, done.stdout) == (3, "")
    assert done.stderr.startswith(f"error: cannot read {name}: it ")


def test_an_output_that_cannot_be_written_is_exit_3(folder):
    done = orch("graph", "main.orch", "-o", "no/such/folder/g.mmd", cwd=folder)

    assert (done.returncode, done.stdout) == (3, "")
    assert "cannot write no/such/folder/g.mmd: no such file or directory" in done.stderr
