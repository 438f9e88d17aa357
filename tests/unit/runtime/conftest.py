"""`play`: a whole program, its tools and a scripted planner, run through the public face."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import engine
from engine.runtime.ports import ModelReply, ModelRequest
from engine.sema.check import check_file

HEAD = 'orch 1\nmodel planner { id = "scripted/none.json" }\n'


class Prompted:
    """A planner that keeps the prompts it is given, and answers from a list."""

    def __init__(self, answers: list[Any]) -> None:
        self.answers = list(answers)
        self.prompts: list[list[tuple[str, str]]] = []

    async def complete(self, request: ModelRequest) -> ModelReply:
        self.prompts.append([(m.role, m.content) for m in request.messages])
        answer = self.answers.pop(0)
        return ModelReply(answer if isinstance(answer, str) else json.dumps(answer))

    async def close(self) -> None:
        return


@pytest.fixture
def prompted() -> type[Prompted]:
    return Prompted


@pytest.fixture
def load(tmp_path: Path) -> Callable[..., engine.Workflow]:
    """Write a program and its tools beside each other, and load it.

    What the linter alone calls an error is let pass, as where a comment allows it: what the
    machine does then is tested here.
    """

    def load(program: str, tools: str = "") -> engine.Workflow:
        path = tmp_path / "main.orch"
        path.write_text(HEAD + program)
        (tmp_path / "tools.py").write_text(tools)
        (tmp_path / "none.json").write_text("[]")
        result = check_file(str(path))
        if result.program is None:
            raise engine.CompileError(result.diagnostics)
        return engine.Workflow(result.program, [])

    return load


@pytest.fixture
def play(load: Callable[..., engine.Workflow]) -> Callable[..., engine.Run]:
    """Run a program with the planner's decisions given."""

    def play(
        program: str,
        decisions: list[Any],
        tools: str = "",
        models: dict[str, Any] | None = None,
        **inputs: Any,
    ) -> engine.Run:
        workflow = load(program, tools)
        planner = decisions if not isinstance(decisions, list) else engine.Scripted(decisions)
        return workflow.run(models={"planner": planner, **(models or {})}, input=inputs)

    return play


def task(id: str, worker: str, **input: Any) -> dict[str, Any]:
    return {"id": id, "worker": worker, "input": input}


@pytest.fixture
def tasks() -> Callable[..., dict[str, Any]]:
    """A decision with tasks, each given as `(id, worker, input)`."""

    def tasks(*specs: tuple[str, str, dict[str, Any]]) -> dict[str, Any]:
        return {
            "assessment": "go on",
            "tasks": [{"id": i, "worker": w, "input": v} for i, w, v in specs],
        }

    return tasks


@pytest.fixture
def finish() -> Callable[..., dict[str, Any]]:
    """A decision that finishes."""
    return lambda **output: {"assessment": "done", "finish": output}
