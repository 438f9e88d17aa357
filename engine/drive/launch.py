"""Starts a run of a checked program: everything that happens once, before the loop.

Inputs and secrets are checked, models are resolved and opened, the run is added to the journal, and
the driver is started. This module also takes over a run after a crash. Everything that can be
refused is refused here, before any money is spent; nothing here decides anything once the run is
active.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import secrets as random_names
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import msgspec

from engine import clock
from engine.drive.active import Drive, Say, alone, enter
from engine.drive.answers import Reply, answers, refuse_secrets
from engine.drive.driver import Appender, Driver, Observer
from engine.drive.gc_pause import unhurried_collector
from engine.drive.guard import redactor_of, refuse_given, refuse_written
from engine.drive.inbox import attending
from engine.drive.loading import Loaded, load_on
from engine.drive.preflight import Overrides, check_overrides, preflight, unconfined
from engine.drive.spending import SpendingGuard, spending_of
from engine.errors import Failure, InputError, UsageError
from engine.events import (
    BASE_FORMAT,
    FORMAT,
    CancelRequested,
    Event,
    GateAnswered,
    ModelInfo,
    RunResumed,
    RunStarted,
)
from engine.journal import Journal, RunRecord, letter_name
from engine.labels import check_labels
from engine.models.info import resolve_info
from engine.models.registry import open_model, warm
from engine.redaction import Redactor, bound, current
from engine.runtime.inputs import checked_input
from engine.runtime.ports import ChatModel, WorkerPort, WorkerReply, WorkerRequest
from engine.runtime.stall import RULES
from engine.runtime.state import RunState
from engine.sema.model import Orchestrator, Program
from engine.sizes import BOUNDS, size_of, size_words
from engine.version import __version__
from engine.workers.leftovers import end_left_over
from engine.workers.registry import close_port, worker_port

__all__ = [
    "Options",
    "WithSecrets",
    "cancel",
    "choose",
    "in_flight",
    "prepare",
    "program_hash",
    "resume",
    "start",
    "take_up",
]


@dataclass
class Options:
    """The settings of a run, apart from its program.

    Attributes:
        models: What replaces declared models, by name.
        record_dir: Where to record what models answer, for `recorded/DIR`.
        observers: Told of each event once it is durable.
        on_driver: Given the driver before it starts, so that a run can be cancelled.
        environment: Where secrets are read; `os.environ` by default.
        labels: What a new run is labelled with, by name.
    """

    models: Overrides = field(default_factory=dict)
    record_dir: str | None = None
    observers: list[Observer] = field(default_factory=list)
    on_driver: Callable[[Driver], None] | None = None
    environment: Mapping[str, str] | None = None
    labels: Mapping[str, str] = field(default_factory=dict)


def choose(program: Program, name: str | None) -> Orchestrator:
    """The orchestrator to run: the named one, or by default the only one that no other uses.

    Raises:
        UsageError: There is none, or more than one and none is named.
    """
    known = ", ".join(program.orchestrators)
    if name is not None:
        try:
            return program.orchestrators[name]
        except KeyError:
            raise UsageError(
                f"{program.path} has no orchestrator `{name}` (orchestrators: {known or 'none'})"
            ) from None
    if program.entry is not None:
        return program.orchestrators[program.entry]
    if not program.orchestrators:
        raise UsageError(f"{program.path} has no orchestrator to run")
    raise UsageError(f"{program.path} has several orchestrators; name one of: {known}")


def _secrets(program: Program, options: Options) -> dict[str, str]:
    environment = _environment(options)
    missing = [name for name in program.secrets if not environment.get(name)]
    if missing:
        raise InputError([f"secret {name} is not set in the environment" for name in missing])
    return {name: environment[name] for name in program.secrets}


def _redactor(program: Program, options: Options, secrets: Mapping[str, str]) -> Redactor:
    return redactor_of(program, _environment(options), options.models.values(), secrets)


def _redactor_here(program: Program, options: Options) -> Redactor:
    """The same where secrets that are not set need not be known."""
    return redactor_of(program, _environment(options), options.models.values())


def _environment(options: Options) -> Mapping[str, str]:
    return os.environ if options.environment is None else options.environment


def program_hash(program: Program) -> str:
    """A hash of everything a program was read from and folded with (hex, SHA-256)."""
    params = program.param_values()
    digest = hashlib.sha256(msgspec.json.encode([dict(program.files), params], order="sorted"))
    return digest.hexdigest()


def new_run_id() -> str:
    """A new run's id: the day and second, so that ids sort by time, and some chance."""
    return time.strftime("%Y%m%d-%H%M%S-", time.gmtime(clock.wall_s())) + random_names.token_hex(5)


def prepare(
    program: Program,
    orchestrator: Orchestrator,
    input: Mapping[str, Any],
    options: Options,
    secrets: Mapping[str, str],
) -> tuple[RunRecord, RunStarted]:
    """Everything that must be known of a run before it begins, wherever it runs.

    Args:
        secrets: The values of secrets that are known here. Nothing that is written down may
            hold one: no input, no param, no file of the program.

    Returns:
        The run's record and its first event.

    Raises:
        InputError: The inputs do not fit.
        UsageError: The run cannot be started as requested.
    """
    if program.missing_params:
        raise InputError([f"param `{name}` has no value" for name in program.missing_params])
    most = orchestrator.policy.max_input_bytes
    if size_of(dict(input), most) > most:
        said = f"the inputs take more than {size_words(most)}"
        raise InputError([f"{said} (`max_input_bytes` of `{orchestrator.name}`)"])
    redactor = _redactor(program, options, secrets)
    params = program.param_values()
    refuse_given(redactor, input, params)
    values = checked_input(orchestrator.inputs, input)
    infos = preflight(program, orchestrator, options.models)
    run = new_run_id()
    if size_of(params, most) > most:
        said = f"the params take more than {size_words(most)}"
        raise InputError([f"{said} (`max_input_bytes` of `{orchestrator.name}`)"])
    wall_ms = _wall_ms()
    workflow, cwd = _whereabouts(program)
    _check_names(program, cwd)
    record = RunRecord(
        run=run,
        workflow=workflow,
        orchestrator=orchestrator.name,
        started_ms=wall_ms,
        files=dict(program.files),
        params=params,
        models={k: v for k, v in options.models.items() if isinstance(v, str)},
        cwd=cwd,
        engine=__version__,
        labels=check_labels(options.labels),
    )
    refuse_written(redactor, record)
    began = RunStarted(
        run=run,
        orchestrator=orchestrator.name,
        input=values,
        models=infos,
        program=program_hash(program),
        params=params,
        wall_ms=wall_ms,
        bounds=BOUNDS,
        format=FORMAT if program.has_steps else BASE_FORMAT,
        warnings=unconfined(program, orchestrator),
        stall=RULES,
        verdicts=1,
    )
    return record, began


def _whereabouts(program: Program) -> tuple[str, str]:
    """The path of a program's file, as it was named where that still leads to it, and the folder
    it is relative to. A worker of an earlier run may have changed the working directory."""
    absolute = os.path.join(program.base_dir, os.path.basename(program.path))
    try:
        cwd = os.getcwd()
    except OSError:  # it was removed
        return absolute, program.base_dir
    leads_there = os.path.normpath(os.path.join(cwd, program.path)) == absolute
    return program.path if leads_there else absolute, cwd


def _check_names(program: Program, cwd: str) -> None:
    """Refuse a program whose files have names that a journal cannot keep.

    Raises:
        UsageError: One is not UTF-8.
    """
    for name in (cwd, program.path, *program.files):
        try:
            name.encode()
        except UnicodeEncodeError:
            raise UsageError(
                f"the name of {name} is not UTF-8, and a run keeps the names of its files"
            ) from None


async def start(
    program: Program,
    orchestrator: Orchestrator,
    input: Mapping[str, Any],
    journal: Journal,
    options: Options | None = None,
) -> RunState:
    """Start a run and drive it to its end, or until it waits for a person.

    Raises:
        InputError: The inputs do not fit, or a secret is not set.
        UsageError: The run cannot be started as requested.
        JournalError: The journal failed.
    """
    options = options or Options()
    secrets = {} if program.missing_params else _secrets(program, options)
    record, began = prepare(program, orchestrator, input, options, secrets)
    with (
        spending_of(program, record, began.models, journal, _environment(options)) as spending,
        alone(journal, record.run) as drive,
    ):
        models = _open_models(program, began.models, options, resumed=False)
        parts = _Parts(models, secrets, spending, _Entering(drive, record))
        return await _drive(RunState(program), [began], drive, options, parts)


class _Entering:
    """Enters a run together with its first events: one that has none could not be resumed."""

    def __init__(self, drive: Drive, record: RunRecord) -> None:
        self._drive = drive
        self._record = record
        self._is_entered = False

    async def append(self, events: list[Event]) -> None:
        """See `Appender`."""
        if self._is_entered:
            await self._drive.append(events)
        else:
            self._is_entered = True
            self._drive.own(await self._drive.journal.create(self._record, events))


async def resume(
    run: str,
    journal: Journal,
    options: Options | None = None,
    reply: Reply | None = None,
    seen: Loaded | None = None,
) -> RunState:
    """Take a run over where it stopped, and drive it on.

    A run that has ended is returned as it is. Calls that were in flight are made again, but for
    `once`: for those a gate opens. A gate whose time is up is answered with that.

    Where this process drives the run already, the call joins that drive: it hands over the reply,
    waits, and gives its result. The options are not used then.

    Args:
        reply: The answer to an open gate.
        seen: The run as the caller has loaded it. Not to be used again: its state is driven on.

    Raises:
        JournalError: There is no such run, another process drives it, or what a call has left
            running cannot be ended.
        UsageError: There is no such gate, or the reply does not fit it.
    """
    run = journal.find(run) if seen is None else seen.record.run
    chosen = options or Options()
    answer = None if reply is None else _Answer(reply, journal, run, chosen)

    async def work(drive: Drive) -> RunState:
        return await _take_over(drive, chosen, answer, seen)

    return await _reach(run, journal, answer, work)


class _Answer:
    """A reply on its way into the journal: by this drive or, if it is interrupted, by the next.

    It has a name in the journal, so that it is written once. A `drives.Say`.
    """

    def __init__(self, reply: Reply, journal: Journal, run: str, options: Options) -> None:
        self.reply = reply
        self._options = options
        self._journal = journal
        self._run = run
        self._name = letter_name(run)
        self._is_said = False

    def __call__(self, state: RunState) -> GateAnswered | None:
        if self.is_written():
            return None
        refuse_secrets(self.reply, _redactor_here(state.program, self._options))
        event = answers(state, self.reply, _wall_ms())[-1]
        self._is_said = True
        return msgspec.structs.replace(event, letter=self._name)

    def is_written(self) -> bool:
        """Whether an earlier drive has written it. Certain only for the owner of the run."""
        return self._is_said and any(
            isinstance(event, GateAnswered) and event.letter == self._name
            for event in self._journal.read(self._run)
        )


async def _reach(
    run: str, journal: Journal, say: Say | None, work: Callable[[Drive], Awaitable[RunState]]
) -> RunState:
    """Join the drive that a run has in this process, or drive it here.

    Args:
        say: What to say to the drive that there is.
        work: Drives the run where there is none.
    """
    while True:
        drive, is_new = enter(journal, run)
        if is_new:
            with drive:
                drive.state = await work(drive)
                return drive.state
        came_to = await drive.join(say)
        if came_to.state is not None and (say is None or came_to.taken):
            return came_to.state
        # It was interrupted, or ended before it could hear: as if the call had come after it.


async def _take_over(
    drive: Drive, options: Options, answer: _Answer | None, seen: Loaded | None
) -> RunState:
    run = drive.run
    drive.own(await drive.journal.claim(run))
    loaded = load_on(drive.journal, run, seen)
    record, state = loaded.record, loaded.state
    reply = None if answer is None or answer.is_written() else answer.reply
    if reply is not None:
        refuse_secrets(reply, _redactor_here(state.program, options))
    if state.ended:
        if reply is not None:
            raise UsageError(f"run {run} has ended ({state.status}): no gate is open")
        return state
    wall_ms = _wall_ms()
    answered = answers(state, reply, wall_ms)

    def first(models: dict[str, ModelInfo]) -> list[Event]:
        lost = in_flight(state)
        resumed = RunResumed(at=state.now, lost=lost, models=models, wall_ms=wall_ms, bounds=BOUNDS)
        return [resumed, *answered]

    return await take_up(record, state, drive, options, first)


async def take_up(
    record: RunRecord,
    state: RunState,
    drive: Drive,
    options: Options,
    first: Callable[[dict[str, ModelInfo]], list[Event]],
    known: Mapping[str, ModelInfo] | None = None,
) -> RunState:
    """Drive a run on from its state.

    Args:
        drive: Owns the run.
        first: Makes the first events, given the models that replace others from here on.
        known: What is known of models that the run did not have before.

    Raises:
        InputError: A secret is not set.
        UsageError: A model is to be replaced that the program does not have.
    """
    check_overrides(state.program, options.models)
    await _end_left_over(state)
    models = {
        **(known or {}),
        **{
            name: resolve_info(state.program.models[name], value)
            for name, value in options.models.items()
            if name in state.models
        },
    }
    options = replace(options, models={**record.models, **options.models})
    secrets = _secrets(state.program, options)
    infos = {**state.models, **models}
    infos = {name: info for name, info in infos.items() if name in state.program.models}
    with spending_of(
        state.program, record, infos, drive.journal, _environment(options)
    ) as spending:
        opened = _open_models(state.program, infos, options, resumed=True)
        parts = _Parts(opened, secrets, spending)
        return await _drive(state, first(models), drive, options, parts)


def in_flight(state: RunState) -> list[str]:
    """The calls of which an attempt had begun and not ended when the run stopped."""
    return [
        call.key
        for call in state.calls.values()
        if call.command is not None and call.begun == call.attempt
    ]


async def _end_left_over(state: RunState) -> None:
    """End what still runs of the calls in flight, before they are made again or asked about.

    Raises:
        JournalError: A process cannot be ended.
    """
    calls = [(key, state.calls[key].attempt) for key in in_flight(state)]
    await end_left_over(state.run, calls, state.program.servers)


async def cancel(
    run: str,
    journal: Journal,
    options: Options | None = None,
    reason: str = "cancelled",
    seen: Loaded | None = None,
) -> RunState:
    """End a run that no other process drives. Nothing is called any more.

    Where this process drives the run, that drive cancels it.

    Args:
        seen: The run as the caller has loaded it. Not to be used again: its state is driven on.

    Returns:
        The run: cancelled, or still waiting if a person must first give the outcome of a
        `once` task.

    Raises:
        JournalError: There is no such run, or another process drives it.
        UsageError: It has ended already.
    """
    chosen = options or Options()

    def say(state: RunState) -> CancelRequested:
        refuse_secrets(reason, _redactor_here(state.program, chosen))
        return CancelRequested(reason=reason)

    async def work(drive: Drive) -> RunState:
        drive.own(await drive.journal.claim(drive.run))
        state = load_on(drive.journal, drive.run, seen).state
        if state.ended:
            raise UsageError(f"run {drive.run} has ended already ({state.status})")
        await _end_left_over(state)
        refuse_secrets(reason, _redactor_here(state.program, chosen))
        asked = CancelRequested(at=state.now, reason=reason)
        # The other way round, taking the run over would start again what is to be called off.
        resumed = RunResumed(at=state.now, lost=in_flight(state), wall_ms=_wall_ms(), bounds=BOUNDS)
        return await _drive(state, [asked, resumed], drive, chosen, _Parts({}, {}))

    run = journal.find(run) if seen is None else seen.record.run
    return await _reach(run, journal, say, work)


def _open_models(
    program: Program, infos: Mapping[str, ModelInfo], options: Options, *, resumed: bool
) -> dict[str, ChatModel]:
    redactor = _redactor_here(program, options)
    replaced = {name for name, value in options.models.items() if not isinstance(value, str)}
    warm((program.models[name], infos[name].id) for name in infos if name not in replaced)
    return {
        name: open_model(
            program.models[name],
            info,
            override=options.models.get(name),
            record_dir=options.record_dir,
            redactor=redactor,
            resumed=resumed,
        )
        for name, info in infos.items()
    }


@dataclass(frozen=True, slots=True)
class _Parts:
    """What a drive is put together from."""

    models: dict[str, ChatModel]
    secrets: dict[str, str]
    spending: SpendingGuard | None = None
    appender: Appender | None = None


async def _drive(
    state: RunState, first: list[Event], drive: Drive, options: Options, parts: _Parts
) -> RunState:
    models, secrets = parts.models, parts.secrets
    redactor = _redactor(state.program, options, secrets)
    ports: dict[str, WorkerPort] = {}
    opened: list[WorkerPort] = []

    def worker_of(kind: str) -> WorkerPort:
        port = ports.get(kind)
        if port is None:
            port = worker_port(kind, state.program)
            opened.append(port)
            if secrets:
                port = WithSecrets(port, secrets)
            ports[kind] = port
        return port

    driver = Driver(
        state,
        parts.appender or drive,
        models.__getitem__,
        worker_of,
        redactor=redactor,
        observers=options.observers,
        spending=parts.spending,
    )
    if options.on_driver is not None:
        options.on_driver(driver)
    try:
        with (
            bound(redactor),
            unhurried_collector(),
            attending(drive.journal, drive.run, driver, first) as (begin, durable),
        ):
            drive.listen(driver)
            await driver.drive(begin, durable)
    finally:
        with bound(redactor):
            await _close(models, opened, state)
    drive.state = state
    return state


async def _close(models: dict[str, ChatModel], ports: list[WorkerPort], state: RunState) -> None:
    """Close every model and port; a script with entries left is a finding about a finished run."""
    results = await asyncio.gather(
        *(model.close() for model in models.values()),
        *(close_port(port) for port in ports),
        return_exceptions=True,
    )
    for result in results:
        if isinstance(result, Failure):
            # A run that did not get to its end could not play its scripts to theirs.
            if state.status == "finished":
                message = current().text(result.message)
                state.unplayed.append(message)
                state.warnings.append(message)
        elif isinstance(result, BaseException):
            raise result


def _wall_ms() -> int:
    return clock.wall_ms()


class WithSecrets:
    """A worker's port that gives the secrets to the worker's expressions, and to nothing else."""

    def __init__(self, inner: WorkerPort, secrets: Mapping[str, str]) -> None:
        self._inner = inner
        self._secrets = dict(secrets)

    async def call(self, request: WorkerRequest) -> WorkerReply:
        """Do the work, with the secrets in its scope."""
        scope = {**request.scope, "secret": self._secrets}
        return await self._inner.call(msgspec.structs.replace(request, scope=scope))
