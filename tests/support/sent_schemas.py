"""Every schema that a program of this repository would send to a provider, in every dialect."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from engine.dialects.table import DIALECTS
from engine.runtime.decision import DecisionContract
from engine.runtime.wire_schema import wire_output
from engine.sema.check import check_file
from engine.sema.model import Program
from engine.sema.types.contract import VERDICT

__all__ = ["ROOT", "Sent", "programs", "sent"]

ROOT = Path(__file__).parents[2]
_NOT_OURS = {".venv", ".work", "node_modules", "build", "dist"}


class Sent(NamedTuple):
    """One schema as it is sent.

    `whose` is the file and the name of what answers by it.
    """

    whose: str
    dialect: str
    schema: dict[str, Any]


@functools.lru_cache(maxsize=1)
def programs() -> dict[str, Program]:
    """The programs of the repository that check, by the path of their file."""
    found = {}
    for path in sorted(ROOT.rglob("*.orch")):
        if _NOT_OURS & set(path.relative_to(ROOT).parts):
            continue
        program = check_file(str(path)).program
        if program is not None:
            found[str(path.relative_to(ROOT))] = program
    return found


def sent() -> Iterator[Sent]:
    """All of them, each once."""
    for dialect in DIALECTS:
        verdict = wire_output(VERDICT, dialect)
        if verdict is not None:
            yield Sent("a verdict", dialect, verdict)
        for path, program in programs().items():
            for loop in program.orchestrators.values():
                form = DecisionContract(program, loop).wire(dialect)
                if form is not None:
                    yield Sent(f"{path}: {loop.name}", dialect, form.schema)
            for worker in program.workers.values():
                schema = None if worker.facts.model is None else wire_output(worker.output, dialect)
                if schema is not None:
                    yield Sent(f"{path}: {worker.name}", dialect, schema)
