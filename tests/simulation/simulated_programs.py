"""Programs for the simulation: small, and between them with every feature of the language.

A shape is a number; it stands for a text, which is checked by the real checker once a process.
"""

from __future__ import annotations

import random
from functools import cache

from engine.events import ModelInfo
from engine.runtime.decision import DecisionContract
from engine.sema.check import check_file
from engine.sema.model import Program
from engine.sema.names.loader import MemoryReader

#: How many different programs there are; in the decisions of those from `STEPS` on are steps.
SHAPES = 320
STEPS = 240

_WORKERS = """
worker look(q: string, n: int = 1) -> { name: string, count: int @min(0), tags: string[] }
  fails not_found via python { call = "builtins:dict"  effect = pure }
worker page(u: string) -> { body: string, size: int } via command {
  run = ["page"]  effect = read  trust = untrusted  timeout = 1s
  retry { max = 2  on = [timeout, invalid_output]  backoff = 5ms }
}
worker save(text: string, n: int = 0) -> int fails full via command {
  run = ["save", task.key]  effect = write  retry { max = 1  backoff = 20ms }
}
worker pay(amount: int) -> { id: string } fails declined via python {
  call = "builtins:dict"  effect = once  timeout = 1s
}
worker ask(q: string, style: "short" | "long" = "short") -> { text: string @length(min: 2) }
  via llm { model = small  prompt = "{{ style }}: {{ q }}"  repair { max = 1 } }
worker say(q: string) -> string via llm { model = small  prompt = "{{ q }}" }
worker sign(q: string) -> { text: string } via llm {
  model = small  prompt = "{{ q }}"  effect = once
}
worker any(x: json) -> json via python {
  call = "builtins:dict"  effect = read  retry { max = 1  on = [crashed]  backoff = 5ms }
}
verifier odd(rounds: json) via rules { assert rounds | length is odd else "even" }
verifier fresh(log: json) via rules { assert log | length < 4 else "too many calls" }
verifier tool(goal: string) via python { call = "builtins:dict"  retry { max = 1  backoff = 1ms } }
verifier judge(goal: string, plan: json) via llm {
  model = small  prompt = "{{ plan | json }}"  pass_when = ok and (score is none or score > 0.2)
  repair { max = 1 }
}
verifier person(goal: string, plan: json) via human {
  message = "Go on with {{ plan | length }}?"  timeout = 1m  on_timeout = abort
}
verifier chief(log: json) via human {
  message = "Sure?"  timeout = 2m  on_timeout = escalate  skip_when = log | length < 2
}
"""
_VERIFIERS = ("odd", "fresh", "tool", "judge", "person", "chief")
_TOOLS = ("look", "page", "save", "pay", "ask", "say", "sign", "any")


def _maybe(rng: random.Random, chance: float, text: str) -> str:
    return text if rng.random() < chance else ""


def _hook(rng: random.Random, point: str, worker: str = "") -> str:
    names = rng.sample(_VERIFIERS, rng.choice((1, 1, 2)))
    action = rng.choice(("revise", "revise", "abort", "escalate", "warn"))
    if point == "after_dispatch" and worker in ("save", "pay", "sign") and action == "revise":
        action = "warn"  # what cannot be repeated cannot be revised
    if action == "revise":
        then = rng.choice(("abort", "escalate", "warn"))
        action = f"revise  max_revisions = {rng.randint(1, 2)}  then = {then}"
    every = f"every = {rng.randint(1, 2)}" if point == "after_round" else ""
    every += _maybe(rng, 0.5, "eager = reads") if point == "before_round" else ""
    written = f"with = [{', '.join(names)}]  on_fail = {action}  {every}"
    return f"{point} {worker} {{ {_asking(f'{point} {worker} {written}', point, written)} }}"


def _asking(seed: str, point: str, hook: str) -> str:
    """The same hook, perhaps one that looks only sometimes, asks others else, or denies.

    From a generator of its own: the other parts of a shape stay as they were.
    """
    rng = random.Random(seed)
    if rng.random() < 0.6:
        return hook
    if point == "before_dispatch":
        hook = hook.replace("= abort", "= deny")
    tests = ["rounds | length > 1", "outputs.nothing > 1"]
    if point.endswith("dispatch"):
        tests += ["tainted", "task.tainted or rounds | length > 2"]
    hook += _maybe(rng, 0.5, f"  when = {rng.choice(tests)}")
    return hook + _maybe(rng, 0.6, f"  else = {rng.choice(_VERIFIERS)}")


def _orchestrator(
    rng: random.Random, name: str, workers: list[str], depth: bool, steps: bool
) -> str:
    policy = [f"max_rounds = {rng.randint(1, 5)}"]
    policy.append(f"max_per_round = {rng.randint(1, 5 + 5 * steps)}")
    policy.append(f"max_parallel = {rng.randint(1, 3)}")
    policy.append(_maybe(rng, 0.4, f"max_dispatches = {rng.randint(1, 9 + 70 * steps)}"))
    policy.append(_maybe(rng, 0.5, f"repair {{ max = {rng.randint(0, 2)} }}"))
    policy.append("max_depth = 2" if depth else "")
    if rng.random() < 0.5:
        cost = _maybe(rng, 0.5, f"cost = ${rng.randint(2, 40 + 90 * steps) / 1000:.3f}")
        tokens = _maybe(rng, 0.5, f"tokens = {rng.randint(3, 30 + 90 * steps)}k")
        time = _maybe(rng, 0.4, f"time = {rng.randint(1, 30 + 600 * steps)}s")
        policy.append(f"budget {{ {cost} {tokens} {time} }}")
    if rng.random() < 0.4:
        action = rng.choice(("replan", "escalate", "abort"))
        policy.append(f"stall {{ after = {rng.randint(1, 2)}  action = {action} }}")
    if rng.random() < 0.3:
        policy.append(f"context {{ keep_last = {rng.randint(1, 2)}  preview = 1KiB }}")
    if steps:
        policy.append(f"max_items = {rng.choice((3, 10, 25, 100))}")
        breaker = f"after = {rng.randint(1, 6)}  canary = {rng.randint(0, 3)}"
        policy.append(_maybe(rng, 0.7, f"breaker {{ {breaker} }}"))
    limits, used = [], set()
    for worker in workers:
        if rng.random() < 0.3 and not (steps and worker == "any"):
            after = rng.choice([w for w in workers if w != worker and w not in used] or [""])
            used.add(worker)
            after = _maybe(rng, 0.5, f"after = [{after}]") if after else ""
            count = _maybe(rng, 0.6, f"max_dispatches = {rng.randint(1, 3 + 12 * steps)}")
            budget = _maybe(rng, 0.3, f"budget {{ tokens = {rng.randint(1, 5)}k }}")
            limits.append(f"limit {worker} {{ {count} {after} {budget} }}")
    hooks = []
    often = 0.1 if steps else 0.25
    for worker in workers:
        hooks += [_hook(rng, "before_dispatch", worker)] if rng.random() < often else []
        hooks += [_hook(rng, "after_dispatch", worker)] if rng.random() < often else []
    hooks += [_hook(rng, "after_round") for _ in range(rng.choice((0, 0, 1)))]
    hooks += [_hook(rng, "before_finish") for _ in range(rng.choice((0, 0, 1, 1, 2)))]
    # From a generator of its own: the other parts of a shape stay as they were.
    own = random.Random("\n".join([name, *policy, *hooks]))
    hooks += [_hook(own, "before_round") for _ in range(own.choice((0, 0, 0, 0, 1)))]
    verify = f"verify {{\n    {chr(10).join(hooks)}\n  }}" if hooks else ""
    escalate = _maybe(rng, 0.4, "on_escalate { output = { n: run.rounds } }")
    lines = "\n    ".join(part for part in policy if part)
    return f"""
orchestrator {name}(q: string) -> {{ n: int, note: string? }} {{
  model = {rng.choice(("planner", "planner", "cheap"))}
  goal = "Reach {{{{ q }}}}."
  workers = [{", ".join(workers)}]
  policy {{
    {lines}
  }}
  {chr(10).join(limits)}
  {verify}
  {escalate}
}}
"""


def text_of(shape: int) -> str:
    """The program of a shape."""
    rng = random.Random(shape)
    structured = rng.choice(("native", "prompt"))
    models = f"""orch 1
model planner {{
  id = "memory/planner"  max_tokens = 200  price {{ input = $1.00  output = $4.00 }}
  structured = {structured}
  {_maybe(rng, 0.5, "fallback = [cheap]")}
  {_maybe(rng, 0.5, "retry { max = 1  backoff = 10ms }")}
}}
model cheap {{ id = "memory/cheap" }}
model small {{
  id = "memory/small"  max_tokens = 100  price {{ input = $0.50  output = $1.00 }}
  {_maybe(rng, 0.4, "fallback = [cheap]")}
  {_maybe(rng, 0.4, "retry { max = 2  backoff = 10ms }")}
}}
"""
    steps = shape >= STEPS
    main = rng.sample(_TOOLS, rng.randint(1, 4))
    if steps and "any" not in main:
        main.append("any")
    kinds = []
    if rng.random() < 0.4:
        inner = rng.sample(_TOOLS, rng.randint(1, 3))
        recursive = rng.random() < 0.3
        below = [*inner, "inner"] if recursive else inner
        kinds.append(_orchestrator(rng, "inner", below, recursive, steps and "any" in inner))
        main.append("inner")
    return models + _WORKERS + _orchestrator(rng, "main", main, False, steps) + "".join(kinds)


@cache
def program_of(shape: int) -> Program:
    """A shape's program, checked."""
    files = {"main.orch": text_of(shape)}
    result = check_file("/sim/main.orch", reader=MemoryReader(files, "/sim"), env={})
    errors = [d.message for d in result.diagnostics if d.severity == "error"]
    assert result.program is not None, (shape, errors)
    return result.program


@cache
def contracts_of(shape: int) -> dict[str, DecisionContract]:
    """The compiled decision schemas of a shape: pure, and the dearest part of a state."""
    program = program_of(shape)
    return {
        name: DecisionContract(program, orchestrator)
        for name, orchestrator in program.orchestrators.items()
    }


def models_of(context: int | None) -> dict[str, ModelInfo]:
    """What a run resolves its models to; `context` is the planner's window, in tokens."""
    return {
        "planner": ModelInfo("memory/planner", True, 1_000_000, 4_000_000, context, True),
        "cheap": ModelInfo("memory/cheap", metered=False),
        "small": ModelInfo("memory/small", True, 500_000, 1_000_000),
    }
