"""A program prepared for a test: mocked callables set apart, every wait and rate limit taken out.

What is mocked becomes a callable of the kind `mock`, so its answers pass the same validation,
hooks, retries and taint as the real ones. Gates stay gates. Retries keep their number and lose
their pauses. A worker or verifier that is itself under test gets a small orchestrator around it,
which dispatches it once.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from engine.models.scripted import Entry
from engine.sema.expressions.template import Template
from engine.sema.model import (
    Facts,
    Model,
    Orchestrator,
    Policy,
    Program,
    Retry,
    Verifier,
    Worker,
)
from engine.sema.types.contract import VERDICT, Contract
from engine.testing.mocks import StandIns

__all__ = ["ALONE", "MOCK", "alone", "rigged"]

#: The kind of a callable that a mock replaces.
MOCK = "mock"
_AS_MOCK: Mapping[str, Any] = {"kind": MOCK, "facts": Facts()}
#: The name of the orchestrator and of its model around a worker or verifier under test; no name
#: in a file looks like it.
ALONE = "(test)"


def rigged(program: Program, mocks: StandIns) -> Program:
    """The program of a test's run."""
    workers = {
        name: _mocked(program, worker)
        if name in mocks.callables
        else msgspec.structs.replace(worker, retry=_hurried(worker.retry))
        for name, worker in program.workers.items()
    }
    for name, orchestrator in program.orchestrators.items():
        if name in mocks.callables:
            # The machine looks among the workers first, so this one is before the real one.
            workers[name] = Worker(
                name=name,
                kind=MOCK,
                inputs=orchestrator.inputs,
                output=orchestrator.output,
                fails=orchestrator.fails,
                effect="read",
                trust="trusted",
                settings={},
                base_dir=orchestrator.base_dir,
                span=orchestrator.span,
                doc=orchestrator.doc,
            )
    verifiers = {
        name: msgspec.structs.replace(
            verifier,
            **(_AS_MOCK if _is_mocked(verifier, mocks) else {}),
            retry=_hurried(verifier.retry),
        )
        for name, verifier in program.verifiers.items()
    }
    models = {
        name: msgspec.structs.replace(
            model, retry=_hurried(model.retry), max_concurrent=None, rpm=None, tpm=None
        )
        for name, model in program.models.items()
    }
    return msgspec.structs.replace(program, workers=workers, verifiers=verifiers, models=models)


def _mocked(program: Program, worker: Worker) -> Worker:
    retry = worker.retry
    if retry is None and worker.facts.model is not None:
        # Its calls are made again as its model says.
        retry = program.models[worker.facts.model].retry
    return msgspec.structs.replace(worker, **_AS_MOCK, retry=_hurried(retry), plan=None)


def _is_mocked(verifier: Verifier, mocks: StandIns) -> bool:
    return verifier.name in mocks.callables and verifier.facts.done_by != "person"


def _hurried(retry: Retry | None) -> Retry | None:
    return None if retry is None else msgspec.structs.replace(retry, backoff_ms=0)


def alone(
    program: Program, name: str, input: Mapping[str, Any]
) -> tuple[Program, Orchestrator, list[Entry]]:
    """The program with an orchestrator that dispatches one worker, or one verifier's check, once.

    Returns:
        The program, the orchestrator, and the decisions of its model.
    """
    tested = program.workers.get(name) or _as_worker(program.verifiers[name])
    orchestrator = Orchestrator(
        name=ALONE,
        inputs=Contract.of_fields((), ALONE),
        output=Contract.of_schema({}),
        fails=(),
        model=ALONE,
        goal=Template(f"Test {name}."),
        workers=(name,),
        policy=Policy(max_rounds=2),
        span=tested.span,
        base_dir=tested.base_dir,
    )
    model = Model(name=ALONE, id=f"memory/{ALONE}", base_dir=tested.base_dir, span=tested.span)
    # What looks like a reference in the input is meant as it is written.
    given = {key: {"$literal": value} for key, value in input.items()}
    decisions = [
        Entry({"assessment": "", "tasks": [{"id": "test", "worker": name, "input": given}]}),
        Entry({"assessment": "", "finish": {}}),
    ]
    whole = msgspec.structs.replace(
        program,
        workers={**program.workers, name: tested},
        models={**program.models, ALONE: model},
        orchestrators={**program.orchestrators, ALONE: orchestrator},
    )
    return whole, orchestrator, decisions


def _as_worker(verifier: Verifier) -> Worker:
    """A verifier as a worker that gives a verdict."""
    return Worker(
        name=verifier.name,
        kind=verifier.kind,
        inputs=verifier.inputs,
        output=VERDICT,
        fails=(),
        effect="read",
        trust="trusted",
        settings=verifier.settings,
        base_dir=verifier.base_dir,
        span=verifier.span,
        doc=verifier.doc,
        timeout_ms=verifier.timeout_ms,
        retry=verifier.retry,
        repair_max=verifier.repair_max,
        facts=verifier.facts,
    )
