"""What lint calls an error keeps a program from running, wherever it would be run."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

import msgspec
import pytest

import engine
from engine.cli.app import run as orch
from engine.diagnostics import RULES, explained
from engine.diagnostics.rule import PRELUDE
from engine.distributed.library import Library
from engine.distributed.programs import errors_of, program_of
from engine.drive import launch
from engine.drive.launch import Options
from engine.history import fork_and_retry as again
from engine.journal import MemoryJournal, RunRecord
from engine.linter import RULES as LINT_RULES
from engine.linter import lint, lint_result
from engine.linter.admission import BLOCKING, errors_in
from engine.sema.check import check_file

ERRORS = [code for code, rule in RULES.items() if rule.blocks and explained(code).bad]
ALLOWABLE = [code for code in ERRORS if RULES[code].allowable]
#: Those that the linter alone finds.
OF_THE_LINTER = {"ORC408", "ORC502", "ORC503", "ORC511", "ORC801", "ORC804", "ORC806"}
CASES = Path(__file__).parents[2] / "cases"

#: Clean but for what `goal` and `more` bring in.
PROGRAM = """orch 1
model planner {{ id = "scripted/plan.json" }}
worker add(n: int) -> int via python {{ call = "tools:add"  effect = pure }}
verifier boss(result: int) via human {{ message = "Good?"  timeout = 1h }}
orchestrator main(note: string @untrusted = "") -> int {{
  model = planner
  {comment}
  goal = {goal}
  workers = [add]
  policy {{ max_rounds = 3 }}
  verify {{ before_finish {{ with = boss  on_fail = abort }} }}
}}
"""
BARE = '"Count {{ note }}."'
FENCED = '"Count {{ note | untrusted }}."'


def example(code: str, folder: Path, comment: str = "") -> Path:
    text = explained(code).bad
    if not text.startswith("orch ") and code != "ORC007":
        text = PRELUDE + text + "\n"
    if comment:
        (found, *_) = [it for it in lint(code, source_text=text) if it.code == code]
        lines = text.splitlines(keepends=True)
        lines.insert(found.span.begin_position.line - 1, f"{comment}\n")
        text = "".join(lines)
    path = folder / "main.orch"
    path.write_text(text)
    return path


def desk(folder: Path, goal: str = FENCED, comment: str = "") -> Path:
    (folder / "tools.py").write_text("def add(n):\n    return n\n")
    (folder / "plan.json").write_text('[{"finish": 7}]')
    path = folder / "main.orch"
    path.write_text(PROGRAM.format(goal=goal, comment=comment))
    return path


def codes(error: pytest.ExceptionInfo[engine.CompileError]) -> list[str]:
    return [item.code for item in error.value.diagnostics]


# ---------------------------------------------------------------- the table


@pytest.mark.parametrize("code", ERRORS)
def test_the_example_of_every_error_is_refused(
    code: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = example(code, tmp_path)
    with pytest.raises(engine.CompileError) as refused:
        engine.load(path)
    assert code in codes(refused)
    errors = [item for item in lint(str(path)) if item.severity == "error"]
    assert codes(refused) == [item.code for item in errors]

    for command in (["run", str(path), "--no-journal"], ["test", str(path)]):
        assert orch(command) == 3
        said = capsys.readouterr()
        assert re.search(rf"^error\[{code}\].*\n *--> ", said.err, re.M), said.err


@pytest.mark.parametrize("code", ALLOWABLE)
def test_a_comment_allows_the_errors_that_the_table_says(code: str, tmp_path: Path) -> None:
    path = example(code, tmp_path, f"// orch: allow[{code}] it is a test")
    assert code not in [item.code for item in errors_in(check_file(str(path), env={}))]


@pytest.mark.parametrize("code", [c for c in ERRORS if c not in ALLOWABLE and c[3] != "0"])
def test_a_comment_allows_no_other(code: str, tmp_path: Path) -> None:
    path = example(code, tmp_path, f"// orch: allow[{code}] it is a test")
    assert code in [item.code for item in errors_in(check_file(str(path), env={}))]


@pytest.mark.parametrize("path", sorted(CASES.rglob("*.orch")), ids=lambda path: path.stem)
def test_lint_and_admission_agree_about_every_case(path: Path) -> None:
    result = check_file(str(path), env={})
    found = [str(item.span) + item.code for item in lint_result(result) if item.severity == "error"]
    assert [str(item.span) + item.code for item in errors_in(result)] == found
    assert (result.program is None) <= bool(found)


def test_rules_that_report_errors_are_those_that_block() -> None:
    """By what they say of themselves: the code of an error leads the docstring."""
    for rule in LINT_RULES:
        named = re.match(r"ORC\d{3}", rule.__doc__ or "")
        if named is not None:
            assert RULES[named[0]].blocks == (rule in BLOCKING), rule.__name__


# ---------------------------------------------------------------- where it counts


def test_warnings_of_a_workflow_are_those_of_lint(tmp_path: Path) -> None:
    path = desk(tmp_path)
    path.write_text(path.read_text().replace("verify {", "// {") + "schema Idle { a: int }\n")
    found = engine.lint(path)
    assert {"ORC601", "ORC705"} <= {item.code for item in found}
    assert [item.code for item in engine.load(path).warnings] == [item.code for item in found]


@pytest.mark.parametrize("code", sorted(OF_THE_LINTER))
def test_an_error_in_an_imported_file_stops_the_program_and_is_told(
    code: str, tmp_path: Path
) -> None:
    (tmp_path / "parts").mkdir()
    example(code, tmp_path / "parts")
    main = tmp_path / "top.orch"
    main.write_text('orch 1\nimport "parts/main.orch" as parts\n')
    with pytest.raises(engine.CompileError) as refused:
        engine.load(main)
    assert codes(refused) == [code]
    assert refused.value.diagnostics[0].span.source.path.endswith("parts/main.orch")
    assert [item.code for item in lint(str(main)) if item.severity == "error"] == [code]

    example(code, tmp_path / "parts", f"// orch: allow[{code}] it is a test")
    assert engine.load(main).program.orchestrators is not None


def test_an_error_in_a_text_block_is_allowed_where_the_block_begins(tmp_path: Path) -> None:
    goal = '"""\n    Count\n    {{ note }}\n  """'
    with pytest.raises(engine.CompileError, match="ORC806"):
        engine.load(desk(tmp_path, goal))
    path = desk(tmp_path, goal, "// orch: allow[ORC806] the planner is told so")
    assert engine.load(path).warnings == []


def test_an_error_in_a_file_without_comments_is_allowed_where_it_is_named(tmp_path: Path) -> None:
    (tmp_path / "goal.txt").write_text("Count\n{{ note }}\n")
    with pytest.raises(engine.CompileError, match=r"goal\.txt:2:4: ORC806"):
        engine.load(desk(tmp_path, 'file("goal.txt")'))
    path = desk(tmp_path, 'file("goal.txt")', "// orch: allow[ORC806] the planner is told so")
    assert engine.load(path).warnings == []


def test_the_files_of_a_host_are_refused(tmp_path: Path) -> None:
    with pytest.raises(engine.CompileError, match="ORC806"):
        Library([str(desk(tmp_path, BARE))])


def test_a_host_refuses_a_run_that_begins_and_not_one_that_began(tmp_path: Path) -> None:
    text = desk(tmp_path, BARE).read_text()
    record = RunRecord(
        run="r",
        workflow="main.orch",
        orchestrator="main",
        started_ms=0,
        files={"main.orch": text},
        cwd="/none",
    )
    assert [error.code for error in errors_of(record)] == ["ORC806"]
    assert list(program_of(record).orchestrators) == ["main"]
    # Python files are no part of a record, and not what is asked for here.
    assert errors_of(_with(record, text.replace(BARE, FENCED))) == []


def _with(record: RunRecord, text: str) -> RunRecord:
    return msgspec.structs.replace(record, files={"main.orch": text})


# ---------------------------------------------------------------- runs that began


def test_a_run_that_began_is_resumed_whatever_rules_have_come_since(tmp_path: Path) -> None:
    """An engine without the linter's errors began it; the gate is answered by this one."""
    program = check_file(str(desk(tmp_path, BARE))).program
    assert program is not None
    journal = MemoryJournal()
    main = program.orchestrators["main"]
    state = asyncio.run(launch.start(program, main, {"note": "all"}, journal, Options()))
    assert state.status == "waiting"

    run = engine.resume(state.run, journal=journal, reply=engine.Reply("approve"))
    assert (run.status, run.output) == ("finished", 7)


def test_a_run_is_not_moved_to_a_program_that_would_not_run(tmp_path: Path) -> None:
    path = desk(tmp_path)
    journal = MemoryJournal()
    run = engine.load(path).run(note="all", journal=journal)
    assert run.status == "waiting"
    desk(tmp_path, BARE)
    with pytest.raises(engine.CompileError, match="ORC806"):
        asyncio.run(again.upgrade(run.id, journal))
    assert engine.resume(run.id, journal=journal, reply=engine.Reply("approve")).output == 7
