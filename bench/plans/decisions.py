"""Tokens of decisions about N items: plain tasks, and one `each`, in the contract's and wire form.

The job is one review per file. Plain tasks are listed one by one; a step names the list. Both forms
are written by the engine itself, without spaces. Without steps, the wire form is that of a policy
without `max_items`; with steps, each plain task has an empty `step`.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import msgspec

from engine.runtime.decision import DecisionContract
from engine.runtime.wire_schema import WireDecision
from engine.runtime.wire_values import write_decision
from engine.sema.check import check_file
from engine.sema.model import Program
from engine.sema.names.loader import DiskReader, OverlayReader

__all__ = ["SIZES", "STEPS", "rows", "tokenizer"]

SIZES = (200, 1_000, 10_000)
_PROGRAM = Path(__file__).with_name("reviews.orch")

#: Steps of common kinds, in the contract's form.
STEPS: dict[str, dict[str, Any]] = {
    "each": {
        "id": "all",
        "worker": "review",
        "each": {"$from": "s", "at": "/files"},
        "input": {"path": {"$item": "/path"}},
    },
    "each, with selection": {
        "id": "all",
        "worker": "review",
        "each": {
            "$from": "s",
            "at": "/files",
            "where": [[{"value": {"$item": "/commits"}, "is": ">", "than": 3}]],
            "sort_by": "/commits",
            "desc": True,
            "take": 20,
        },
        "label": {"$item": "/path"},
        "input": {"path": {"$item": "/path"}, "focus": "security"},
    },
    "each over pairs": {
        "id": "again",
        "worker": "review",
        "each": {
            "$from": "all",
            "pairs": True,
            "where": [[{"value": {"$item": "/output/risk"}, "is": "==", "than": "high"}]],
        },
        "when": [[{"value": {"$from": "all"}, "is": "ok"}]],
        "tolerate": 0.1,
        "input": {"path": {"$item": "/item/path"}, "focus": "security"},
    },
    "reduce": {
        "id": "m",
        "worker": "merge",
        "reduce": {"$from": ["all", "again"]},
        "size": 20,
        "input": {"parts": {"$parts": True}},
    },
}


def tokenizer() -> tuple[str, Callable[[str], int]]:
    """The tokenizer's name, and how many tokens a text is.

    Its data is in the package `litellm`, so nothing is downloaded.
    """
    spec = find_spec("litellm")
    assert spec is not None
    assert spec.origin is not None
    folder = Path(spec.origin).parent / "litellm_core_utils" / "tokenizers"
    os.environ.setdefault("TIKTOKEN_CACHE_DIR", str(folder))
    import tiktoken

    encoding = tiktoken.get_encoding("cl100k_base")
    return "cl100k_base", lambda text: len(encoding.encode(text))


def plain(count: int) -> dict[str, Any]:
    """A decision that lists its tasks one by one."""
    return {
        "tasks": [
            {"id": f"r{n}", "worker": "review", "input": {"path": f"src/pkg_{n % 40}/mod_{n}.py"}}
            for n in range(count)
        ]
    }


def rows() -> tuple[list[tuple[int, int, int, int, int, int]], list[tuple[str, int, int]]]:
    """The figures.

    Returns:
        For each size: items; tokens of plain tasks in the contract's form, in the wire form without
        steps and with them; tokens of an `each` in the contract's form and in the wire form. Then
        for each kind of step: its name, and its tokens in both forms.
    """
    _, count = tokenizer()
    with_steps, without = _form("max_items = 10_000"), _form("")

    def size(value: Any) -> int:
        return count(msgspec.json.encode(value).decode())

    step = {"tasks": [STEPS["each"]]}
    sizes = [
        (
            items,
            size(plain(items)),
            size(write_decision(plain(items), without)),
            size(write_decision(plain(items), with_steps)),
            size(step),
            size(write_decision(step, with_steps)),
        )
        for items in SIZES
    ]
    steps = [
        (name, size(entry), size(write_decision({"tasks": [entry]}, with_steps)["tasks"][0]))
        for name, entry in STEPS.items()
    ]
    return sizes, steps


def _form(switch: str) -> WireDecision:
    text = _PROGRAM.read_text(encoding="utf-8").replace("max_items = 10_000", switch)
    program = _checked(text)
    contract = DecisionContract(program, program.orchestrators["audit"])
    # What is measured must be a decision.
    if switch:
        for entry in STEPS.values():
            contract.read(json.loads(json.dumps({"tasks": [entry]})))
    form = contract.wire("openai")
    assert form is not None
    return form


def _checked(text: str) -> Program:
    path = str(_PROGRAM)
    program = check_file(path, reader=OverlayReader(DiskReader(), path, text), env={}).program
    assert program is not None
    return program
