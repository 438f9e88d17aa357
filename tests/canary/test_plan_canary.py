"""Random plans whose effects have `@from`, hooks, both or nothing: no leak, and no denial that the
linter has not seen.

The oracle is that of the other tests here. What `@from` lets pass is an input beside one that is
bound, never a bound one. ORCH_CANARY=N runs N/4 programs.
"""

from __future__ import annotations

import os
import random
from collections import Counter

import pytest
from canary_programs import checked
from canary_run import Canary, Leak, _what
from canary_world import World, canaries

from engine.linter import taint as flows
from engine.linter.taint import Place, flow_of
from engine.runtime import clearance, taint
from engine.runtime.ending import subtree
from engine.runtime.state import Step, Task
from engine.sema.model import Worker
from engine.sizes import BOUNDS

PROGRAMS = int(os.environ.get("ORCH_CANARY", "2000")) // 4
PARTS = 4

_HEAD = """orch 1
model planner { id = "memory/planner"  fallback = [policy] }
model policy { id = "memory/policy" }
worker u_text(q: string) -> string fails gone via python {
  call = "builtins:dict"  effect = read  trust = untrusted
}
worker u_list(q: string) -> string[] fails gone via python {
  call = "builtins:dict"  effect = read  trust = untrusted
}
worker t_text(q: string) -> string fails gone via python { call = "builtins:dict"  effect = pure }
worker fix(n: int) -> string fails gone via python { call = "builtins:dict"  effect = pure }
worker t_list(q: string) -> string[] fails gone via python { call = "builtins:dict"  effect = pure }
worker fetch(q: string) -> string fails gone via command { run = ["curl", q]  effect = read }
verifier look(input: json) via python { call = "builtins:dict" }
verifier look_to(to: string) via python { call = "builtins:dict" }
verifier look_note(note: string) via python { call = "builtins:dict" }
verifier look_a(a: string) via python { call = "builtins:dict" }
verifier look_q(q: string) via python { call = "builtins:dict" }
"""
_READERS = ("u_text", "t_text", "t_list", "u_list", "fetch")
_FROM = ("", "", " @from(request)", " @from(request, fix)", " @from(fix)")
_PLAN_INPUTS = ("", "", "", " @from(request)", ' = "a"')


class _Maker:
    """One program, by chance."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self.plans: list[str] = []
        self.called: set[str] = set()

    def text(self) -> str:
        rng = self.rng
        parts = [_HEAD]
        for name, effect in (("pay", "once"), ("save", "write")):
            parts.append(
                f'worker {name}_it(to: string{rng.choice(_FROM)}, note: string = "") -> string '
                f'fails gone via python {{ call = "builtins:dict"  effect = {effect} }}\n'
            )
        for i in range(rng.randint(1, 3)):
            parts.append(self.plan(f"p{i}"))
            self.plans.append(f"p{i}")
        below = rng.random() < 0.3
        members = ["u_text", "t_text", "fix", *self.plans]
        parts += [self.orchestrator("sub", members)] if below else []
        more = [name for name in ("pay_it", "fetch") if rng.random() < 0.3]
        parts.append(self.orchestrator("main", [*members, *more, *(["sub"] if below else [])]))
        return "".join(parts)

    def plan(self, name: str) -> str:
        rng, known, lists = self.rng, ["a", "a", "b"], []
        steps = []
        for i in range(rng.randint(1, 4)):
            worker = rng.choice([*_READERS, *["pay_it", "save_it"] * 3, *self.plans])
            self.called.add(worker)
            head, given = "", [*known, '"l"']
            if lists and rng.random() < 0.4:
                head, given = f"each = {rng.choice(lists)}  ", [*given, *["item"] * 4]
            one = lambda given=given: rng.choice(given)  # noqa: E731
            if worker in ("pay_it", "save_it"):
                call = f"to={one()}" + (f", note={one()}" if rng.random() < 0.6 else "")
            elif worker in self.plans:
                call = f"a={one()}, b={one()}"
            else:
                call = f"q={one()}"
            steps.append(f"step s{i} {{ {head}call = {worker}({call}) }}")
            if worker.endswith("_list") and not head:
                lists.append(f"s{i}")
                known.append(f"s{i}[0]")
            elif not head:
                known.append(f"s{i}")
        inner = "\n  ".join(steps)
        if rng.random() < 0.2:
            pass_ = rng.choice(("pay_it(to=last)", "t_text(q=last)"))
            self.called.add(pass_.partition("(")[0])
            inner += (
                f'\n  step r {{\n    repeat {{ max = 2  until = rz == "no"  start = {known[-1]}  '
                f"gives = rz  settle = true }}\n    step rz {{ call = {pass_} }}\n  }}"
            )
        return (
            f"worker {name}(a: string{rng.choice(_PLAN_INPUTS)}, b: string) -> string via plan {{\n"
            f"  max_items = 30\n  {inner}\n  result = {rng.choice(known)}\n}}\n"
        )

    def orchestrator(self, name: str, members: list[str]) -> str:
        rng = self.rng
        hooks = ""
        called = [*dict.fromkeys([*members, *sorted(self.called)])]
        for worker in [one for one in called if one in ("pay_it", "save_it", "fetch", *self.plans)]:
            own = {"fetch": "look_q", "pay_it": "look_to", "save_it": "look_to"}.get(
                worker, "look_a"
            )
            for _ in range(rng.choice((0, 1, 1))):
                some = rng.choice(("look", "look", own, f"[{own}, look]"))
                if own == "look_to" and rng.random() < 0.3:
                    some = "[look_to, look_note]"
                when = rng.choice(("", "", "when = tainted  ", 'when = goal == "no"  '))
                end = rng.choice(("deny", "deny", "deny", "abort", "warn"))
                hooks += (
                    f"    before_dispatch {worker} {{ with = {some}  {when}on_fail = {end} }}\n"
                )
        model = rng.choice(("planner", "policy"))
        return (
            f"orchestrator {name}(q: string) -> string {{\n  model = {model}\n"
            f'  goal = "Do {{{{ q }}}}."\n'
            f"  workers = [{', '.join(members)}]\n"
            "  policy { max_rounds = 4  max_per_round = 3  max_items = 60 }\n"
            f"  verify {{\n{hooks}  }}\n}}\n"
        )


class PlanWorld(World):
    """Planners that often write what the request says, which is `a`."""

    def copied(self, shown: str) -> str:
        return "a" if self.rng.random() < 0.5 else super().copied(shown)


class Planned(Canary):
    """A run of a program with plans."""

    bounds = BOUNDS
    most_events = 140

    def _made(self):
        text = _Maker(random.Random(self.seed // 2)).text()
        return text, checked(text), {}

    def _outside(self, rng):
        return PlanWorld(rng, clean=self.clean)

    def _look(self, start):
        task = self.state.calls[start.key].subject
        if not isinstance(task, Task) or not isinstance(task.acting, Worker):
            super()._look(start)
            return
        before, self.passed = self.passed, self.passed | self._let_in(task)
        bound = {one.path[0] for one in task.worker.sources}
        held = str([value for name, value in task.resolved.items() if name in bound])
        if bound and self.passed.issuperset(canaries(held)):
            self.effects += 1  # beside a bound input, the others may be a stranger's
        else:
            super()._look(start)
        self.passed = before

    def _check_clean(self):
        # A plan that calls a stranger counts as one, whether it has got so far or not.
        self.world.busy = self.world.busy or any(
            task.plan is not None and task.worker.trust == "untrusted"
            for loop in subtree(self.state.loop)
            for task in loop.every_task()
            if isinstance(task.worker, Worker)
        )
        super()._check_clean()

    def _let_in(self, task: Task) -> set[str]:
        """The canaries that a hook on a plan around a task has let in."""
        found: set[str] = set()
        outer: Task | Step = task
        while outer.frame is not None:
            outer = outer.frame.owner
            if not isinstance(outer, Task):
                continue
            seen = self.passed_parts.get(outer.key, set())
            if outer.key in self.passed_tasks or _what(outer) in self.passed_inputs:
                seen = set(outer.resolved)
            if seen:
                inputs = [value for name, value in outer.resolved.items() if name in seen]
                found.update(canaries(f"{outer.key} {inputs}"))
        return found


def denied_starts(run: Planned) -> list[tuple[str, str, str]]:
    """What was denied for taint: the orchestrator, what its planner started, what was denied."""
    found = []
    for loop in subtree(run.state.loop):
        for task in loop.every_task():
            said = "" if task.failure is None else task.failure.message
            if task.attempts or not said.startswith("untrusted text can reach "):
                continue
            outer: Task | Step = task
            while outer.frame is not None:
                outer = outer.frame.owner
            assert outer.worker is not None
            found.append((loop.orchestrator.name, outer.worker.name, task.worker.name))
    return found


def search(seeds: range) -> Counter[str]:
    """Run programs; a denial that the linter has not seen is an error, and so is a leak."""
    seen: Counter[str] = Counter()
    for seed in seeds:
        run = Planned(seed).run()
        flow = flow_of(run.program)
        for orchestrator, started, denied in denied_starts(run):
            places = [Place(kind, orchestrator, started) for kind in ("effect", "way_out")]
            assert any(map(flow.reaches, places)), (seed, orchestrator, started, denied, run.text)
            seen["denied inside" if denied != started else "denied"] += 1
        seen["effects"] += run.effects
        seen["inside"] += sum(
            task.frame is not None and task.status == "done" and task.worker.changes_something
            for loop in subtree(run.state.loop)
            for task in loop.every_task()
            if isinstance(task.worker, Worker)
        )
    return seen


@pytest.mark.parametrize("part", range(PARTS))
def test_no_leak_and_no_denial_that_the_linter_has_not_seen(part):
    seen = search(range(part, PROGRAMS, PARTS))
    least = min(seen[what] for what in ("denied", "denied inside", "effects", "inside"))
    assert least > PROGRAMS // PARTS // 25 or PROGRAMS < 500, seen


# ---------------------------------------------------------------- planted faults

_denial = clearance.denial
_is_tainted = taint.is_tainted


def only_of_what_a_planner_starts(state, task):
    return "" if task.frame is not None else _denial(state, task)


def what_a_plan_is_given_is_clean(state, origin):
    return not origin.inside and _is_tainted(state, origin)


FAULTS = {
    "plans vouch for what is inside": (clearance, "denial", only_of_what_a_planner_starts),
    "inputs of plans are clean": (taint, "is_tainted", what_a_plan_is_given_is_clean),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_planted_leak_is_found(fault, monkeypatch):
    owner, name, planted = FAULTS[fault]
    assert hasattr(owner, name)
    monkeypatch.setattr(owner, name, planted)
    with pytest.raises(Leak, match="reached"):
        search(range(2_000))


def test_a_denial_that_the_linter_has_not_seen_is_found(monkeypatch):
    monkeypatch.setattr(flows, "unchecked_inside", lambda *_: set())
    with pytest.raises(AssertionError, match="orch 1"):
        search(range(2_000))
