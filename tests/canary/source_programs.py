"""Random programs for the oracle of sources: plan workers with every kind of step, orchestrators of
two levels, people who edit inputs and plans.

Each text has a token that says whose it is: `C` a stranger's, `F` one that a trusted worker made,
`P` a planner's, `L` one of the file, `H` a person's. Workers hand on whatever they are given.
"""

from __future__ import annotations

import itertools
import random
import re
from collections.abc import Iterator

from engine.runtime.decision import DecisionContract
from engine.sema.check import check_file
from engine.sema.model import Program
from engine.sema.names.loader import MemoryReader

_TOKEN = re.compile(r"[CFPLH]\d+Z")

_HEAD = """orch 1
model planner { id = "memory/planner" }
schema Page { text: string, rows: string[], n: int }
schema Order { to: string, memo: string = "L1Z" }
worker read(q: string) -> Page fails gone via python {
  call = "builtins:dict"  effect = read  trust = untrusted
}
worker fact(q: string) -> Page fails gone via python { call = "builtins:dict"  effect = read }
worker copy(x: json, y: string = "L2Z") -> { got: json, own: string } fails gone via python {
  call = "builtins:dict"  effect = read
}
worker same(x: json) -> json via python { call = "builtins:dict"  effect = read }
worker join(parts: json) -> string via python { call = "builtins:dict"  effect = read }
worker note(order: Order, tags: string[] = ["L3Z"], n: int = 0) -> string via python {
  call = "builtins:dict"  effect = read
}
verifier person(goal: string) via human { message = "So?" }
"""
#: The workers that decisions call, with what is in their outputs, as JSON Pointers.
CALLED = {
    "read": ("", "/text", "/rows/0", "/rows/1"),
    "fact": ("", "/text", "/rows/0"),
    "copy": ("", "/got", "/own"),
    "same": ("",),
    "join": ("",),
    "note": ("",),
}


def tokens(text: object) -> set[str]:
    """The tokens in a text, or in the text of a value."""
    return set(_TOKEN.findall(str(text)))


class _Plan:
    """A plan worker, by chance."""

    def __init__(self, rng: random.Random, name: str, number: Iterator[int], others: list[str]):
        self.rng = rng
        self.name = name
        self.number = number
        self.others = others
        self.lists = ["c", "b.rows"]
        self.texts = ["a", "b.text"]
        self.values = ["b"]
        self.eaches: list[str] = []

    def literal(self) -> str:
        return f'"L{10 + next(self.number)}Z"'

    def text(self, *more: str) -> str:
        """An expression that gives a text."""
        rng = self.rng
        one = rng.choice([*self.texts, *more, self.literal()])
        return f"{one} ~ {self.literal()}" if rng.random() < 0.15 else one

    def value(self, *more: str) -> str:
        """An expression that gives anything."""
        rng = self.rng
        if rng.random() < 0.4:
            return f"{{ k: {self.text(*more)}, v: [{self.text(*more)}, {self.literal()}] }}"
        return rng.choice([*self.values, *self.lists, *more, self.text(*more)])

    def call(self, *more: str) -> tuple[str, str]:
        """A call, and the name of its worker."""
        rng = self.rng
        worker = rng.choice(("read", "fact", "copy", "copy", "note", "join", "same"))
        if self.others and rng.random() < 0.2:
            worker = rng.choice(self.others)
            b = f"{{ text: {self.text(*more)}, rows: {rng.choice(self.lists)} }}"
            return f"{worker}(a={self.text(*more)}, b={b}, c={rng.choice(self.lists)})", worker
        if worker in ("read", "fact"):
            given = f"q={self.text(*more)}"
        elif worker == "copy":
            given = f"x={self.value(*more)}"
            given += f", y={self.text(*more)}" if rng.random() < 0.5 else ""
        elif worker == "note":
            memo = f", memo: {self.text(*more)}" if rng.random() < 0.5 else ""
            given = f"order={{ to: {self.text(*more)}{memo} }}"
            given += f", tags=[{self.text(*more)}]" if rng.random() < 0.5 else ""
        elif worker == "join":
            given = f"parts=[{self.text(*more)}, {self.value(*more)}]"
        else:
            given = f"x={self.value(*more)}"
        return f"{worker}({given})", worker

    def step(self, name: str) -> str:
        rng = self.rng
        kind = rng.choice(("call", "call", "each", "each", "pairs", "reduce", "repeat"))
        if kind == "pairs" and self.eaches:
            view = rng.choice(("pairs", "pairs", "failures"))
            field = rng.choice(("item", "item.item"))
            return (
                f"step {name} {{ each = {rng.choice(self.eaches)}.{view}  call = same(x={field}) }}"
            )
        if kind in ("each", "pairs"):
            call, _ = self.call("item")
            self.eaches.append(name)
            self.values.append(name)
            return f"step {name} {{ each = {rng.choice(self.lists)}  call = {call} }}"
        if kind == "reduce":
            self.texts.append(name)
            source = rng.choice(self.lists)
            source += f" + {rng.choice(self.lists)}" if rng.random() < 0.4 else ""
            return (
                f"step {name} {{ reduce = {source}  size = 2  empty = {self.literal()}"
                f"  call = join(parts=parts) }}"
            )
        if kind == "repeat":
            start = rng.choice((self.value(), f"{{ m: {self.text()}, n: {self.literal()} }}"))
            self.values.append(name)
            return (
                f'step {name} {{\n    repeat {{ max = 2  until = {name}z == "no"  start = {start}'
                f"  gives = {name}z  settle = true }}\n"
                f"    step {name}z {{ call = same(x=last) }}\n  }}"
            )
        call, worker = self.call()
        self.values.append(name)
        if worker in ("read", "fact"):
            self.texts.append(f"{name}.text")
            self.lists.append(f"{name}.rows")
        elif worker in ("note", "join"):
            self.texts.append(name)
        elif worker == "copy":
            self.texts.append(f"{name}.own")
        return f"step {name} {{ call = {call} }}"

    def declaration(self) -> str:
        steps = "\n  ".join(self.step(f"s{i}") for i in range(self.rng.randint(1, 4)))
        result = self.rng.choice((self.values[-1], f"{{ all: {self.value()} }}"))
        return (
            f"worker {self.name}(a: string, b: {{ text: string, rows: string[] }}, c: string[]) "
            f"-> json via plan {{\n  max_items = 100\n  {steps}\n  result = {result}\n}}\n"
        )


def _orchestrator(rng: random.Random, name: str, workers: list[str], edits: bool) -> str:
    hooks = ""
    if edits:
        gates = [f"before_dispatch {worker} {{ with = person }}" for worker in ("note", "copy")]
        gates = [gate for gate in gates if rng.random() < 0.5]
        gates += ["before_round { with = person }"] if rng.random() < 0.5 else []
        hooks = "verify {\n    " + "\n    ".join(gates) + "\n  }" if gates else ""
    inputs = "q: string" if name == "main" else "q: string, more: json"
    more = "" if name == "main" else " {{ more | json }}"
    rounds = 4 if name == "main" else 2
    return f"""orchestrator {name}({inputs}) -> json {{
  model = planner  goal = "Do {{{{ q }}}}.{more}"  workers = [{", ".join(workers)}]
  policy {{ max_rounds = {rounds}  max_per_round = 4  max_items = 60 }}
  {hooks}
}}
"""


def source_program(seed: int) -> tuple[str, Program, dict[str, DecisionContract]]:
    """The program of a seed."""
    rng = random.Random(seed)
    number = itertools.count()
    plans: list[str] = []
    parts = [_HEAD]
    for i in range(rng.randint(0, 3)):
        parts.append(_Plan(rng, f"p{i}", number, list(plans)).declaration())
        plans.append(f"p{i}")
    workers = [*CALLED, *plans]
    main = list(workers)
    if rng.random() < 0.5:
        parts.append(_orchestrator(rng, "sub", workers, rng.random() < 0.3))
        main.append("sub")
    parts.append(_orchestrator(rng, "main", main, rng.random() < 0.6))
    text = "".join(parts)
    result = check_file("/t/main.orch", reader=MemoryReader({"main.orch": text}, "/t"), env={})
    errors = [(d.message, d.span) for d in result.diagnostics if d.severity == "error"]
    assert result.program is not None, (seed, errors, text)
    program = result.program
    contracts = {
        name: DecisionContract(program, orchestrator)
        for name, orchestrator in program.orchestrators.items()
    }
    return text, program, contracts
