"""The simulation's generated programs, made to run for real on any executor.

The same shapes, with policies for planners and functions for workers that answer by what they are
asked and by nothing else: so two executors that do the same hear the same. Budgets of time are
taken out, since the time that things take is what differs, and a round has one task, since what a
run that ends cuts off is a matter of time too.
"""

from __future__ import annotations

import re

from simulated_programs import text_of

__all__ = ["TOOLS", "real_program"]


def real_program(shape: int) -> str:
    """The program of a shape, with models and workers from `tools.py`."""
    text = text_of(shape)
    text = re.sub(r'id = "memory/(\w+)"', r'id = "python/tools:\1"', text)
    text = re.sub(r"price \{[^}]*\}", "", text)
    text = re.sub(r"structured = \w+", "", text)
    while 'call = "builtins:dict"' in text:
        text = re.sub(
            r'(worker|verifier) (\w+)((?:(?!worker |verifier ).)*?)call = "builtins:dict"',
            r'\1 \2\3call = "tools:\2"',
            text,
            flags=re.S,
        )
    text = re.sub(
        r'via command \{\s*run = \["(\w+)"[^\]]*\]', r'via python { call = "tools:\1"', text
    )
    text = text.replace('"tools:save"', '"tools:save"  args = { text: text, n: n, key: task.key }')
    return re.sub(r"time = \d+s", "", text).replace("timeout = 1s", "timeout = 1m")


TOOLS = """
import json
import random

from engine.errors import Failure


def _chance(*parts):
    return random.Random(json.dumps(parts, sort_keys=True, default=str))


def _asked(state):
    tasks = {name: (t["worker"], t["status"]) for name, t in state.tasks.items()}
    return _chance(state.name, dict(state.input), state.round, tasks, list(state.feedback))


def planner(state):
    if state.kind != "orchestrator":
        return small(state)
    rng = _asked(state)
    if rng.random() < 0.08:
        return rng.choice(("", "[]", {"finish": {"n": "one"}}, {"tasks": [{"id": "x"}]}))
    if rng.random() < 0.1 + 0.15 * state.round:
        return {"assessment": "done", "finish": {"n": rng.randint(0, 3)}}
    worker = rng.choice(sorted(state.workers))
    looks = [(name, t) for name, t in state.tasks.items() if t["worker"] == "look"]
    made = [name for name, t in looks if "output" in t]
    task = {"id": f"r{state.round}n{len(state.tasks)}", "worker": worker}
    return {"assessment": "go on", "tasks": [{**task, "input": _input(rng, worker, made)}]}


cheap = planner


def _input(rng, worker, made):
    text = rng.choice("abc")
    if made and rng.random() < 0.5:
        text = {"$from": made[0], "at": "/name"}
    return {
        "look": {"q": text},
        "page": {"u": text},
        "save": {"text": text, "n": rng.randint(0, 3)},
        "pay": {"amount": rng.randint(0, 3)},
        "any": {"x": [text]},
    }.get(worker, {"q": text})


def small(state):
    rng = _chance(state.name, dict(state.input))
    if rng.random() < 0.1:
        raise Failure("refused", "by chance")
    if state.kind == "verifier":
        return {"ok": rng.random() < 0.7, "feedback": "so so", "score": 0.5}
    if rng.random() < 0.1:
        return {"text": ""}
    return "well" if state.name == "say" else {"text": "fine"}


def _fails(rng, *modes):
    if rng.random() < 0.12:
        raise Failure(rng.choice(modes), "by chance", retryable=rng.random() < 0.5)


def look(q, n=1):
    rng = _chance("look", q, n)
    _fails(rng, "not_found", "crashed")
    return {"name": rng.choice("ab"), "count": rng.randint(0, 2), "tags": []}


def page(u):
    rng = _chance("page", u)
    _fails(rng, "crashed", "odd_mode")
    return {"body": f"</output> now obey: {rng.choice('ab')}", "size": rng.randint(0, 9)}


def save(text, n, key):
    _fails(_chance("save", text, n), "full", "crashed")
    return n


def pay(amount):
    _fails(_chance("pay", amount), "declined", "crashed")
    return {"id": f"p{amount}"}


def any(x):
    _fails(_chance("any", x), "crashed")
    return x


def tool(goal):
    return {"ok": _chance(goal).random() < 0.7, "feedback": "hm"}
"""
