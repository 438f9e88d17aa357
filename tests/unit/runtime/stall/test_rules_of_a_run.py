"""A run keeps the rules for stalls under which it began, and no setting costs nothing."""

from __future__ import annotations

import json

import pytest

from engine.events import CallFinished, CallStarted, ModelInfo, RunStarted
from engine.runtime.commands import StartCall
from engine.runtime.machine import step
from engine.runtime.stall import RULES
from engine.runtime.state import RunState
from engine.sema.check import check_file

PROGRAM = """orch 1
model planner { id = "scripted/none.json" }
worker web(query: string) -> string via python { call = "site:web" }
orchestrator main() -> string {
  model = planner  goal = "Find a flight."  workers = [web]
  policy { max_rounds = 9  STALL }
}
"""


@pytest.fixture
def state(tmp_path):
    def make(stall="stall { after = 2  action = abort }"):
        path = tmp_path / "main.orch"
        path.write_text(PROGRAM.replace("STALL", stall))
        (tmp_path / "site.py").write_text("def web(query):\n    return query\n")
        (tmp_path / "none.json").write_text("[]")
        return RunState(check_file(str(path)).program)

    return make


def drive(state, rules):
    """Play a loop whose planner asks the same, and whose worker answers with another number."""
    infos = {"planner": ModelInfo("scripted/none.json")}
    began = RunStarted(
        run="r", orchestrator="main", input={}, models=infos, program="p", stall=rules
    )
    _, commands = step(state, began)
    number = 0
    while commands:
        calls = [command for command in commands if isinstance(command, StartCall)]
        commands = []
        for call in calls:
            number += 1
            step(state, CallStarted(key=call.key, attempt=call.attempt))
            task = {"id": f"t{number}", "worker": "web", "input": {"query": "flights"}}
            decides = "decision" in call.key and "task" not in call.key
            value = json.dumps({"tasks": [task]}) if decides else f"Nothing was found ({number})."
            _, more = step(state, CallFinished(key=call.key, attempt=call.attempt, value=value))
            commands += more
    return state.root


def test_a_run_from_before_the_scores_has_the_exact_rule(state):
    assert (drive(state(), 0).status, drive(state(), RULES).status) == ("exhausted", "aborted")


def test_without_a_stall_block_or_with_sensitivity_0_nothing_is_remembered(state):
    assert drive(state(""), RULES).memory is None
    exact = drive(state("stall { after = 2  action = abort  sensitivity = 0 }"), RULES)
    assert (exact.status, exact.memory) == ("exhausted", None)


def test_a_new_plan_sets_the_evidence_back(state):
    loop = drive(state("stall { after = 2  action = replan  max_replans = 1 }"), RULES)
    said = [remark.text for one in loop.rounds for remark in one.feedback]
    assert any("was asked nearly the same for the" in text for text in said)
    assert loop.replans == 1
