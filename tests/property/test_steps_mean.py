"""Random decisions with steps: whatever the order of ends, the machine gives what they mean.

`ORCH_PLANS=N` sets how many decisions are tried.
"""

from __future__ import annotations

import os
import random
from functools import cache
from hashlib import blake2b

import msgspec
import pytest
from step_oracle import Loose, Oracle, text
from step_runs import StepRun, program_with

from engine.errors import Failure
from engine.events import CallFinished, CancelRequested
from engine.runtime.machine import fold
from engine.runtime.steps.filling import view_of
from engine.sema.plans.json_form import read_step

PLANS = int(os.environ.get("ORCH_PLANS", "240"))
PARTS = 4
_encode = msgspec.json.Encoder(order="sorted").encode
_POINTERS = ("", "", "/a", "/b", "/l", "/l/0", "/x")


@cache
def program(rounds=9):
    quiet = "breaker { after = 1000  canary = 0 }"
    return program_with(f"max_parallel = 3  max_rounds = {rounds}  {quiet}")


def _canonical(value):
    """A value as bytes, without the words of failures: those are the engine's."""
    return _encode(_without_messages(value))


def _without_messages(value):
    if isinstance(value, dict):
        return {k: _without_messages(v) for k, v in value.items() if k != "message"}
    if isinstance(value, list | tuple):
        return [_without_messages(one) for one in value]
    return value


def chance_of(*what):
    """Chance that is the same for the same question."""
    return random.Random(blake2b(_canonical(what), digest_size=8).digest())


def value_of(rng, depth=2):
    kinds = ["null", "int", "float", "text", "bool", *(("list", "map", "map") if depth else ())]
    match rng.choice(kinds):
        case "null":
            return None
        case "int":
            return rng.randint(-2, 3)
        case "float":
            return rng.choice((0.5, 1.0, 2.0))
        case "text":
            return rng.choice(("", "a", "b", "ä", "B"))
        case "bool":
            return rng.random() < 0.5
        case "list":
            return [value_of(rng, depth - 1) for _ in range(rng.randint(0, 4))]
    return {
        "a": value_of(rng, 0),
        **({"b": value_of(rng, 0)} if rng.random() < 0.7 else {}),
        **({"l": [value_of(rng, 0) for _ in range(rng.randint(0, 3))]} if depth > 1 else {}),
    }


def outcome_of(seed, again=0):
    """What workers give. Each time they are tried `again`, more of them do what they had not."""

    def outcome(worker, input):
        # An input that is left out is null where it has no other default.
        given = {name: value for name, value in input.items() if value is not None}
        rng = chance_of(seed, worker, given)
        works = any(chance_of(n, worker, given).random() < 0.5 for n in range(1, again + 1))
        if rng.random() < 0.15 and not works:
            # Of two calls of a `reduce` that fail, the first is told.
            modes = ("crashed",) if worker == "fold" else ("crashed", "timeout")
            return Failure(rng.choice(modes), "by chance")
        if worker == "list":
            return [value_of(rng) for _ in range(rng.choice((0, 1, 3, 7)))]
        if worker == "text":
            return {"text": input["v"], "size": len(input["v"])}
        if worker == "fold":
            return {"a": len(input["parts"]), "parts": input["parts"][:2]}
        return input["v"] if rng.random() < 0.5 else value_of(rng)

    return outcome


class Plans:
    """A random decision."""

    def __init__(self, seed):
        self.rng = random.Random(seed)
        self.entries = []
        self.eaches = []
        for number in range(self.rng.randint(2, 8)):
            self.entry(f"e{number}")
        self.rng.shuffle(self.entries)

    def entry(self, name):
        rng = self.rng
        before = [entry["id"] for entry in self.entries]
        if not before or rng.random() < 0.15:
            entry = {"id": name, "worker": "list", "input": {"q": rng.choice("abcdef")}}
        else:
            kind = rng.choice(("task", "each", "each", "each", "reduce"))
            if kind == "reduce":
                entry = {
                    "id": name, "worker": "fold", "reduce": self.selection(before),
                    "size": rng.randint(2, 4), "input": {"parts": {"$parts": True}},
                    "empty": rng.choice((None, [], "none")),
                }  # fmt: skip
                if rng.random() < 0.2:
                    entry["input"]["w"] = self.reference(before)
            else:
                worker = rng.choice(("get", "get", "calc", "text", "put"))
                entry = {"id": name, "worker": worker}
                inside = kind == "each"
                if inside:
                    entry["each"] = self.selection(before)
                    if rng.random() < 0.2:
                        entry["tolerate"] = rng.choice((0, 1, 2, 0.3, 0.5, 0.9))
                    if rng.random() < 0.2:
                        entry["parallel"] = rng.randint(1, 9)
                    if rng.random() < 0.1:
                        entry["in_order"] = True
                    self.eaches.append(name)
                entry["input"] = {"v": self.value(before, inside, worker)}
                if worker in ("get", "put") and rng.random() < 0.3:
                    entry["input"]["w"] = self.value(before, inside)
        if before and rng.random() < 0.25:
            entry["when"] = self.test(before, inside=False)
        if before and rng.random() < 0.15:
            entry["after"] = [rng.choice(before)]
        self.entries.append(entry)

    def selection(self, before):
        rng = self.rng
        if rng.random() < 0.2:
            selection = {"$from": [rng.choice(before) for _ in range(rng.randint(1, 3))]}
        else:
            selection = {"$from": rng.choice(before)}
        eaches = (
            {selection["$from"]} if isinstance(selection["$from"], str) else {*selection["$from"]}
        )
        if eaches <= {*self.eaches} and rng.random() < 0.4:
            selection[rng.choice(("pairs", "failures"))] = True
        elif rng.random() < 0.15:
            selection["at"] = rng.choice(_POINTERS)
            if rng.random() < 0.3:
                selection["entries"] = True
        if rng.random() < 0.15:
            selection["flatten"] = rng.choice((True, "/l", "/l", "/output/l"))
        if rng.random() < 0.3:
            selection["where"] = self.test(before, inside=True)
        if rng.random() < 0.15:
            selection["unique_by"] = rng.choice(_POINTERS)
        if rng.random() < 0.2:
            selection["sort_by"] = rng.choice(_POINTERS)
            if rng.random() < 0.5:
                selection["desc"] = True
        if rng.random() < 0.15:
            selection["take"] = rng.randint(0, 3)
        return selection

    def reference(self, before):
        rng = self.rng
        name = rng.choice(before)
        if name in self.eaches and rng.random() < 0.3:
            return {"$from": f"{name}[{rng.randint(0, 3)}]"}
        if name in self.eaches and rng.random() < 0.3:
            return {"$from": name, rng.choice(("pairs", "failures")): True}
        at = rng.choice(("", "", "/0", "/a"))
        return {"$from": name, "at": at} if at else {"$from": name}

    def value(self, before, inside, worker=""):
        rng = self.rng
        kinds = ("item", "item", "item", "index") if inside else ("literal",)
        if worker == "text" and inside:
            kinds = ("item",)
        match rng.choice((*kinds, "reference")):
            case "item":
                return {"$item": rng.choice(_POINTERS)}
            case "index":
                return {"$index": True}
            case "reference":
                return self.reference(before)
        return rng.choice(("a", "b"))

    def test(self, before, *, inside):
        rng = self.rng
        groups = []
        for _ in range(rng.randint(1, 2)):
            group = []
            for _ in range(rng.randint(1, 2)):
                operator = rng.choice(
                    ("==", "!=", "<", "<=", ">", ">=", "in", "empty", "ok", "failed")
                )
                if operator in ("ok", "failed"):
                    group.append({"value": {"$from": rng.choice(before)}, "is": operator})
                    continue
                value = self.reference(before)
                if inside:
                    value = rng.choice(({"$item": rng.choice(_POINTERS)}, {"$index": True}))
                condition = {"value": value, "is": operator}
                if operator != "empty":
                    condition["than"] = rng.choice(
                        {"==": (1, "a", None, True), "!=": (1.0, "ab", False, [1])}.get(
                            operator, ([1, "a"], "ab") if operator == "in" else (0, 1, 1.0, "a")
                        )
                    )
                    if rng.random() < 0.15:
                        condition["than"] = self.reference(before)
                group.append(condition)
            groups.append(group)
        return groups


def check(oracle, run, name, where):
    try:
        meant = oracle.end(name)
    except Loose:
        return False
    entry = run[name]
    mode = entry.failure.mode if entry.failure else ""
    assert (entry.status, mode) == (meant.status, meant.mode), where
    if meant.loose:
        return True
    assert _canonical(entry.output) == _canonical(meant.output), where
    if meant.each:
        for view in ("outputs", "pairs", "failures"):
            assert _canonical(view_of(entry, view)) == _canonical(meant.view(view)), (where, view)
        assert {text(n) for n in entry.items} == {text(n) for n in meant.items}, where
    return True


@pytest.mark.parametrize("part", range(PARTS))
def test_the_machine_gives_what_a_decision_means(part):
    accepted = compared = 0
    for seed in range(part, PLANS, PARTS):
        decision = Plans(seed).entries
        specs = {entry["id"]: read_step(entry) for entry in decision}
        outcome = outcome_of(seed)
        for order in ("first", "last", seed):
            run = StepRun(program(), [decision], outcome, order).run()
            if run.loop.rounds[0].rejected:
                break
            assert run.end.status == "finished", (seed, run.end)
            accepted += 1
            oracle = Oracle(specs, outcome, frozenset({"text.v"}))
            for name in specs:
                compared += check(oracle, run, name, (seed, order, name))
        else:
            again = fold(program(), run.journal)
            assert again.root.steps.keys() == run.loop.steps.keys()
    assert accepted > PLANS / PARTS
    assert compared > 2 * accepted


def begun(seed, rounds=9):
    """A run of a random decision that was accepted, its decision and its entries; or None."""
    decision = Plans(seed).entries
    specs = {entry["id"]: read_step(entry) for entry in decision}
    run = StepRun(program(rounds), [decision], outcome_of(seed), seed).run()
    return None if run.loop.rounds[0].rejected else (run, decision, specs)


@pytest.mark.parametrize("part", range(PARTS))
def test_a_run_that_is_cut_off_anywhere_continues_to_the_same_end(part):
    for seed in range(part, PLANS, PARTS):
        found = begun(seed)
        if found is None:
            continue
        run, decision, specs = found
        rng = random.Random(seed)
        again = run
        for _ in range(rng.randint(1, 3)):
            at = rng.randint(1, len(again.journal) - 2)
            decided = any(isinstance(e, CallFinished) for e in again.journal[:at])
            again = again.resumed(at, [] if decided else [decision])
            if again.state.ended:
                break
            again.drive(rng.choice((3, 20, 1_000)))
        again.drive()
        assert again.end.status == "finished"
        oracle = Oracle(specs, outcome_of(seed), frozenset({"text.v"}))
        for name in specs:
            check(oracle, again, name, (seed, name))


@pytest.mark.parametrize("part", range(PARTS))
def test_a_retry_gives_what_the_decision_means_with_what_works_now(part):
    """Whether the run has ended by itself or was stopped; what is done stays, and is not called."""
    for seed in range(part, PLANS, PARTS):
        found = begun(seed, rounds=1)
        if found is None:
            continue
        run, decision, specs = found
        if any(entry["worker"] == "put" for entry in decision):
            continue  # a write that is done keeps its result, whatever has changed
        rng = random.Random(seed)
        stopped = rng.random() < 0.5
        if stopped:
            run = StepRun(program(1), [decision], outcome_of(seed), seed)
            run.begin()
            run.drive(rng.randint(2, 12))
            if not run.state.ended:
                run.happen(CancelRequested(reason="enough"))
        asked = [] if run.loop.rounds[0].decision else [decision]
        done = [_encode(call) for call in run.finished]
        last = run
        for again in (1, 2):
            last = last.retried(outcome_of(seed, again), asked)
            last.drive()
            asked = []
            repeated = [call for call in last.calls if _encode(call) in done]
            assert not repeated, (seed, again, repeated)
            done += [_encode(call) for call in last.finished]
            oracle = Oracle(specs, outcome_of(seed, again), frozenset({"text.v"}))
            for name in specs:
                check(oracle, last, name, (seed, again, stopped, name))
