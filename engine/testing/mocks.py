"""The mocks of a test, read and checked: what each of them answers, call by call.

A mock replaces the decisions of an orchestrator, a worker, a verifier or a sub-orchestrator as
a whole, or for a model. Several mocks of one target are used in the order they are written; one
without `times` serves forever. Every value is held against the contract of what it replaces
before the run begins, so a test cannot pass on an output that its worker may not give.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from engine.errors import BUILTIN_MODES, MODEL_MODES
from engine.models.scripted import Entry, read_entry
from engine.sema.declarations.mocks import mocked_value, mocked_verdict
from engine.sema.model import Mock, Program, Test
from engine.sema.types.contract import VERDICT, Contract
from engine.source import Span
from engine.testing.result import Finding

__all__ = ["StandIn", "StandIns", "read_mocks", "stand_in_for"]

#: Failures after which the same call may succeed: what real workers and models say of them.
_PASSING = frozenset({"timeout", "rate_limited", "unavailable"})


@dataclass
class _Part:
    """One `mock` block: its answers in order, or one answer for `times` calls (None: forever)."""

    mock: Mock
    answers: list[Entry]
    times: int | None
    used: int = 0

    @property
    def spent(self) -> bool:
        return self.times is not None and self.used >= self.times


@dataclass
class StandIn:
    """All mocks of one target.

    Attributes:
        name: The target, as messages call it.
        calls: How many calls it has answered.
    """

    name: str
    parts: list[_Part] = field(default_factory=list)
    calls: int = 0

    def next(self) -> Entry | None:
        """The answer to the next call; None if every mock is used up."""
        for part in self.parts:
            if not part.spent:
                entry = part.answers[part.used if part.mock.script is not None else 0]
                part.used += 1
                self.calls += 1
                return entry
        return None

    @property
    def last_span(self) -> Span:
        """Where the last of its mocks is written."""
        return self.parts[-1].mock.span

    def leftovers(self) -> list[Finding]:
        """Scripts that were not played to their end."""
        return [
            Finding(
                "mock",
                f"the script of {self.name} has entries left over: "
                f"{len(part.answers) - part.used} of {len(part.answers)}",
                part.mock.span,
            )
            for part in self.parts
            if part.mock.script is not None and not part.spent
        ]

    @property
    def has_usage(self) -> bool:
        """Whether any answer says what it used."""
        return any(
            entry.usage is not msgspec.UNSET for part in self.parts for entry in part.answers
        )


@dataclass
class StandIns:
    """The mocks of one test.

    Attributes:
        decisions: By orchestrator: what its model decides.
        callables: By worker, verifier or sub-orchestrator: what it gives.
        models: By model: what it answers, whoever asks.
        findings: What is wrong with the mocks themselves; the test cannot run then.
    """

    decisions: dict[str, StandIn] = field(default_factory=dict)
    callables: dict[str, StandIn] = field(default_factory=dict)
    models: dict[str, StandIn] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)

    def all(self) -> list[StandIn]:
        """Every stand-in."""
        return [*self.decisions.values(), *self.callables.values(), *self.models.values()]


def read_mocks(program: Program, test: Test) -> StandIns:
    """Read the mocks of a test; what is wrong with them is in `StandIns.findings`."""
    found = StandIns()
    for mock in test.body.mocks:
        try:
            _read(program, test, mock, found)
        except ValueError as problem:
            found.findings.append(Finding("mock", str(problem), mock.span))
    return found


def stand_in_for(answers: list[Entry], span: Span) -> StandIn:
    """A script that no mock was written for."""
    mock = Mock(target=None, returns=None, fails=None, script=[], times=None, span=span)
    return StandIn("the test", [_Part(mock, answers, len(answers))])


def _read(program: Program, test: Test, mock: Mock, found: StandIns) -> None:
    target = mock.target
    if target is None:
        return
    if target == "orchestrator":
        if test.target not in program.orchestrators:
            raise ValueError(f"`{test.target}` is not an orchestrator: it decides nothing")
        _add(found.decisions, test.target, f"`{test.target}`", mock, _model)
    elif target in program.orchestrators and mock.script is not None:
        _add(found.decisions, target, f"`{target}`", mock, _model)
    elif target in program.orchestrators:
        if target == test.target and target not in program.orchestrators[target].workers:
            raise ValueError(
                f"`{target}` is under test; `mock orchestrator` replaces its decisions"
            )
        orchestrator = program.orchestrators[target]
        _add_callable(found, target, mock, orchestrator.output, orchestrator.fails)
    elif target in program.models:
        _add(found.models, target, f"model `{target}`", mock, _model)
    elif target in program.workers:
        worker = program.workers[target]
        _add_callable(found, target, mock, worker.output, worker.fails)
    else:
        human = program.verifiers[target].facts.done_by == "person"
        _add_callable(found, target, mock, VERDICT, (), only_timeout=human)


def _add_callable(
    found: StandIns,
    target: str,
    mock: Mock,
    output: Contract,
    fails: tuple[str, ...],
    *,
    only_timeout: bool = False,
) -> None:
    modes = frozenset({"timeout"}) if only_timeout else BUILTIN_MODES | set(fails)

    def read(raw: Any, where: str) -> Entry:
        entry = _callable_entry(raw)
        if output is VERDICT:
            entry = msgspec.structs.replace(entry, value=mocked_verdict(entry.value))
        if entry.mode is not None:
            if entry.mode not in modes:
                known = ", ".join(f"`{mode}`" for mode in sorted(modes & {*fails, "timeout"}))
                raise ValueError(f"{where}`{target}` does not fail with `{entry.mode}` ({known})")
        elif problems := output.problems(entry.value):
            raise ValueError(
                f"{where}the mock of `{target}` does not fit its contract: {problems[0]}"
            )
        return entry

    _add(found.callables, target, f"`{target}`", mock, read)


def _add(
    into: dict[str, StandIn], target: str, name: str, mock: Mock, read: Callable[[Any, str], Entry]
) -> None:
    stand_in = into.setdefault(target, StandIn(name))
    if any(part.times is None for part in stand_in.parts):
        raise ValueError(f"this mock of {name} is never reached: the one before it has no `times`")
    if mock.script is not None:
        if mock.times is not None:
            raise ValueError("`times` has no meaning with `script`: each entry is one call")
        entries = _script(mocked_value(mock.script))
        answers = [read(raw, f"entry {n}: ") for n, raw in enumerate(entries, start=1)]
        stand_in.parts.append(_Part(mock, answers, len(answers)))
        return
    if mock.times is not None and mock.times < 1:
        raise ValueError("`times` must be at least 1")
    raw = (
        {"$fail": mock.fails} if mock.fails is not None else {"$reply": mocked_value(mock.returns)}
    )
    stand_in.parts.append(_Part(mock, [read(raw, "")], mock.times))


def _script(value: Any) -> list[Any]:
    """The entries of a script, which may be an object `{"entries": [...]}` as in a model's file."""
    if isinstance(value, Mapping) and set(value) == {"entries"}:
        value = value["entries"]
    if not isinstance(value, list):
        raise ValueError("a script is a list of answers, one a call")
    return value


def _model(raw: Any, where: str) -> Entry:
    if isinstance(raw, Mapping) and raw.get("$fail") in BUILTIN_MODES - MODEL_MODES:
        raise ValueError(f"{where}`{raw['$fail']}` is not a failure mode of models")
    try:
        entry = read_entry(raw)
    except ValueError as problem:
        raise ValueError(f"{where}{problem}") from None
    return msgspec.structs.replace(entry, delay_ms=0, retry_after_ms=None)


def _callable_entry(raw: Any) -> Entry:
    """An output, `{"$reply": output}`, or `{"$fail": mode, "message": text}`."""
    if isinstance(raw, Mapping) and "$fail" in raw and set(raw) <= {"$fail", "message"}:
        mode = str(raw["$fail"])
        message = str(raw.get("message", "")) or "the mock says so"
        return Entry(mode=mode, message=message, retryable=mode in _PASSING)
    if isinstance(raw, Mapping) and set(raw) == {"$reply"}:
        return Entry(value=raw["$reply"])
    return Entry(value=raw)
