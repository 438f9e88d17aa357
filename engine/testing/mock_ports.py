"""The outside of a test's run: ports that answer from its mocks, and refuse everything else.

The desk is asked instead of models, workers and people. A call without a mock is
noted as a finding and calls the run off, so that a test fails for its first cause and not for
what follows from it.
"""

from __future__ import annotations

from collections.abc import Callable

from engine.errors import Failure, UsageError
from engine.events import Answer, Event, GateAnswered, GateOpened, ModelInfo
from engine.models.info import resolve_info
from engine.models.registry import open_model
from engine.models.scripted import Entry, play
from engine.runtime.ports import ChatModel, ModelReply, ModelRequest, WorkerReply, WorkerRequest
from engine.runtime.state import RunState
from engine.schemes import split_id
from engine.sema.model import Model, Program, Test
from engine.testing.mocks import StandIn, StandIns
from engine.testing.result import Finding

__all__ = ["Desk"]

#: Schemes of models that are offline: played from a file, or computed by a policy.
_OFFLINE = frozenset({"scripted", "recorded", "python"})


class Desk:
    """Answers the calls of one run.

    Args:
        program: The rigged program.
        mocks: The mocks by name.
        test: Whose mocks they are.

    Attributes:
        findings: What went wrong with the mocks.
        answers: What mocked people have said to gates since they were last taken.
        notes: Why decisions were asked for again, for the story of a test that fails.
        call_off: Called at the first finding while the run goes.
    """

    def __init__(self, program: Program, mocks: StandIns, test: Test) -> None:
        self._program = program
        self._mocks = mocks
        self._target = test.target
        self._span = test.span
        self._opened: dict[str, ChatModel] = {}
        self.findings: list[Finding] = []
        self.answers: list[Event] = []
        self.notes: list[str] = []
        self.call_off: Callable[[], None] = lambda: None

    # ------------------------------------------------------------ models

    def infos(self) -> dict[str, ModelInfo]:
        """What the run knows of each model. Without usage in a mock, calls cost nothing."""
        metered = any(stand_in.has_usage for stand_in in self._mocks.all())
        found = {}
        for name, model in self._program.models.items():
            info = None
            if metered or split_id(model.id)[0] in _OFFLINE:
                try:
                    info = resolve_info(model)
                except UsageError:
                    info = None  # A script that is not there: a finding when it is asked.
            found[name] = info or resolve_info(model, self)
        return found

    async def complete(self, request: ModelRequest) -> ModelReply:
        """Answer instead of any model."""
        stand_in = None
        if request.role == "decision":
            stand_in = self._mocks.decisions.get(request.name)
            if not request.key.endswith("decision 1"):
                # It is asked again: the last message says what was wrong with its answer.
                self.notes.append(f"{request.key}: {request.messages[-1].content}")
        stand_in = stand_in or self._mocks.models.get(request.model.name)
        if stand_in is not None:
            return await play(self._next(stand_in, request.key), request.info)
        if split_id(request.model.id)[0] in _OFFLINE:
            return await self._offline(request.model, request.info).complete(request)
        whose = {
            "decision": f"the decisions of `{request.name}` are not scripted",
            "worker": f"worker `{request.name}` is not mocked",
            "verifier": f"verifier `{request.name}` is not mocked",
        }[request.role]
        if request.role == "decision":
            name = "orchestrator" if request.name == self._target else request.name
            help = f"mock {name} {{ script = [...] }}"
        else:
            help = f"mock {request.name} {{ returns = ... }}"
        raise self._live(f"{whose}, and would call model `{request.model.id}`", help, request.key)

    def _offline(self, model: Model, info: ModelInfo) -> ChatModel:
        opened = self._opened.get(model.name)
        if opened is None:
            try:
                opened = open_model(model, info)
            except UsageError as problem:
                raise self._give_up(Finding("setup", str(problem), model.span)) from None
            self._opened[model.name] = opened
        return opened

    async def close(self) -> None:
        """Close what was opened, and note every script that was not played to its end."""
        for name, model in self._opened.items():
            try:
                await model.close()
            except Failure as left:
                span = self._program.models[name].span
                self.findings.append(Finding("mock", left.message, span))
        for stand_in in self._mocks.all():
            self.findings.extend(stand_in.leftovers())

    # ------------------------------------------------------------ workers and verifiers

    async def call(self, request: WorkerRequest) -> WorkerReply:
        """Answer instead of any worker or verifier that is not a model's."""
        name = request.worker.name
        stand_in = self._mocks.callables.get(name)
        if stand_in is None:
            raise self._live(
                f"`{name}` (via {request.worker.kind}) is not mocked",
                f"mock {name} {{ returns = ... }}",
                request.key,
            )
        entry = self._next(stand_in, request.key)
        if entry.mode is not None:
            raise Failure(entry.mode, entry.message, retryable=entry.retryable)
        return WorkerReply(entry.value)

    # ------------------------------------------------------------ people

    def observe(self, event: Event, state: RunState) -> None:
        """Let a mocked person answer a gate that has opened."""
        if not isinstance(event, GateOpened):
            return
        gate = state.gates.get(event.key)
        if gate is None or gate.check is None:
            return
        name = gate.check.verifier.name
        stand_in = self._mocks.callables.get(name)
        if stand_in is None:
            self._live(
                f"`{name}` asks a person and is not mocked",
                f"mock {name} {{ returns = {{ ok: true }} }}",
                gate.key,
            )
            return
        try:
            entry = self._next(stand_in, gate.key)
        except Failure:
            return
        answer: Answer = "timeout"
        note = ""
        if entry.mode is None:
            answer = "approve" if entry.value["ok"] else "reject"
            note = str(entry.value.get("feedback") or "")
        self.answers.append(
            GateAnswered(at=state.now, key=gate.key, answer=answer, note=note, by="test")
        )

    # ------------------------------------------------------------ findings

    def _next(self, stand_in: StandIn, key: str) -> Entry:
        entry = stand_in.next()
        if entry is None:
            raise self._give_up(
                Finding(
                    "mock",
                    f"the mocks of {stand_in.name} are used up after {stand_in.calls} "
                    f"call{'s' if stand_in.calls != 1 else ''}, and it is called again ({key})",
                    stand_in.last_span,
                )
            )
        return entry

    def _live(self, message: str, help: str, key: str) -> Failure:
        return self._give_up(
            Finding("live", f"a live call in a test: {message} ({key}); write `{help}`", self._span)
        )

    def _give_up(self, finding: Finding) -> Failure:
        self.findings.append(finding)
        self.call_off()
        return Failure("crashed", finding.message)
