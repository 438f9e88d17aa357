"""Random programs of up to three levels of orchestrators: where untrusted text is read, what it may
pass through, and effects that it must not reach.

Each is a text, read by the real checker: what a leak is found in can be run as a file. Workers are
picked from `KINDS`: for each kind of output one that gives a stranger's words (`u_...`), and one
that is trusted (`t_...`) and says again whatever it was told. Parts that many programs share are
parsed once; everything else of a check is done for each program.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from functools import lru_cache
from typing import Any, NamedTuple

from engine.runtime.decision import DecisionContract
from engine.sema.check import check_file
from engine.sema.model import Program
from engine.sema.names.cache import CheckCache, _Kept
from engine.sema.names.loader import MemoryReader
from engine.syntax.reuse import ParseCache

#: What untrusted text looks like; task ids may look so too.
MARK = "C4N4RY"
#: What the untrusted param holds.
PARAM = f"{MARK}0Z"

_TEXT = {"type": "string"}
_INT = {"type": "integer"}
_OUTSIDE: dict[str, Any] = {
    "Row": {"type": "array", "prefixItems": [_TEXT], "items": _INT},
    "Bag": {
        "type": "object",
        "properties": {"n": _INT},
        "patternProperties": {"^x_": _TEXT},
        "additionalProperties": False,
    },
    "Map": {"type": "object", "additionalProperties": _INT},
    "Open": {"type": "object", "properties": {"n": _INT}},
    "Cond": {
        "type": "object",
        "properties": {"kind": {"enum": ["a"]}},
        "if": {"properties": {"kind": {"const": "a"}}},
        "then": {"properties": {"note": _TEXT}},
        "unevaluatedProperties": _INT,
    },
    "Dep": {
        "type": "object",
        "properties": {"kind": {"enum": ["a"]}},
        "dependentSchemas": {"kind": {"properties": {"note": _TEXT}}},
        "unevaluatedProperties": _INT,
    },
    "All": {
        "type": "object",
        "allOf": [{"properties": {"note": _TEXT}}],
        "unevaluatedProperties": _INT,
    },
    "Tail": {"type": "array", "prefixItems": [_INT], "unevaluatedItems": _TEXT},
    "Has": {"type": "array", "contains": _INT},
    "Bare": {"maximum": 5},
    "Yes": True,
    "Either": {"oneOf": [_INT, _TEXT]},
    "Both": {"type": ["integer", "string"]},
    "Refd": {"$ref": "#/$defs/Word"},
    "Word": _TEXT,
    "Nest": {
        "type": "object",
        "properties": {"row": {"$ref": "#/$defs/Row"}, "n": _INT},
        "additionalProperties": False,
    },
}


class Kind(NamedTuple):
    """A kind of output: its type, a value with a word in it, and where words stand."""

    type: str
    value: Callable[[str], Any]
    pointers: tuple[str, ...] = ("",)


KINDS: dict[str, Kind] = {
    "text": Kind("string", lambda w: w),
    "rec": Kind("{ title: string, n: int }", lambda w: {"title": w, "n": 1}, ("", "/title")),
    "list": Kind("string[]", lambda w: ["x", w], ("", "/1")),
    "json": Kind("json", lambda w: {"deep": [w]}, ("", "/deep/0")),
    "opt": Kind("string?", lambda w: w),
    "nums": Kind("{ n: int, ok: bool }", lambda w: {"n": 1, "ok": True}, ("",)),
    "pick": Kind('"a" | "b"', lambda w: "a"),
    "count": Kind("int", lambda w: 3),
    "row": Kind("Row", lambda w: [w, 1], ("", "/0")),
    "bag": Kind("Bag", lambda w: {"n": 1, "x_" + w: w, "x_note": w}, ("", "/x_note")),
    "map": Kind("Map", lambda w: {w: 1}),
    "open": Kind("Open", lambda w: {"n": 1, "note": w}, ("", "/note")),
    "cond": Kind("Cond", lambda w: {"kind": "a", "note": w}, ("", "/note")),
    "dep": Kind("Dep", lambda w: {"kind": "a", "note": w}, ("", "/note")),
    "all": Kind("All", lambda w: {"note": w}, ("", "/note")),
    "tail": Kind("Tail", lambda w: [1, w], ("", "/1")),
    "has": Kind("Has", lambda w: [1, w], ("", "/1")),
    "bare": Kind("Bare", lambda w: w),
    "yes": Kind("Yes", lambda w: w),
    "either": Kind("Either", lambda w: w),
    "both": Kind("Both", lambda w: w),
    "refd": Kind("Refd", lambda w: w),
    "nest": Kind("Nest", lambda w: {"row": [w, 2], "n": 1}, ("", "/row/0")),
    "note": Kind("Note", lambda w: {"id": 1, "text": w}, ("", "/text")),
    "said": Kind("Said", lambda w: w),
    "told": Kind("string @untrusted", lambda w: w),
}
#: Those that a file does not mark; and those of strangers, the plain ones most often.
_PLAIN = tuple(kind for kind in KINDS if kind not in ("note", "said", "told"))
_STRANGE = (*("text", "rec", "json", "list") * 5, *_PLAIN)
#: Kinds of sub-orchestrators' results.
RESULTS: dict[str, Kind] = {
    "text": KINDS["text"],
    "json": KINDS["json"],
    "note": KINDS["note"],
    "said": KINDS["said"],
    "count": KINDS["count"],
    "row": KINDS["row"],
    "both": Kind("{ n: int, note: string? }", lambda w: {"n": 1, "note": w}, ("", "/note")),
}

_HEAD = """orch 1
model planner { id = "memory/planner"  fallback = [policy] }
model policy { id = "memory/policy" }
model small { id = "memory/small" }
schema Note { id: int, text: string @untrusted }
schema Said = string @untrusted
"""
_PARAM = f'param hint: string @untrusted = "{PARAM}"\n'

_TRUSTED = {
    "say": """worker say(q: string) -> string fails gone via llm {
  model = small  prompt = "{{ q }}"  repair { max = 1 }
}
""",
    "tell": """worker tell(n: int) -> string fails gone via llm {
  model = small  prompt = "Say {{ n }}."
}
""",
    "hinted": """worker hinted(n: int) -> string via llm {
  model = small  prompt = "{{ param.hint }}"
}
""",
    "spare": """worker spare(q: string) -> string fails gone via python {
  call = "builtins:dict"  effect = pure  fallback = [u_pure]
}
worker u_pure(q: string) -> string fails gone via python {
  call = "builtins:dict"  effect = pure  trust = untrusted
}
""",
    "again": """worker again(x: json) -> json fails gone via python {
  call = "builtins:dict"  effect = pure
}
""",
}
EFFECTS = {
    "save": """worker save(text: string, n: int = 0) -> int fails gone via command {
  run = ["save", task.key]  effect = write
}
""",
    "pay": """worker pay(to: string, amount: int) -> { id: string } fails gone via python {
  call = "builtins:dict"  effect = once  timeout = 1s
}
""",
    "post": """worker post(body: json) -> string fails gone via python {
  call = "builtins:dict"  effect = once  trust = untrusted  timeout = 1s
}
""",
    "sign": """worker sign(q: string) -> string fails gone via llm {
  model = small  prompt = "{{ q }}"  effect = write
}
""",
    "file": """worker file(body: json) -> int fails gone via command {
  run = ["file", task.key]  effect = write
}
""",
    "ring": """worker ring(n: int) -> int fails gone via command {
  run = ["ring", task.key]  effect = write
}
""",
}
_VERIFIERS = {
    "quote_all": """verifier quote_all(outputs: json, tasks: json) via rules {
  assert tasks == 0 else "seen {{ tasks | json }} {{ outputs | json }}"
}
""",
    "quote_goal": """verifier quote_goal(goal: string) via rules { assert goal == "" else goal }
""",
    "quote_plan": """verifier quote_plan(plan: json) via rules {
  assert plan == 0 else "not {{ plan | json }}"
}
""",
    "quote_log": """verifier quote_log(log: json, rounds: json) via rules {
  assert log == 0 else (log | json) ~ (rounds | json)
}
""",
    "quote_out": """verifier quote_out(output: json) via rules {
  assert output == "no" else "not {{ output | json }}"
}
""",
    "quote_in": """verifier quote_in(input: json) via rules {
  assert input == "no" else "not {{ input | json }}"
}
""",
    "tool": """verifier tool(tasks: json) via python { call = "builtins:dict" }
""",
    "look": """verifier look(input: json) via python { call = "builtins:dict" }
""",
    "judge": """verifier judge(plan: json) via llm { model = small  prompt = "{{ plan | json }}" }
""",
    "person": """verifier person(goal: string) via human {
  message = "{{ goal }}?"  timeout = 1m  on_timeout = abort
}
""",
}
_TAINT_TESTS = (
    "tainted", "task.tainted", "tainted or rounds | length > 1", "tainted and rounds | length > 1",
    "not tainted", 'task.sources | selectattr("tainted") | list | length > 0',
)  # fmt: skip
_ANYWHERE = ("quote_all", "quote_goal", "quote_plan", "quote_log", "tool", "judge", "person")
_ESCALATIONS = {
    "text": ('"no: " ~ run.reason', "run.goal", "run.reason ~ run.goal"),
    "json": ("run.reason", "{ why: [run.reason], goal: run.goal }"),
    "note": ("{ id: 1, text: run.reason }",),
    "said": ("run.reason",),
    "count": ("run.rounds",),
    "row": ("[run.reason, 1]",),
    "both": ("{ n: run.rounds, note: run.reason }",),
}
_INPUTS = (
    ("q: string", "Do {{ q }}."),
    ("q: string", "Do {{ q }}."),
    ("q: string", "Do {{ q }}."),
    ("q: string, n: int = 0", "Do {{ q | untrusted }} {{ n }} times."),
    ("n: int", "Do {{ n }}."),
    ("n: int", "Do {{ n }}."),
)
_FAILING = ("q: string", "Do {{ { 'a': 1 }[q] }}.")
_STRANGE_INPUTS = (("q: string @untrusted", "Do {{ q }}."), ("q: Note", "Do {{ q }}."))


def _member(name: str) -> str:
    """The declaration of a worker."""
    for known in (_TRUSTED, EFFECTS):
        if name in known:
            return known[name]
    side, _, kind = name.partition("_")
    trust = "trust = untrusted" if side == "u" else ""
    return f"""worker {name}(q: string) -> {KINDS[kind].type} fails gone via python {{
  call = "builtins:dict"  effect = read  {trust}
}}
"""


#: Where a program's strangers are, by how often: one place, so that no other hides what it leaks.
_SOURCES = (
    ("reader", 34), ("marked", 10), ("result", 16), ("input", 8), ("param", 7), ("spare", 20),
    ("post", 5),
)  # fmt: skip
_TEXT_EFFECTS = ("save", "pay", "sign", "file", "file")
#: What a program is after: how the orchestrator ends that reads a stranger's words, or who is told
#: of them by a check. Everything beside it is chance.
_PLOTS = (
    "none", "abort", "escalate", "time", "told", "told", "retold", "retold", "rest", "id", "early",
    "early", "yes", "yes", "pure", "pure",
)  # fmt: skip


class _Maker:
    """One program, by chance."""

    def __init__(
        self, rng: random.Random, hook_rng: random.Random, show_rng: random.Random
    ) -> None:
        self.rng = rng
        self.shows = show_rng  # of its own: what is shown changes nothing else of a program
        self.showing = show_rng.choice(("", "", "", "some", "few", "none"))
        self.hook_rng = hook_rng
        self.parts: dict[str, str] = {}
        self.orchestrators: list[str] = []
        names, weights = zip(*_SOURCES, strict=True)
        self.sources = set(rng.choices(names, weights, k=1 if rng.random() < 0.9 else 2))
        self.param = "param" in self.sources
        self.plot = rng.choice(_PLOTS)
        if self.plot in ("rest", "pure"):
            self.sources = {"post" if self.plot == "rest" else "spare"}
        elif self.plot in ("told", "retold", "early", "yes"):
            self.sources = {"reader"}
        self.checked = rng.random() < 0.4
        self.firm = rng.random() < 0.25

    def text(self) -> str:
        """The program."""
        rng = self.rng
        names = ["main", "mid", "leaf"][: rng.choice((1, 2, 2, 2, 2, 3, 3, 3))]
        if self.plot in ("rest", "retold") and len(names) == 1:
            names = ["main", "mid"]
        self.names = names
        self.home = names[-1] if rng.random() < 0.7 else rng.choice(names)
        if self.plot in ("rest", "retold"):
            self.home = names[-1]
        if self.plot == "id":
            self.home = "main"
        for depth in reversed(range(len(names))):
            below = names[depth + 1 :]
            children = below[:1] if rng.random() < 0.8 else below
            self.orchestrator(names[depth], children)
        outside = "".join(
            f'schema {name} from "{name}.json#/$defs/{name}"\n'
            for name in _OUTSIDE
            if any(f"-> {name} " in part for part in [*self.parts.values(), *self.orchestrators])
        )
        param = _PARAM if self.param else ""
        return _HEAD + param + outside + "".join(self.parts.values()) + "".join(self.orchestrators)

    def members(self, name: str) -> list[str]:
        rng = self.rng
        found = []
        if name == self.home:
            if "reader" in self.sources:
                found.append(f"u_{rng.choice(_STRANGE)}")
            if "marked" in self.sources:
                found.append(rng.choice(("t_note", "t_said", "t_told")))
            if self.plot == "rest":
                found.append("tell")
            found += [source for source in ("spare", "post") if source in self.sources]
        if rng.random() < 0.5:
            found.append(rng.choice(("say", "tell", "tell", "again")))
        if name == self.home and self.plot in ("told", "retold", "early", "pure"):
            found += ["tell", rng.choice(_TEXT_EFFECTS)]
        if name != self.home and self.plot == "id":
            found += [rng.choice(_TEXT_EFFECTS), "ring"]
        if rng.random() < 0.15:
            found.append(f"t_{rng.choice(_PLAIN)}")
        if self.param and rng.random() < 0.5:
            found.append("hinted")
        if name == "main" or rng.random() < 0.4:
            found.append(rng.choice(_TEXT_EFFECTS))
        if rng.random() < 0.15:
            found.append("ring")
        return list(dict.fromkeys(found)) or ["say"]

    def orchestrator(self, name: str, children: list[str]) -> None:
        rng = self.rng
        members = self.members(name)
        for member in members:
            self.parts.setdefault(member, _member(member))
        inputs, goal = rng.choice(_INPUTS) if rng.random() < 0.95 else _FAILING
        if self.plot == "id" and name != "main":
            inputs, goal = "n: int", "Do {{ n }}."
        result = rng.choice(("text", "text", "json", "both", "both", "row", "count"))
        if self.plot == "retold" and result == "count":
            result = "text"
        if name == "main" or self.plot == "rest":
            result = "text"
        if name == "main":
            if "input" in self.sources:
                inputs, goal = rng.choice(_STRANGE_INPUTS)
        elif "result" in self.sources and name == self.names[1]:
            result = rng.choice(("note", "said"))
        hooks = [*self.plotted(name, members, children), *self.hooks([*members, *children])]
        verify = f"  verify {{\n{''.join(hooks)}  }}\n" if hooks else ""
        escalate = ""
        if rng.random() < (0.9 if self.plot == "escalate" else 0.5):
            value = rng.choice(_ESCALATIONS[result])
            escalate = f"  on_escalate {{ output = {value} }}\n"
        instructions = '  instructions = "{{ param.hint }}"\n' if self.param else ""
        model = rng.choice(("planner", "policy")) if self.plot != "early" else "policy"
        self.orchestrators.append(
            f"orchestrator {name}({inputs}) -> {RESULTS[result].type} {{\n"
            f"  model = {model}  goal = {json.dumps(goal)}\n"
            f"{instructions}  workers = [{', '.join([*members, *children])}]\n"
            f"  policy {{ {self.policy(name)}{self.steps()} }}\n"
            f"{self.limits([*members, *children])}{verify}{escalate}}}\n"
        )

    def steps(self) -> str:
        """What the planner sees by default, and whether it may give steps."""
        rng = self.shows
        said = ""
        if self.showing in ("few", "none"):
            said = f"  context {{ show = {rng.choice(('shape', 'none'))} }}"
        return said + ("  max_items = 20" if self.showing and rng.random() < 0.6 else "")

    def limits(self, members: list[str]) -> str:
        """What the planner sees of some of those that it may dispatch."""
        rng = self.shows
        if self.showing not in ("some", "few"):
            return ""
        words = ("shape", "none", "shape", "none", "preview", "full")
        return "".join(
            f"  limit {member} {{ show = {rng.choice(words)} }}\n"
            for member in members
            if rng.random() < 0.6
        )

    def policy(self, name: str) -> str:
        rng = self.rng
        rounds = (2, 3, 3, 4) if name == "main" else (1, 2, 2, 3)
        parts = [f"max_rounds = {rng.choice(rounds)}  max_per_round = {rng.choice((2, 3, 4))}"]
        if rng.random() < (0.8 if "spare" in self.sources else 0.2):
            parts.append("max_parallel = 1")
        if rng.random() < 0.1:
            parts.append(f"max_dispatches = {rng.randint(1, 4)}")
        if rng.random() < 0.3:
            parts.append(f"repair {{ max = {rng.randint(0, 1)} }}")
        if rng.random() < 0.08 or (name == self.home and self.plot == "time"):
            tokens = "  tokens = 6k" if rng.random() < 0.2 else ""
            parts.append(f"budget {{ time = 9s{tokens} }}")
        if rng.random() < 0.1:
            action = rng.choice(("replan", "escalate", "abort"))
            parts.append(f"stall {{ after = 1  action = {action} }}")
        return "  ".join(parts)

    def plotted(self, name: str, members: list[str], children: list[str]) -> list[str]:
        """The hook that the plot needs."""
        rng = self.rng
        if name == self.home and self.plot in ("abort", "escalate"):
            point = rng.choice(("after_round", "after_dispatch", "before_dispatch"))
            member = members[0]
            if point == "before_dispatch" and len(members) > 1:
                member = members[-1]
            elif point != "after_dispatch":
                point, member = "after_round", ""
            check = rng.choice(("quote_all", "quote_log"))
            if point == "after_dispatch":
                check = "quote_out"
            return [self.written(point, member, [check], self.plot)]
        then = "revise  max_revisions = 1  then = warn"
        if name == self.home and self.plot == "told":
            check = rng.choice(("quote_all", "quote_log"))
            return [self.written("after_dispatch", "tell", [check], then)]
        if name == self.home and self.plot == "rest":
            return [self.written("after_dispatch", "tell", ["quote_goal"], "abort")]
        if name == self.home and self.plot == "yes":
            return [self.written("after_dispatch", members[0], ["person"], "abort")]
        if children and self.plot == "retold":
            return [self.written("after_dispatch", children[0], ["quote_out"], then)]
        return []

    def hooks(self, members: list[str]) -> list[str]:
        rng = self.rng
        if not self.checked:
            return []
        hooks = []
        for member in members:
            # A check before an effect that always fails keeps everything out.
            if rng.random() < 0.08 or (self.firm and rng.random() < 0.3):
                hooks.append(self.hook("before_dispatch", member, ("look", "quote_in")))
            if rng.random() < 0.3:
                hooks.append(self.hook("after_dispatch", member, ("quote_out", "quote_out")))
        if rng.random() < 0.25:
            hooks.append(self.hook("after_round", ""))
        if rng.random() < 0.15:
            hooks.append(self.hook("before_finish", ""))
        if rng.random() < 0.15:
            hooks.append(self.hook("before_round", ""))
        return hooks

    def hook(self, point: str, member: str, more: tuple[str, ...] = ()) -> str:
        rng = self.rng
        # What never passes shows where its words go; what may pass cleans.
        quoting = [name for name in (*_ANYWHERE, *more) if name.startswith("quote")]
        known = (*_ANYWHERE, *more) if self.firm or not member else tuple(quoting)
        names = list(dict.fromkeys(rng.choices(known, k=rng.choice((1, 1, 1, 2)))))
        action = rng.choice(("revise", "revise", "abort", "escalate", "warn"))
        if point == "after_dispatch" and member in EFFECTS and action == "revise":
            action = "warn"  # what cannot be repeated cannot be revised
        if action == "revise":
            then = rng.choice(("abort", "escalate", "warn", "warn"))
            action += f"  max_revisions = 1  then = {then}"
        return self.written(point, member, names, action)

    def written(self, point: str, member: str, names: list[str], action: str) -> str:
        """A hook as it is written."""
        for name in names:
            self.parts.setdefault(name, _VERIFIERS[name])
        with_ = names[0] if len(names) == 1 else f"[{', '.join(names)}]"
        more = self.chained(point, action)
        return f"    {point} {member} {{ with = {with_}  on_fail = {more or action} }}\n"

    def chained(self, point: str, action: str) -> str:
        """When a hook looks, what it asks else, and whether it denies; "" for most.

        With a generator of its own, so that all the rest of a program is what it was without.
        """
        rng = self.hook_rng
        if rng.random() < 0.5:
            return ""
        if point == "before_dispatch":
            action = action.replace("then = escalate", "then = deny")
            action = "deny" if action == "abort" and rng.random() < 0.5 else action
        own = {"before_dispatch": ("look", "quote_in"), "after_dispatch": ("quote_out",)}
        names = (*_ANYWHERE, *own.get(point, ()))
        tests = ("rounds | length > 1", "outputs.nothing == goal", "false")
        if "dispatch" in point:
            tests = (*_TAINT_TESTS, *tests)
        if rng.random() < 0.6:
            action += f"  when = {rng.choice(tests)}"
        if rng.random() < 0.6:
            name = rng.choice(names)
            self.parts.setdefault(name, _VERIFIERS[name])
            action += f"  else = {name}"
        return action


def text_of(seed: int, *, clean: bool = False) -> str:
    """The program of a seed; the same without a stranger in it if it is to be clean."""
    text = _Maker(random.Random(seed), random.Random(~seed), random.Random(-seed - 2**32)).text()
    if clean:
        text = text.replace("trust = untrusted", "").replace(" @untrusted", "").replace(PARAM, "w0")
    return text


class _Pieces(ParseCache):
    """Keeps every piece: there are few, and each is in thousands of programs."""

    def begin(self) -> None:
        if len(self._now) > 5_000:
            self._now.clear()


_CACHE = CheckCache()
_FILES = {
    f"{name}.json": json.dumps(
        {"$defs": {part: _OUTSIDE[part] for part in (name, "Row", "Word")}}, separators=(",", ":")
    )
    for name in _OUTSIDE
}
_PIECES = _Pieces()


class Checked(NamedTuple):
    """A program with its text, and the schemas of its decisions, which are dear to compile."""

    text: str
    program: Program
    decisions: dict[str, DecisionContract]


@lru_cache(maxsize=4)
def program_of(seed: int, *, clean: bool = False) -> Checked:
    """The program of a seed. Two seeds have the same one, and its runs go different ways."""
    text = text_of(seed // 2, clean=clean)
    return Checked(text, checked(text), {})


def checked(text: str) -> Program:
    """A program by its text."""
    path = "/canary/main.orch"
    _CACHE._files[path] = _Kept(pieces=_PIECES)
    reader = MemoryReader({"main.orch": text, **_FILES}, "/canary")
    result = check_file(path, reader=reader, env={}, cache=_CACHE)
    errors = [d.message for d in result.diagnostics if d.severity == "error"]
    assert result.program is not None, (errors, text)
    return result.program
