"""The outside of a canary run: strangers whose every text is marked, planners that say again
whatever text they were shown, and workers, checks and people that do the same.

It knows nothing of the rules of taint. What a call gives is made from what the call was given.
"""

from __future__ import annotations

import json
import random
import re
from typing import Any

from canary_programs import KINDS, MARK, PARAM, RESULTS, Kind

from engine.runtime.ports import ModelRequest, WorkerRequest
from engine.runtime.state import Gate, Loop
from engine.sema.model import Orchestrator, Program, Verifier, Worker
from engine.sema.trust import shown

_CANARY = re.compile(MARK + r"\d+Z")
_BROKEN: tuple[Any, ...] = (
    "I would rather not.",
    '{"tasks": [{"id": "z", "worker": "nobody", "input": {}}]}',
    {"tasks": [], "finish": "x"},
)


def canaries(text: str) -> list[str]:
    """The canaries in a text, each once, in order."""
    return list(dict.fromkeys(_CANARY.findall(text))) if MARK in text else []


def kind_of(worker: Worker | Orchestrator) -> Kind:
    """What a worker gives, by its name; an orchestrator by its type."""
    if isinstance(worker, Orchestrator):
        written = str(worker.output.type)
        return next(kind for kind in RESULTS.values() if kind.type == written)
    side, _, kind = worker.name.partition("_")
    if side in ("u", "t") and kind in KINDS:
        return KINDS[kind]
    return _OTHERS.get(worker.name, KINDS["text"])


_OTHERS = {
    "again": KINDS["json"],
    "save": KINDS["count"],
    "ring": KINDS["count"],
    "file": KINDS["count"],
    "pay": Kind("{ id: string }", lambda w: {"id": w}, ("", "/id")),
}


#: What a step may be made over.
_LISTS = [KINDS[name] for name in ("json", "list", "has", "tail")]


class World:
    """Answers by chance; the same seed and the same questions give the same answers.

    Attributes:
        clean: There are no strangers, so no text is marked.
        told: The canaries that strangers have said so far.
        busy: A stranger has been asked something.
    """

    def __init__(self, rng: random.Random, *, clean: bool) -> None:
        self.rng = rng
        self.clean = clean
        self.told: set[str] = set()
        self.busy = False
        self.failing = rng.choice((0.0, 0.0, 0.1, 0.3))
        self.broken = rng.choice((0.0, 0.0, 0.0, 0.1, 0.2))
        self.passing = rng.choice((0.2, 0.5, 0.8))
        self.haste = rng.choice((0.1, 0.2))
        self.chains = rng.random() < 0.6
        self.fresh = 0

    def next(self) -> int:
        """A number not used before."""
        self.fresh += 1
        return self.fresh

    def stranger(self) -> str:
        """A text that is new to the run."""
        if self.clean:
            return f"w{self.next()}"
        canary = f"{MARK}{self.next()}Z"
        self.told.add(canary)
        return canary

    def word(self, seen: str) -> str:
        """A text made from what its author has seen: all the canaries in it, or a plain word."""
        found = canaries(seen)
        return " ".join(found[-4:]) if found else f"w{self.rng.randint(0, 9)}"

    # ------------------------------------------------------------ inputs of the run

    def inputs(self, orchestrator: Orchestrator) -> dict[str, Any]:
        """What a run is started with."""
        given: dict[str, Any] = {}
        for field in orchestrator.inputs.type.fields:  # type: ignore[attr-defined]
            if str(field.type) == "Note":
                given[field.name] = {"id": 1, "text": self.stranger()}
            elif str(field.type) == "string":
                given[field.name] = self.stranger() if field.untrusted else "a"
            else:
                given[field.name] = 1
        return given

    # ------------------------------------------------------------ planners

    def shown(self, request: ModelRequest) -> str:
        """All the text that a planner has before it."""
        if request.model.name == "policy":
            seen = request.state()
            return str(
                (
                    seen.goal,
                    seen.input,
                    seen.tasks,
                    seen.outputs,
                    seen.rounds,
                    seen.feedback,
                    seen.steps,
                )
            )
        return "\n".join([message.content for message in request.messages])

    def decision(self, request: ModelRequest, loop: Loop, begun: list[dict[str, Any]]) -> Any:
        """What a planner says; `begun` are the tasks that it has said already."""
        rng = self.rng
        policy = loop.orchestrator.policy
        if rng.random() < (self.broken if not begun else max(self.broken, 0.4)):
            if begun:
                return json.dumps({"tasks": [*begun, {"id": "z", "worker": "no", "input": {}}]})
            return rng.choice(_BROKEN)
        shown = self.shown(request)
        late = 0.7 if 1 < loop.round == policy.max_rounds else self.haste * (loop.round - 1)
        if policy.max_items and loop.has_tainted:
            late = 0.6  # by reference to what it has not seen, perhaps
        if not begun and rng.random() < late:
            decision: dict[str, Any] = {"finish": self.result(loop, shown)}
            if policy.max_items and loop.tasks and rng.random() < 0.8:
                known = [(task.id, task.worker) for task in loop.tasks.values()]
                decision = {"finish": self.reference(known, text=rng.random() < 0.6)}
        else:
            tasks = list(begun)
            room = policy.max_per_round - len(tasks)
            wanted = room if self.chains else rng.randint(0 if tasks else 1, room)
            for _ in range(wanted):
                tasks.append(self.task(loop, shown, tasks))
            decision = {"tasks": tasks}
        return decision if request.model.name == "policy" else json.dumps(decision)

    def result(self, loop: Loop, shown: str) -> Any:
        """What an orchestrator finishes with: a stranger's words, where the file says so."""
        kind = kind_of(loop.orchestrator)
        if gives_marked(loop):
            self.busy = True
            return kind.value(self.stranger())
        return kind.value(self.copied(shown))

    def copied(self, shown: str) -> str:
        """A text that a planner writes: a copy of what it was shown, more often than not."""
        found = canaries(shown)
        if found and self.rng.random() < 0.8:
            return self.rng.choice(found)
        return f"w{self.rng.randint(0, 2)}"

    def task(self, loop: Loop, shown: str, beside: list[dict[str, Any]]) -> dict[str, Any]:
        """A task: its texts are copies, references, or plain words."""
        rng = self.rng
        worker = self.chosen(loop, shown, beside)
        task_id = f"t{self.next()}"
        found = canaries(shown)
        if found and rng.random() < 0.3:
            task_id = f"{rng.choice(found)}.{self.next()}"
        known = [(task.id, task.worker) for task in loop.tasks.values() if task.failure is None]
        known += [(spec["id"], loop.decisions.workers[spec["worker"]]) for spec in beside]
        given: dict[str, Any] = {}
        for name, schema in worker.inputs.schema["properties"].items():
            kind = schema.get("type")
            if kind == "integer":
                given[name] = rng.randint(1, 9)
            elif worker.name == "spare" or (worker.name[:2] == "u_" and rng.random() < 0.5):
                given[name] = "w0"
            elif known and worker.name != "post" and rng.random() < 0.5:
                given[name] = self.reference(known, text=kind == "string")
            else:
                given[name] = self.copied(shown)
        task = {"id": task_id, "worker": worker.name, "input": given}
        lists = [one for one in known if kind_of(one[1]) in _LISTS]
        if lists and loop.orchestrator.policy.max_items and rng.random() < 0.7:
            return self.step(task, rng.choice(lists))
        return task

    def step(self, task: dict[str, Any], over: tuple[str, Worker | Orchestrator]) -> dict[str, Any]:
        """A task as a step over what another gave, with a label of its words."""
        rng = self.rng
        task_id, worker = over
        selection: dict[str, Any] = {"$from": task_id}
        if kind_of(worker) is KINDS["json"] or rng.random() < 0.1:
            selection["at"] = "/deep"
        field = next(iter(task["input"]), None)
        if field is not None and rng.random() < 0.7:
            task["input"][field] = {"$item": ""}
        return {**task, "each": selection, "label": {"$item": ""}, "tolerate": 0.9}

    def chosen(self, loop: Loop, shown: str, beside: list[dict[str, Any]]) -> Worker | Orchestrator:
        """The worker of the next task: by chance, or what a text may get through next."""
        rng = self.rng
        workers = list(loop.decisions.workers.values())
        hot = MARK in shown
        if beside and rng.random() < (0.5 if hot else 0.1):
            return rng.choice([w for w in workers if _acts(w)] or workers)
        if self.chains and beside:
            # From a stranger on to an effect, in one decision.
            last = [worker.name for worker in workers].index(beside[-1]["worker"])
            if rng.random() < (0.5 if workers[last].name == "spare" else 0.25):
                return workers[last]
            return workers[(last + 1) % len(workers)]
        if loop.round == 1 and not beside and rng.random() < 0.9:
            # Below, or where a stranger may be read.
            return workers[-1] if isinstance(workers[-1], Orchestrator) else workers[0]
        if hot and rng.random() < 0.4:
            return rng.choice([w for w in workers if _acts(w)] or workers)
        return rng.choice(workers)

    def reference(
        self, known: list[tuple[str, Worker | Orchestrator]], *, text: bool
    ) -> dict[str, Any]:
        """A reference to what may be of use there, mostly the newest."""
        rng = self.rng
        task_id, worker = known[-1] if rng.random() < 0.7 else rng.choice(known)
        pointers = kind_of(worker).pointers
        pointer = pointers[-1] if text else rng.choice(pointers)
        return {"$from": task_id, "at": pointer} if pointer else {"$from": task_id}

    # ------------------------------------------------------------ workers, checks

    def received(self, request: ModelRequest | WorkerRequest) -> str:
        """All the text that a worker or a check has before it."""
        if isinstance(request, ModelRequest):
            return "\n".join([message.content for message in request.messages])
        return str(dict(request.input))

    def output(self, worker: Worker, request: ModelRequest | WorkerRequest) -> tuple[bool, Any]:
        """What a worker gives: (true, its output) or (false, the words of a failure)."""
        rng = self.rng
        outside = is_strange(worker)
        word = self.stranger() if outside else self.word(self.received(request))
        if rng.random() < (0.6 if worker.name == "spare" else self.failing):
            return False, word
        if rng.random() < 0.04:
            return True, {"not": {"what": word, "was": 1}}  # it breaks its contract
        value = kind_of(worker).value(word)
        return True, json.dumps(value) if isinstance(request, ModelRequest) and not isinstance(
            value, str
        ) else value

    def verdict(self, verifier: Verifier, request: ModelRequest | WorkerRequest) -> dict[str, Any]:
        """What a check says: yes, or no with the words of what it saw."""
        if self.rng.random() < self.passing:
            return {"ok": True}
        return {"ok": False, "feedback": f"not {self.word(self.received(request))}"}

    # ------------------------------------------------------------ people

    def answer(self, gate: Gate) -> dict[str, Any]:
        """What a person says: in words of their own."""
        rng = self.rng
        if gate.kind == "outcome":
            task = gate.task or gate.tasks[0]
            answer = rng.choice(("approve", "not_done", "reject"))
            return {"answer": answer, "output": kind_of(task.worker).value("done")}
        answer = rng.choice(("approve", "approve", "reject", "timeout"))
        said: dict[str, Any] = {"answer": answer, "note": rng.choice(("", "so"))}
        if gate.kind == "escalation":
            if answer == "timeout":
                said["answer"] = "reject"
            elif rng.random() < 0.3:
                said["output"] = kind_of(gate.loop.orchestrator).value("mine")
        return said


def is_strange(worker: Worker) -> bool:
    """Whether the file says that a worker gives a stranger's words."""
    return worker.trust == "untrusted" or worker.name in ("t_note", "t_said", "t_told")


def _acts(worker: Worker | Orchestrator) -> bool:
    return isinstance(worker, Worker) and worker.effect in ("write", "once")


def begins_strange(program: Program) -> bool:
    """Whether a run has a stranger's words before anybody is asked."""
    fields = program.orchestrators["main"].inputs.type.fields  # type: ignore[attr-defined]
    return any(param.value == PARAM for param in program.params.values()) or any(
        field.untrusted or str(field.type) == "Note" for field in fields
    )


def gives_marked(loop: Loop) -> bool:
    """Whether what an orchestrator gives back is marked as a stranger's in the file."""
    return str(loop.orchestrator.output.type) in ("Note", "Said")


def hides_all(loop: Loop) -> bool:
    """Whether a planner is shown no words of any of its workers."""
    shows = [shown(loop.orchestrator, worker) for worker in loop.decisions.workers.values()]
    return all(show in ("shape", "none") for show in shows)
