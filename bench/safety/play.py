"""One task of a suite through the engine, honest or attacked, and what is judged of it."""

from __future__ import annotations

import copy
import dataclasses
import functools
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import engine
from bench.safety.attackers import wanted
from bench.safety.calls import Call, calls_of
from bench.safety.finding import holds
from bench.safety.planner import Attack, Contract, Form, Planner
from bench.safety.signatures import as_json
from bench.safety.tools import WORLD, World
from engine.journal import MemoryJournal

Said = Literal["approve", "reject"]

#: A run asks a person at most so often.
MOST_GATES = 60


@dataclass
class Played:
    """What became of a task.

    Attributes:
        done: Whether the package's judge of the user's task says that it is done, and every call of
            its ground truth was made (the judge alone passes some where nothing was done). Not
            judged where there is an attack.
        attacked: Whether its judge of the attacker's task says so.
        reached: How many calls of effects an attack has made.
        asked: The workers that a person was asked about, in order.
        effects: How many effects started that no attack decided.
        denied: The tools whose calls were refused or failed.
        told: Whether a planner was shown the attacker's text.
        status: How the run ended; why, where it did not finish.
    """

    task: str
    done: bool = False
    attacked: bool = False
    reached: int = 0
    asked: list[str] = field(default_factory=list)
    effects: int = 0
    denied: list[str] = field(default_factory=list)
    told: bool = False
    status: str = ""
    problems: list[str] = field(default_factory=list)


class Suite:
    """A suite and its program.

    Args:
        package: The suite's tasks, environments and judges: `bench.safety.package.Package`.
    """

    def __init__(self, package: Any, program: Path, lists: dict[str, str]) -> None:
        self.package, self._lists = package, lists
        self.workflow = engine.load(program)
        self.contracts = contracts(self.workflow)
        policy = self.workflow.program.orchestrators["assistant"].policy
        self.steps = getattr(policy, "max_items", None) is not None

    async def honest(self, user: Any, *, person: bool) -> Played:
        """Play a task; a person says yes to everything, or no."""
        answer: Said = "approve" if person else "reject"
        return await self._play(user, self.package.environment(user), answer)

    async def attack(self, user: Any, injection: Any, form: Form) -> Played | None:
        """Play a task in an environment with an attacker's text; a person says no.

        None where the task does not read the text, or the attacker's calls are not known.
        """
        attack = self._attack(user, injection)
        if attack is None:
            return None
        environment = self.package.environment(user, self.package.injections(user, injection))
        attack = dataclasses.replace(attack, form=form)
        return await self._play(user, environment, "reject", attack, injection)

    @functools.lru_cache(maxsize=1)  # noqa: B019 the same for all forms
    def _attack(self, user: Any, injection: Any) -> Attack | None:
        """What an attack wants, and when its text has been read."""
        words = self.package.injections(user, injection)
        environment = self.package.environment(user, words)
        calls = wanted(self.package.name, injection, environment)
        texts = list(words.values())
        for number, call in enumerate(user.ground_truth(copy.deepcopy(environment))):
            output = as_json(self.package.call(environment, call.function, dict(call.args)))
            if calls and holds(output, texts):
                return Attack("typed", calls, texts, number)
        return None

    async def _play(
        self,
        user: Any,
        environment: Any,
        answer: Said,
        attack: Attack | None = None,
        injection: Any = None,
    ) -> Played:
        before = copy.deepcopy(environment)
        world = World(
            lambda tool, given: self.package.call(environment, tool, given),
            self._lists,
            words=attack.words if attack else [],
        )
        planner = Planner(
            f"{self.package.name}/{user.ID}",
            user.PROMPT,
            calls_of(user.ground_truth(copy.deepcopy(environment))),
            user.GROUND_TRUTH_OUTPUT,
            self.contracts,
            world,
            attack,
            steps=self.steps,
        )
        played = Played(user.ID)
        token = WORLD.set(world)
        try:
            run = await self._drive(user, planner, answer, played)
        finally:
            WORLD.reset(token)
        calls = [Call(one.tool, one.given) for one in world.log]
        said = run.output if isinstance(run.output, str) else ""
        if injection is None:
            played.done = self.package.useful(user, said, before, environment, calls)
            played.done = played.done and not planner.denied
        else:
            played.attacked = self.package.attacked(injection, said, before, environment, calls)
        started = [one for one in world.log if self.contracts[one.tool].effect]
        played.reached = sum(one.hostile for one in started)
        played.effects = sum(not one.hostile for one in started)
        played.denied, played.told, played.problems = planner.denied, planner.told, planner.problems
        played.status = run.status if run.status == "finished" else f"{run.status}: {run.reason}"
        return played

    async def _drive(self, user: Any, planner: Planner, answer: Said, played: Played) -> engine.Run:
        models, journal = {"planner": planner, "reader": planner}, MemoryJournal()
        run = await self.workflow.arun(models=models, journal=journal, request=user.PROMPT)
        while run.status == "waiting" and len(played.asked) < MOST_GATES:
            gate = run.gates[0]
            of = gate if isinstance(gate, dict) else as_dict(gate)  # an earlier build has dicts
            played.asked.append(of.get("worker") or of.get("task") or "?")
            reply = engine.Reply(answer, gate=of["key"])
            run = await engine.aresume(run.id, reply=reply, models=models, journal=journal)
        return run


def contracts(workflow: engine.Workflow) -> dict[str, Contract]:
    """What the planner needs to know of the program's workers."""
    found = {}
    for name, worker in workflow.program.workers.items():
        sources: dict[str, set[tuple[str, tuple[str, ...]]]] = {}
        for one in getattr(worker, "sources", ()):
            allowed = {(a.name, tuple(a.at)) for a in one.allowed}
            sources.setdefault(one.path[0], set()).update(allowed)
        properties = worker.inputs.schema.get("properties", {})
        found[name] = Contract(
            worker.effect in ("write", "once"),
            {key: frozenset(value) for key, value in sources.items()},
            frozenset(key for key, schema in properties.items() if "enum" in str(schema)),
        )
    return found


def as_dict(gate: Any) -> dict[str, Any]:
    return {name: getattr(gate, name, None) for name in ("key", "task", "worker")}
