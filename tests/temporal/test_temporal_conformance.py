"""One suite over both executors: the same programs give the same events, by key, and results.

The same machine takes the turns of both, so what could differ is what stands around it: calls,
timers, gates, what is journaled in which order. Compared by key, because calls that run side by
side end in any order.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from generated_programs import TOOLS, real_program

from engine.distributed.address import connect
from engine.distributed.remote import RemoteRun, start_run
from engine.drive import launch
from engine.drive.answers import Reply
from engine.drive.launch import Options
from engine.journal import MemoryJournal
from engine.linter.admission import errors_in
from engine.runtime.report import run_report
from engine.runtime.state import Gate, RunState
from engine.sema.check import check_file
from engine.sema.model import Program

pytestmark = pytest.mark.temporal

SHAPES = range(48)
#: How many answers a run gets before it is called off.
PATIENCE = 12


def reply_to(state: RunState) -> Reply:
    """What a person says to the first open gate: by what is asked, and nothing else."""
    gate = state.gates[min(state.gates)]
    rng = random.Random(gate.key)
    return Reply(**_words(gate, rng), gate=gate.key, by="somebody")


def _words(gate: Gate, rng: random.Random) -> dict[str, Any]:
    if gate.kind == "outcome":
        assert gate.task is not None
        output: Any = {"pay": {"id": "p"}, "sign": {"text": "signed"}}[gate.task.worker.name]
        answer = rng.choice(("approve", "not_done", "reject"))
        return {"answer": answer, "output": output if answer == "approve" else None}
    answer = rng.choice(("approve", "approve", "approve", "reject"))
    if gate.kind == "escalation" and answer == "approve":
        return {"answer": answer, "output": rng.choice(({"n": 7}, None))}
    return {"answer": answer, "note": "hm"}


async def embedded(program: Program) -> tuple[list[Any], RunState]:
    """The run on this machine."""
    journal = MemoryJournal()
    state = await launch.start(
        program, launch.choose(program, "main"), {"q": "x"}, journal, Options()
    )
    for _ in range(PATIENCE):
        if state.ended:
            break
        state = await launch.resume(state.run, journal, reply=reply_to(state))
    else:
        state = await launch.cancel(state.run, journal)
    return journal.read(state.run), state


async def on_a_cluster(program: Program, client: Any, address: Any) -> tuple[list[Any], RunState]:
    """The run on a cluster."""
    record, began = launch.prepare(
        program, launch.choose(program, "main"), {"q": "x"}, Options(), {}
    )
    run: RemoteRun = await start_run(client, address, record, began)
    seen: list[Any] = []

    def see(event: Any, state: RunState) -> None:
        seen.append(event)

    missing: list[str] = []
    state = await run.follow(RunState(program), 0, [see], missing.append)
    for _ in range(PATIENCE):
        if state.ended:
            break
        await run.answer(reply_to(state))
        state = await run.follow(state, len(seen), [see], missing.append)
    else:
        await run.cancel("cancelled")
        state = await run.follow(state, len(seen), [see], missing.append)
    assert not missing
    return seen, state


def result_of(state: RunState) -> dict[str, Any]:
    """What a run came to, without times."""
    report = run_report(state)
    return {name: report[name] for name in ("status", "reason", "bound", "output", "partial")} | {
        "failures": sorted((f["key"], f["mode"], f["message"]) for f in report["failures"]),
        "usage": {k: v for k, v in report["usage"].items() if "ms" not in k},
    }


def allow_errors(path: Path) -> None:
    """Allow what the linter finds, where it finds it: what the machine makes of it counts here."""
    lines = path.read_text().splitlines()
    codes: dict[int, set[str]] = {}
    for error in errors_in(check_file(str(path))):
        codes.setdefault(error.span.begin_position.line - 1, set()).add(error.code)
    for line, found in codes.items():
        lines[line] += f"  // orch: allow[{', '.join(sorted(found))}] it is denied at run time"
    path.write_text("\n".join(lines) + "\n")


def test_generated_programs_run_alike(desk: Any, by_key: Callable[..., Any]) -> None:
    desk.write("tools.py", TOOLS)
    names = [f"shape{shape}.orch" for shape in SHAPES]
    for shape, name in zip(SHAPES, names, strict=True):
        allow_errors(desk.write(name, real_program(shape)))
    programs = {name: check_file(str(desk.folder / name)).program for name in names}
    here = {name: asyncio.run(embedded(program)) for name, program in programs.items()}
    desk.settings["heartbeat"] = "15s"
    desk.host(*names)

    async def all_there() -> dict[str, tuple[list[Any], RunState]]:
        client = await connect(desk.address)
        limit = asyncio.Semaphore(8)

        async def one(program: Program) -> tuple[list[Any], RunState]:
            async with limit:
                return await on_a_cluster(program, client, desk.address)

        results = await asyncio.gather(*(one(programs[name]) for name in names))
        return dict(zip(names, results, strict=True))

    there = asyncio.run(all_there())
    ends: dict[str, int] = {}
    for name in names:
        events, state = here[name]
        assert by_key(there[name][0]) == by_key(events), name
        assert result_of(there[name][1]) == result_of(state), name
        ends[state.status] = ends.get(state.status, 0) + 1
    # The suite is worth something only if the runs are of all kinds.
    assert {"finished", "exhausted"} <= set(ends), ends
    kinds = {type(event).__name__ for events, _ in here.values() for event in events}
    assert {"CallFailed", "GateAnswered", "RunResumed"} <= kinds
