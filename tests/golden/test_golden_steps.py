"""What a planner reads and may answer with steps, and without, against files to look at.

`ORCH_UPDATE_GOLDEN=1 pytest tests/golden` writes the files again. Those named `plain_` are of a
policy without `max_items`: a change there changes every recording.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from step_program import SOURCE, decisions

import engine
from engine.runtime.ports import ModelReply, ModelRequest

FOLDER = Path(__file__).parent
FINISH = {"summary": "s", "reviews": [], "best": None}


def check(path: Path, text: str) -> None:
    """Compare a text with its file, or write the file."""
    if os.environ.get("ORCH_UPDATE_GOLDEN"):
        path.write_text(text, encoding="utf-8", newline="\n")
    assert text == path.read_text(encoding="utf-8")


class Once:
    """A planner that ends at once, and keeps what it has read."""

    def __init__(self) -> None:
        self.prompt = ""
        self.schema: object = None

    async def complete(self, request: ModelRequest) -> ModelReply:
        self.prompt = "\n".join(f"--- {m.role}\n{m.content}" for m in request.messages)
        self.schema = request.schema
        return ModelReply(json.dumps({"finish": FINISH}))

    async def close(self) -> None:
        return


@pytest.mark.parametrize("steps", [True, False], ids=["steps", "plain"])
@pytest.mark.parametrize("form", ["contract", "wire"])
def test_the_prompt(tmp_path: Path, steps: bool, form: str) -> None:
    structured = "native" if form == "wire" else "prompt"
    text = SOURCE % ("max_items = 500  " if steps else "")
    text = text.replace(
        'model m { id = "memory/m" }',
        f'model m {{ id = "openai/gpt-5-mini"  structured = {structured} }}',
    )
    (tmp_path / "main.orch").write_text(text)
    planner = Once()
    run = engine.load(str(tmp_path / "main.orch")).run(models={"m": planner})
    assert run.status == "finished", run.report()
    name = f"{'steps' if steps else 'plain'}_{form}.txt"
    check(FOLDER / "prompts" / name, planner.prompt + "\n")


@pytest.mark.parametrize("steps", [True, False], ids=["steps", "plain"])
@pytest.mark.parametrize("dialect", ["", "openai", "anthropic", "azure"])
def test_the_schema(steps: bool, dialect: str) -> None:
    contract = decisions(steps=steps)
    form = contract.wire(dialect) if dialect else None
    schema = contract.schema if form is None else form.schema
    name = f"{'steps' if steps else 'plain'}_{dialect or 'contract'}.json"
    check(FOLDER / "schemas" / name, json.dumps(schema, indent=1, ensure_ascii=False) + "\n")
