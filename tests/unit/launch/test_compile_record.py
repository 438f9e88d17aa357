"""A run's own program is compiled from its texts alone, wherever that happens."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.drive.loading import compile_record
from engine.errors import CompileError
from engine.journal import RunRecord
from engine.sema.check import check_file

PROGRAM = """orch 1
model planner { id = "python/tools:plan" }
worker one() -> int via python { call = "tools:one" }
orchestrator main() -> { n: int } {
  model = planner  goal = "g"  workers = [one]  policy { max_rounds = 1 }
}
"""


def record(files: dict[str, str]) -> RunRecord:
    return RunRecord(
        run="r", workflow="main.orch", orchestrator="main", started_ms=0, files=files, cwd="/none"
    )


def test_python_modules_need_not_be_there(tmp_path: Path) -> None:
    path = tmp_path / "main.orch"
    path.write_text(PROGRAM)
    assert check_file(str(path)).program is None
    assert list(compile_record(record({"main.orch": PROGRAM})).workers) == ["one"]


def test_what_is_wrong_in_the_texts_is_still_refused() -> None:
    with pytest.raises(CompileError, match="ORC101") as raised:
        compile_record(record({"main.orch": PROGRAM.replace("[one]", "[two]")}))
    assert {item.code for item in raised.value.diagnostics} == {"ORC101"}
