"""The bound of an orchestrator: the most that one run of it can take, and the way there.

With R rounds, D tasks, n(w) tasks of worker w and V revisions a dispatch hook allows:

    R  = max_rounds                       revisions, new plans and failed rounds are rounds too
    D  = min(max_dispatches, R * max_per_round), or with steps min(max_dispatches, R * max_items)
    decisions       R * (1 + repairs), each a call of the orchestrator's model
    tasks           max over sum n(w) <= D, n(w) <= limit(w) of
                      n(w) * (work, again after each of V revisions, + looks before and after it)
    before_round    R looks
    after_round     floor(R / every) looks
    before_finish   min(R, 1 + revisions that this hook and those after it allow) looks

A task of a plan is the tasks of its steps: at most `max_items`, each step no more than the types
say, with the looks of the hooks on the workers that they call. Where the policy has `max_items`,
these tasks are among the D.

A task of an orchestrator is a whole run of it, as deep as `max_depth` lets it call itself. Budgets
cap tokens and money at every level: a child's, a `limit`'s, the orchestrator's own. A person's
word (another start of a `once` task, an edited plan or input that is looked at again, a run taken
over after a crash) is not in the bound.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import assert_never

import msgspec

from engine.bounds.amounts import (
    METRICS,
    NOTHING,
    Metric,
    Number,
    Spend,
    dearer,
    least,
)
from engine.bounds.calls import Calls, Rate
from engine.bounds.greedy import Option, fill
from engine.sema.model import (
    Budget,
    Hook,
    HookPoint,
    Orchestrator,
    Program,
    Worker,
    fallback_chain,
    reached,
)

__all__ = ["Bound", "Step", "TaskBounds", "bound_of", "bounds_of", "revisions", "task_bounds"]

#: How deep calls of orchestrators are followed, and how many different ones.
_DEEPEST = 110
_MOST_STATES = 20_000


class Step(msgspec.Struct, frozen=True):
    """One part of the most expensive path.

    Attributes:
        what: `decision`, `task`, or the hook point of a check.
        name: Of the model, the worker or orchestrator, the verifier.
        times: Decisions, tasks or looks.
        total: What they take together, retries, repairs, fallbacks and revisions included.
        worker: For checks around a task, whose.
    """

    what: str
    name: str
    times: int
    total: Spend
    worker: str | None = None


class Bound(msgspec.Struct, frozen=True):
    """What one run of an orchestrator takes at most.

    Attributes:
        orchestrator: Its name.
        rounds: Its own rounds.
        tasks: Its own tasks.
        total: Everything, with what it calls; capped by its own budget.
        structure: The same without its own budget.
        budget: Its own budget.
        metric: What the steps are the worst case of: `cost_usd`, or, where that is zero or not
            known, `tokens`, or else `model_calls`.
        steps: The most expensive way, the most expensive part first.
        path: Names from the orchestrator down to the most expensive part.
        unknown: Why a number is not known, one sentence each.
    """

    orchestrator: str
    rounds: int
    tasks: int
    total: Spend
    structure: Spend
    budget: Budget
    metric: Metric
    steps: tuple[Step, ...]
    path: tuple[str, ...]
    unknown: tuple[str, ...]

    def caps(self, metric: Metric) -> bool:
        """Whether its own budget, and nothing else, makes the number as small as it is."""
        return self.total.of(metric) != self.structure.of(metric)


class _Worker(msgspec.Struct, frozen=True):
    """What an orchestrator's worker can add: the work, the looks, and what caps the work."""

    name: str
    limit: int
    work: Spend
    looks: tuple[tuple[str, str, int, Spend], ...]
    cap: Budget

    def option(self, metric: Metric) -> Option:
        checks = NOTHING
        for _, _, count, each in self.looks:
            checks += each * count
        return Option(self.limit, self.work.of(metric), checks.of(metric), _cap(self.cap, metric))

    def one(self) -> Spend:
        """The most that one task takes, with its checks."""
        total = self.work
        for _, _, count, each in self.looks:
            total += each * count
        return total


def bounds_of(program: Program, rates: Mapping[str, Rate] | None = None) -> list[Bound]:
    """The bound of every orchestrator of a program, each as if it were run itself.

    Args:
        program: A program without errors, folded with the params that count.
        rates: What bounds an attempt at a model, by name, where that is known better than from
            the file and the price table.
    """
    bounder = _Bounder(program, rates)
    return [bounder.bound(name, {name: 1}) for name in program.orchestrators]


def bound_of(program: Program, name: str, rates: Mapping[str, Rate] | None = None) -> Bound:
    """The bound of one orchestrator; see `bounds_of`."""
    return _Bounder(program, rates).bound(name, {name: 1})


class TaskBounds(msgspec.Struct, frozen=True):
    """The most that one task of each worker takes, with its checks, by the worker's name.

    `Spend.tasks` counts the task itself and, for an orchestrator, the tasks under it.

    Attributes:
        whole: With the steps of a plan, at most as many as its `max_items`.
        alone: Without the steps of a plan.
    """

    whole: Mapping[str, Spend]
    alone: Mapping[str, Spend]


def task_bounds(program: Program, loop: str, rates: Mapping[str, Rate] | None = None) -> TaskBounds:
    """The most that a task of each worker under an orchestrator takes, those in plans included."""
    bounder = _Bounder(program, rates)
    orchestrator = program.orchestrators[loop]
    whole, alone = (
        {
            worker.name: worker.one()
            for worker in bounder.everything_under(orchestrator, 1, {loop: 1}, with_plan=with_plan)
        }
        for with_plan in (True, False)
    )
    return TaskBounds(whole, alone)


class _Bounder:
    """Computes bounds, each once. `active` counts the orchestrators that are under way."""

    def __init__(self, program: Program, rates: Mapping[str, Rate] | None) -> None:
        self._program = program
        self._calls = Calls(program, rates)
        self._known: dict[tuple[str, tuple[tuple[str, int], ...]], Bound] = {}
        self._below: dict[str, frozenset[str]] = {}

    def bound(self, name: str, active: Mapping[str, int]) -> Bound:
        below = self._reachable(name)
        key = (name, tuple(sorted((n, c) for n, c in active.items() if n in below)))
        found = self._known.get(key)
        if found is None:
            found = self._known[key] = self._bound(self._program.orchestrators[name], active)
        return found

    def _reachable(self, name: str) -> frozenset[str]:
        """The orchestrators that one can call, directly or not."""
        if name not in self._below:
            found: set[str] = set()
            pending = [name]
            while pending:
                for worker in self._program.orchestrators[pending.pop()].workers:
                    if worker in self._program.orchestrators and worker not in found:
                        found.add(worker)
                        pending.append(worker)
            self._below[name] = frozenset(found)
        return self._below[name]

    def _bound(self, loop: Orchestrator, active: Mapping[str, int]) -> Bound:
        policy = loop.policy
        rounds = policy.max_rounds
        places = rounds * (policy.max_per_round if policy.max_items is None else policy.max_items)
        if policy.max_dispatches is not None:
            places = min(places, policy.max_dispatches)
        workers = [self._worker(loop, name, places, active) for name in loop.workers]
        fixed = self._fixed(loop)
        structure = Spend(rounds=rounds)
        for step in fixed:
            structure += step.total
        tasks = {metric: _fill(workers, places, metric) for metric in METRICS}
        if policy.max_items is not None:
            inside = self.everything_under(loop, places, active)
            for metric in METRICS:
                other = _fill(inside, places, metric)
                tasks[metric] = min(tasks[metric], other, key=lambda one: dearer(one[0]))
        structure += Spend(*(tasks[metric][0] for metric in METRICS))
        total = structure.capped(tokens=policy.budget.tokens, cost_usd=policy.budget.cost_usd)
        metric = _leading(structure)
        steps = [*fixed, *tasks[metric][1]]
        steps = [step for step in steps if step.total.of(metric) != 0]
        steps.sort(key=lambda step: dearer(step.total.of(metric)), reverse=True)
        return Bound(
            orchestrator=loop.name,
            rounds=rounds,
            tasks=min(places, sum(worker.limit for worker in workers)),
            total=total,
            structure=structure,
            budget=policy.budget,
            metric=metric,
            steps=tuple(steps),
            path=(loop.name, *self._onward(steps, active)),
            unknown=self._unknown(loop.name, structure),
        )

    def everything_under(
        self, loop: Orchestrator, places: int, active: Mapping[str, int], *, with_plan: bool = False
    ) -> list[_Worker]:
        """The workers of an orchestrator and those that its plans call, as if all were its own."""
        workers = self._program.workers
        names = [
            other
            for name in loop.workers
            for other in (fallback_chain(workers, name) if name in workers else (name,))
        ]
        return [
            self._worker(loop, name, places, active, with_plan=with_plan)
            for name in reached(workers, names)
        ]

    def _onward(self, steps: list[Step], active: Mapping[str, int]) -> tuple[str, ...]:
        """Names from the most expensive part of an orchestrator down."""
        if not steps:
            return ()
        first = steps[0]
        if first.what == "task" and first.name in self._program.orchestrators:
            child = self._child(first.name, active)
            return child.path if child is not None else (first.name,)
        return (first.name,)

    def _fixed(self, loop: Orchestrator) -> list[Step]:
        """What there is whatever the tasks are: decisions, and hooks of rounds and the result."""
        rounds = loop.policy.max_rounds
        decisions = rounds * (1 + loop.policy.repair_max)
        each = self._calls.decision(loop.model)
        steps = [Step("decision", loop.model, decisions, each * decisions)]
        for hook in loop.hooks:
            match hook.point:
                case "before_round":
                    looks = rounds
                case "after_round":
                    looks = rounds // hook.every
                case "before_finish":
                    looks = min(rounds, 1 + revisions(loop, "before_finish", None, hook))
                case "before_dispatch" | "after_dispatch":
                    continue  # counted with the tasks
                case _:
                    assert_never(hook.point)
            for name in hook.every_verifier:
                each = self._calls.check(self._program.verifiers[name])
                steps.append(Step(hook.point, name, looks, each * looks))
        return steps

    def _worker(
        self,
        loop: Orchestrator,
        name: str,
        places: int,
        active: Mapping[str, int],
        *,
        with_plan: bool = True,
    ) -> _Worker:
        limit = loop.limits.get(name)
        most = places
        if limit is not None and limit.max_dispatches is not None:
            most = min(most, limit.max_dispatches)
        again = revisions(loop, "after_dispatch", name)
        looks: list[tuple[str, str, int, Spend]] = []
        for hook in loop.hooks:
            if hook.worker != name:
                continue
            count = 1
            if hook.point == "after_dispatch":
                count += revisions(loop, "after_dispatch", name, hook)
            for verifier in hook.every_verifier:
                each = self._calls.check(self._program.verifiers[verifier])
                looks.append((hook.point, verifier, count, each))
        if name in self._program.orchestrators:
            child = self._child(name, active)
            work = NOTHING if child is None else child.total * (1 + again)
        else:
            workers = self._program.workers
            work = self._calls.work(workers[name], again)
            for other in fallback_chain(workers, name) if with_plan else ():
                work += self._planned(loop, workers[other], active) * (1 + again)
        budget = limit.budget if limit is not None else Budget()
        return _Worker(name, most, Spend(tasks=1) + work, tuple(looks), budget)

    def _planned(self, loop: Orchestrator, worker: Worker, active: Mapping[str, int]) -> Spend:
        """What the steps of a plan take in one task of it; nothing for other workers."""
        if worker.plan is None:
            return NOTHING
        places = worker.plan.max_items
        inside: list[_Worker] = []
        for path, name in worker.plan.calls():
            most = worker.plan.most.get(path)
            inside.append(self._worker(loop, name, least(places, most) or 0, active))
        return Spend(*(fill(places, [step.option(m) for step in inside])[0] for m in METRICS))

    def _child(self, name: str, active: Mapping[str, int]) -> Bound | None:
        """The bound of an orchestrator called from those under way; None where it may not start."""
        depth = 1 + active.get(name, 0)
        most = self._program.orchestrators[name].policy.max_depth
        if most is not None and depth > most:
            return None
        if sum(active.values()) >= _DEEPEST or len(self._known) >= _MOST_STATES:
            return _beyond(name)
        return self.bound(name, {**active, name: depth})

    def _unknown(self, name: str, structure: Spend) -> tuple[str, ...]:
        if None not in (structure.tokens, structure.cost_usd, structure.model_calls):
            return ()
        said = []
        for model in self._models(name):
            rate = self._calls.rate(model)
            if not rate.metered:
                continue
            priced = rate.input_usd is not None and rate.output_usd is not None
            if not priced and structure.cost_usd is None:
                said.append(f"no price of `{model}` is known: give it a `price`")
            if rate.context is None:
                said.append(f"the context window of `{model}` is not known: set `context`")
        return tuple(said) or ("orchestrators call each other too often to be counted",)

    def _models(self, name: str) -> list[str]:
        """The models that may be asked under an orchestrator."""
        program = self._program
        named: list[str] = []
        for at in (name, *sorted(self._reachable(name) - {name})):
            loop = program.orchestrators[at]
            named.append(loop.model)
            named += [program.workers[w].facts.model or ""
                      for w in reached(program.workers, loop.workers)
                      if w in program.workers]  # fmt: skip
            named += [program.verifiers[v].facts.model or "" for hook in loop.hooks
                      for v in hook.every_verifier]  # fmt: skip
        return list(dict.fromkeys(m for n in named if n for m in self._calls.chain(n)))


def revisions(
    loop: Orchestrator, point: HookPoint, worker: str | None, since: Hook | None = None
) -> int:
    """The revisions that the hooks of a point allow, all of them or those from one hook on.

    A hook looks again only after a revision of its own or of a hook behind it: one that does not
    pass stops the passage before the hooks behind it have looked.
    """
    hooks = [hook for hook in loop.hooks if hook.point == point and hook.worker == worker]
    if since is not None:
        hooks = hooks[next(i for i, hook in enumerate(hooks) if hook is since) :]
    return sum(hook.max_revisions for hook in hooks if hook.on_fail == "revise")


def _cap(budget: Budget, metric: Metric) -> Number:
    if metric == "tokens":
        return budget.tokens
    return budget.cost_usd if metric == "cost_usd" else None


def _leading(spend: Spend) -> Metric:
    if spend.cost_usd:
        return "cost_usd"
    return "tokens" if spend.tokens else "model_calls"


def _fill(workers: list[_Worker], places: int, metric: Metric) -> tuple[Number, list[Step]]:
    """The most of one metric that so many tasks take, and the tasks that do."""
    total, counts = fill(places, [worker.option(metric) for worker in workers])
    steps = [
        step
        for worker, count in zip(workers, counts, strict=True)
        for step in _steps(worker, count)
    ]
    return total, steps


def _steps(worker: _Worker, count: int) -> list[Step]:
    """The steps of so many tasks of a worker."""
    if count == 0:
        return []
    work = (worker.work * count).capped(tokens=worker.cap.tokens, cost_usd=worker.cap.cost_usd)
    steps = [Step("task", worker.name, count, work)]
    for point, verifier, looks, each in worker.looks:
        every = count * looks
        steps.append(Step(point, verifier, every, each * every, worker.name))
    return steps


def _beyond(name: str) -> Bound:
    """The bound of an orchestrator that is called too deep to be followed: none is known."""
    endless = Spend(None, None, None, None, None)
    return Bound(name, 0, 0, endless, endless, Budget(), "model_calls", (), (name, "..."), ())
