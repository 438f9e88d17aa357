"""Closed sets of words and the tables about them: who adds a word has to fill in each table.

What branches on such a word ends in `assert_never`, so the type check finds the place. These are
the tables that it cannot look into.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import get_args

import pytest

import engine
from engine.cli.end_report import EXITS
from engine.errors import BUILTIN_MODES
from engine.events import RunStatus
from engine.sema.kinds import bodies
from engine.sema.model import HookPoint
from engine.sema.settings.values import BlockValue
from engine.sema.templates.run_types import RUN_REPORTED
from engine.sema.types.definitions import Constant, Union
from engine.syntax.common_mistakes import _BLOCKS

ENGINE = Path(engine.__file__).parent
LANGUAGE = (ENGINE.parent / "docs" / "reference" / "language.md").read_text(encoding="utf-8")


def test_every_run_status():
    statuses = set(get_args(RunStatus))
    # A process does not end while its run goes on.
    assert set(EXITS) == statuses - {"running"}
    (status,) = (field.type for field in RUN_REPORTED.fields if field.name == "status")
    assert isinstance(status, Union)
    assert {option.value for option in status.options if isinstance(option, Constant)} == statuses
    assert [word for word in EXITS if f"`{word}`" not in LANGUAGE] == []


def test_every_hook_point():
    points = set(get_args(HookPoint))
    assert {row.name for row in bodies()["verify"].rows} == points
    assert [point for point in points if f"`{point}`" not in LANGUAGE] == []


def test_every_failure_mode():
    assert [mode for mode in BUILTIN_MODES if f"`{mode}`" not in LANGUAGE] == []


def test_every_block_without_a_label_can_be_told_from_a_map():
    blocks = {
        row.name
        for kind in bodies().values()
        for row in kind.rows
        if isinstance(row.value, BlockValue) and not row.value.label
    }
    assert blocks - _BLOCKS <= {"env"}


SOURCES = {
    path: path.read_text(encoding="utf-8")
    for path in ENGINE.rglob("*.py")
    if path.name != "table.py"
}


# Settings of a model that orch does not know are passed on to the provider as they are.
@pytest.mark.parametrize("kind", sorted(set(bodies()) - {"model"}))
def test_every_setting_is_read_somewhere(kind):
    """A setting that nothing reads would be taken and ignored."""
    for row in bodies()[kind].rows:
        # A row is `Row("name"`; whoever reads it writes the name in another way.
        read = re.compile(
            rf'(?<!Row\()"{row.name}"|[.]{row.name}\b|\b{row.name}_\w+\b|\b{row.name}='
        )
        assert any(read.search(text) for text in SOURCES.values()), row.name
