"""The oracle of sources: of every task that starts, each text of its input is looked at.

Where it really came from is known from its tokens (`source_programs`) and from what outputs hold.
So each text must be covered by a source; a source must have given it; and a text of a stranger must
have one that is `tainted`. Nothing in these programs lets text pass, so there are no exceptions.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from typing import Any

from canary_run import Canary
from canary_world import World
from source_programs import CALLED, source_program, tokens

from engine.runtime import taint
from engine.runtime.commands import StartCall
from engine.runtime.decision import DecisionContract
from engine.runtime.ending import subtree
from engine.runtime.machine import step
from engine.runtime.origins import under
from engine.runtime.ports import ModelRequest, WorkerRequest
from engine.runtime.sources import Source, record_of, sources, sources_of
from engine.runtime.state import Gate, Loop, RunState, Task
from engine.runtime.tainted_result import tainted_parts
from engine.sema.model import Orchestrator, Program, Worker
from engine.sema.plans.values import at_pointer


class Wrong(AssertionError):
    """A source does not say where a text came from."""


class SourceRun(Canary):
    """One run of one program from one seed.

    Attributes:
        looked: How many texts were looked at, by the kind of a source of each.
    """

    most_events = 220

    def __init__(self, seed: int) -> None:
        self.looked: dict[str, int] = {}
        self.told: dict[str, list[dict[str, Any]]] = {}
        super().__init__(seed)
        self.hurry = 0.0
        self.cancels = False

    def _made(self) -> tuple[str, Program, dict[str, DecisionContract]]:
        return source_program(self.seed)

    def _outside(self, rng: random.Random) -> World:
        return SourceWorld(rng)

    def _let_pass(self, *args: Any, **more: Any) -> None:
        return  # these programs have no check that cleans what was read

    def _check_clean(self) -> None:
        """A resume gives the same sources as the run itself, and so does the journal later."""
        again = self._fresh()
        for event in self.journal:
            step(again, event)
        if _all_sources(again) != _all_sources(self.state):
            raise Wrong(f"seed {self.seed}: the journal gives other sources\n{self.text}")
        if tainted_parts(again, again.loop) != tainted_parts(self.state, self.state.loop):
            raise Wrong(f"seed {self.seed}: the journal gives another result\n{self.text}")
        self._check_result()

    def _check_result(self) -> None:
        loop = self.state.loop
        value = loop.output if loop.status == "finished" else loop.best
        parts = tainted_parts(self.state, loop)
        for path, text in _texts(value):
            strange = [token for token in tokens(text) if token[0] == "C"]
            if strange and not any(path.startswith(part) for part in parts):
                raise Wrong(f"seed {self.seed}: {strange} at {path} not in {parts}\n{self.text}")

    # ------------------------------------------------------------ the oracle

    def _look(self, start: StartCall) -> None:
        task = self.state.calls[start.key].subject
        if not isinstance(task, Task) or not isinstance(start.request, WorkerRequest):
            return
        found = sources(self.state, task)
        # What the machine goes by is the same, if in doubt more.
        if any(source.tainted for source in found) and not taint.reads_taint(self.state, task):
            raise Wrong(f"seed {self.seed}: {task.key} reads what the machine takes for clean")
        for path, text in _texts(task.resolved):
            covering = sources_of(found, path)
            self._check(task, path, text, covering)
        for source in found:
            given = at_pointer(task.resolved, source.path)
            if not isinstance(given, dict | list | str | int | type(None)):
                raise Wrong(f"seed {self.seed}: {task.key} has nothing at {source.path}")

    def _check(self, task: Task, path: str, text: str, covering: tuple[Source, ...]) -> None:
        here = f"seed {self.seed}: {task.key} at {path}, {text!r}: {[*map(record_of, covering)]}"
        if not covering:
            raise Wrong(f"{here}: no source\n{self.text}")
        for token in tokens(text):
            if not any(self._gave(task, source, path, token) for source in covering):
                raise Wrong(f"{here}: none gave {token}\n{self.text}")
            strange = token[0] == "C"
            if strange and not any(source.tainted for source in covering):
                raise Wrong(f"{here}: {token} is not marked\n{self.text}")
        for source in covering:
            self.looked[source.kind] = self.looked.get(source.kind, 0) + 1
            if source.tainted and not self._asked():
                raise Wrong(f"{here}: no stranger has been asked\n{self.text}")

    def _asked(self) -> bool:
        """Whether a stranger has been asked, or a plan has begun that may ask one."""
        return any(
            task.attempts and isinstance(task.worker, Worker) and task.worker.trust == "untrusted"
            for loop in subtree(self.state.loop)
            for task in loop.every_task()
        )

    def _gave(self, task: Task, source: Source, path: str, token: str) -> bool:
        """Whether a source gave a token."""
        if source.kind == "output":
            producer = source.producer
            assert producer is not None
            if source.at is None:
                failed = isinstance(producer, Task) and producer.failure is not None
                words = producer.failure.message if failed else ""  # type: ignore[union-attr]
                return token in f"{producer.output}{producer.partial}{words}"
            part = source.at + path[len(source.path) :]
            return token in str(at_pointer(producer.output, part))
        world = self.world
        assert isinstance(world, SourceWorld)
        if source.kind == "planner":
            return token[0] == "P" or token in world.seen.get(task.loop.path, ())
        return token[0] == {"program": "L", "person": "H", "caller": "?"}[source.kind]


class SourceWorld(World):
    """The outside: planners that type, copy and refer; workers that hand on; people who edit.

    Attributes:
        seen: By path of a loop: the tokens that its planner was shown.
    """

    def __init__(self, rng: random.Random) -> None:
        super().__init__(rng, clean=False)
        self.seen: dict[str, set[str]] = {}
        self.failing = rng.choice((0.0, 0.05, 0.2))

    def token(self, kind: str) -> str:
        """A text that is new to the run."""
        return f"{kind}{100 + self.next()}Z"

    def inputs(self, orchestrator: Orchestrator) -> dict[str, Any]:
        return {"q": "a"}

    # ------------------------------------------------------------ planners

    def decision(self, request: ModelRequest, loop: Loop, begun: list[dict[str, Any]]) -> Any:
        rng = self.rng
        shown = "\n".join(message.content for message in request.messages)
        seen = self.seen.setdefault(loop.path, set())
        seen |= {token for token in tokens(shown) if token[0] != "P"}
        if loop.round > 1 and rng.random() < 0.15 * loop.round:
            return json.dumps({"finish": self.anything(loop, [])})
        specs = [*begun]
        while len(specs) < loop.orchestrator.policy.max_per_round:
            specs.append(self.entry(loop, specs))
        return json.dumps({"tasks": specs})

    def task(self, loop: Loop, shown: str, beside: list[dict[str, Any]]) -> dict[str, Any]:
        return self.entry(loop, beside)

    def entry(self, loop: Loop, beside: list[dict[str, Any]]) -> dict[str, Any]:
        """A task or a step."""
        rng = self.rng
        workers = list(loop.decisions.workers)
        readers = ("read", "read", "fact")
        worker = rng.choice(readers if loop.round == 1 and len(beside) < 2 else workers)
        spec: dict[str, Any] = {"id": f"t{self.next()}", "worker": worker}
        lists = [(name, at) for name, at in self.known(loop, beside) if at == "/rows"]
        eaches = [one["id"] for one in beside if "each" in one and "." not in one["id"]]
        kind = rng.choice(("task", "task", "each", "pairs", "reduce", "when"))
        item: list[Any] = []
        if kind == "each" and lists:
            name, at = rng.choice(lists)
            spec["each"] = {"$from": name, "at": at}
            item = [{"$item": ""}]
        elif kind == "pairs" and eaches:
            spec["each"] = {"$from": rng.choice(eaches)}
            if rng.random() < 0.8:
                spec["each"][rng.choice(("pairs", "failures"))] = True
            spec["worker"], item = "same", [{"$item": ""}]
        elif kind == "reduce" and lists:
            name, at = rng.choice(lists)
            spec |= {"worker": "join", "reduce": {"$from": name, "at": at}, "size": 2}
            return {**spec, "input": {"parts": {"$parts": True}}}
        elif kind == "when" and lists:
            name, at = rng.choice(lists)
            spec["when"] = [[{"value": {"$from": name, "at": at}, "is": "!=", "than": None}]]
        spec["input"] = self.given(loop, spec["worker"], beside, item)
        return spec

    def known(self, loop: Loop, beside: list[dict[str, Any]]) -> list[tuple[str, str]]:
        """What may be referred to: tasks with parts of their outputs."""
        done = [
            (task.id, task.worker.name)
            for task in loop.tasks.values()
            if task.failure is None and task.step is None
        ]
        done += [(one["id"], one["worker"]) for one in beside if not {"each", "reduce"} & {*one}]
        found = [(name, at) for name, worker in done for at in CALLED.get(worker, ("",))]
        rows = [(name, "/rows") for name, worker in done if worker in ("read", "fact")]
        steps = [*loop.steps, *(one["id"] for one in beside if {"each", "reduce"} & {*one})]
        return [*found, *rows, *((name, "") for name in steps)]

    def given(
        self, loop: Loop, worker: str, beside: list[dict[str, Any]], item: list[Any]
    ) -> dict[str, Any]:
        rng = self.rng
        text = lambda: self.typed(loop, beside, item, strings=True)  # noqa: E731
        some = lambda: self.typed(loop, beside, item, strings=False)  # noqa: E731
        if worker in ("read", "fact"):
            return {"q": text()}
        if worker == "copy":
            return {"x": some()} | ({"y": text()} if rng.random() < 0.5 else {})
        if worker == "note":
            order = {"to": text()} | ({"memo": text()} if rng.random() < 0.5 else {})
            return {"order": order} | ({"tags": [text(), text()]} if rng.random() < 0.5 else {})
        if worker in ("same", "join"):
            return {"x" if worker == "same" else "parts": some()}
        if worker == "sub":
            return {"q": text(), "more": some()}
        rows = rng.choice(([text(), text()], [], self.rows(loop, beside)))
        return {"a": text(), "b": {"text": text(), "rows": rows}, "c": self.rows(loop, beside)}

    def rows(self, loop: Loop, beside: list[dict[str, Any]]) -> Any:
        lists = [(name, at) for name, at in self.known(loop, beside) if at == "/rows"]
        if not lists:
            return [self.token("P")]
        name, at = self.rng.choice(lists)
        return {"$from": name, "at": at}

    def typed(
        self, loop: Loop, beside: list[dict[str, Any]], item: list[Any], *, strings: bool
    ) -> Any:
        """A value of an input: typed, copied, or referred to."""
        rng = self.rng
        chance = rng.random()
        known = self.known(loop, beside)
        if item and chance < 0.4:
            return rng.choice(item)
        if known and chance < 0.75:
            pairs = [one for one in known if one[1] not in ("", "/rows")] if strings else known
            if pairs:
                name, at = rng.choice(pairs)
                return {"$from": name, "at": at} if at else {"$from": name}
        if not strings and chance < 0.9:
            return self.anything(loop, beside)
        return self.copy(loop)

    def anything(self, loop: Loop, beside: list[dict[str, Any]]) -> Any:
        """A value of any type, with references in it."""
        rng = self.rng
        one = lambda: self.typed(loop, beside, [], strings=True)  # noqa: E731
        return rng.choice(
            (
                {"k": one(), "l": [one(), one()]},
                {"$literal": {"$from": self.copy(loop)}},
                [one(), {"deep": one()}],
                {self.copy(loop): one()},
                {},
            )
        )

    def copy(self, loop: Loop) -> str:
        seen = sorted(self.seen.get(loop.path, ()))
        return self.rng.choice(seen) if seen and self.rng.random() < 0.4 else self.token("P")

    # ------------------------------------------------------------ workers, people

    def output(self, worker: Worker, request: ModelRequest | WorkerRequest) -> tuple[bool, Any]:
        assert isinstance(request, WorkerRequest)
        rng, given = self.rng, dict(request.input)
        seen = sorted(tokens(given))[:6]
        kind = "C" if worker.trust == "untrusted" else "F"
        if rng.random() < self.failing and worker.fails:
            return False, " ".join([self.token(kind), *seen])
        if worker.name in ("read", "fact"):
            rows = [self.token(kind) for _ in range(rng.randint(1, 4))]
            return True, {"text": self.token(kind), "rows": rows, "n": 3}
        if worker.name == "copy":
            return True, {"got": given["x"], "own": " ".join([self.token("F"), *seen])}
        if worker.name == "same":
            return True, rng.choice((given["x"], {"s": given["x"]}))
        return True, " ".join([self.token("F"), *seen])

    def answer(self, gate: Gate) -> dict[str, Any]:
        rng = self.rng
        said: dict[str, Any] = {"answer": "approve" if rng.random() < 0.9 else "reject"}
        if said["answer"] == "approve" and gate.kind == "approval" and rng.random() < 0.7:
            if gate.task is not None:
                said["edit"] = self.changed(gate.task.resolved)
            elif gate.step is None and gate.loop.current.decision is not None:
                plan = gate.loop.current.decision.get("tasks", [])
                said["edit"] = {"tasks": [self.replanned(one) for one in plan]}
        return said

    def replanned(self, entry: dict[str, Any]) -> dict[str, Any]:
        given = {name: self.changed(value) for name, value in entry["input"].items()}
        entry = {**entry, "input": given}
        return {**entry, "id": f"h{self.next()}"} if self.rng.random() < 0.1 else entry

    def changed(self, value: Any) -> Any:
        """A value that a person has changed in places."""
        rng = self.rng
        if isinstance(value, dict):
            if any(key.startswith("$") for key in value):
                return value
            return {key: self.changed(one) for key, one in value.items()}
        if isinstance(value, list):
            kept = [self.changed(one) for one in value]
            if rng.random() < 0.2:
                kept = [*kept[1:], self.token("H")]
            return kept
        return self.token("H") if isinstance(value, str) and rng.random() < 0.4 else value


def _texts(value: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """Each text in a value, with its JSON Pointer."""
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield from _texts(inner, under(path, key))
    elif isinstance(value, list):
        for place, inner in enumerate(value):
            yield from _texts(inner, under(path, place))


def _all_sources(state: RunState) -> list[tuple[str, list[dict[str, Any]]]]:
    return [
        (task.key, [record_of(source) for source in sources(state, task)])
        for loop in subtree(state.loop)
        for task in loop.every_task()
    ]
