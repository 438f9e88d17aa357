"""Bounds are not only never passed: in programs without luck, a hostile outside reaches them."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

# The tests are no package (import mode `importlib`), and these share an adversary.
sys.path.insert(0, str(Path(__file__).parent))

from bounds_adversary import Adversary, rates_of, spent

from engine.bounds import METRICS, Spend, bound_of
from engine.events import ModelInfo
from engine.sema.check import check_file
from engine.sema.model import Program
from engine.sema.names.loader import MemoryReader

LONG = "x" * 400
HEAD = f"""orch 1
model big {{
  id = "memory/big"  max_tokens = 70  fallback = [spare, last]  retry {{ max = 1 }}
}}
model spare {{ id = "memory/spare"  max_tokens = 50  retry {{ max = 2  on = [refused] }} }}
model last {{ id = "memory/last"  max_tokens = 60 }}
worker ask(q: string) -> {{ text: string }} via llm {{
  model = big  prompt = "{LONG} {{{{ q }}}}"  repair {{ max = 1 }}
}}
worker dig(q: string) -> {{ text: string }} via llm {{
  model = big  prompt = "{LONG} {{{{ q }}}}"  retry {{ max = 2 }}  repair {{ max = 1 }}
}}
worker two(q: string) -> {{ text: string }} via llm {{
  model = last  prompt = "{LONG} {{{{ q }}}}"  repair {{ max = 1 }}  fallback = [dig, ask]
}}
worker say(q: string) -> {{ text: string }} via llm {{
  model = spare  prompt = "{LONG} {{{{ q }}}}"  retry {{ max = 3 }}  repair {{ max = 0 }}
}}
worker sign(q: string) -> {{ text: string }} via llm {{
  model = big  prompt = "{LONG} {{{{ q }}}}"  effect = once
}}
worker look(q: string) -> string via command {{ run = ["look"]  effect = read }}
verifier judge(goal: string) via llm {{ model = spare  prompt = "{LONG}"  repair {{ max = 2 }} }}
verifier chief(goal: string) via llm {{ model = last  prompt = "{LONG}" }}
"""
ORCHESTRATOR = """
orchestrator %s(q: string) -> { n: int } { model = big  goal = "{{ q }}"  workers = [%s]  %s }
"""
INFOS = {
    "big": ModelInfo("memory/big", True, 3_000_000, 11_000_000, 300),
    "spare": ModelInfo("memory/spare", True, 2_000_000, 7_000_000, 200),
    "last": ModelInfo("memory/last", True, 5_000_000, 1_000_000, 100),
}
NEW = {"q": "NEW"}
INPUTS = {"ask": NEW, "dig": NEW, "two": NEW, "say": NEW, "sign": NEW, "look": NEW, "inner": NEW}
TEXT = {"text": "NEW"}
OUTPUTS = {"ask": TEXT, "dig": TEXT, "two": TEXT, "say": TEXT, "sign": TEXT, "look": "NEW"}

PROGRAMS = {
    "decisions": (0, [("main", "look", "policy { max_rounds = 3  repair { max = 4 } }")]),
    "tasks of the dearest worker": (
        0, [("main", "look, say, ask", "policy { max_rounds = 3  max_per_round = 4 }")],
    ),
    "a greedy fill": (
        0, [("main", "look, say, sign, ask", """policy { max_rounds = 3  max_dispatches = 8 }
            limit ask { max_dispatches = 2 } limit say { max_dispatches = 3 }""")],
    ),
    "revised tasks": (
        0, [("main", "dig", """policy { max_rounds = 2  max_per_round = 3 }
            verify { before_dispatch dig { with = judge  on_fail = revise  max_revisions = 2 }
                     after_dispatch dig { with = judge  on_fail = revise  max_revisions = 2 }
                     after_dispatch dig { with = chief  on_fail = revise  max_revisions = 1 } }
            """)],
    ),
    "tasks of workers that stand in for each other, revised": (
        0, [("main", "two", """policy { max_rounds = 2  max_per_round = 2 }
            verify { after_dispatch two { with = judge  on_fail = revise  max_revisions = 2 } }
            """)],
    ),
    "rounds looked at": (
        0, [("main", "ask", """policy { max_rounds = 5  max_per_round = 1 }
            verify { after_round { with = [judge, chief]  every = 2  on_fail = warn } }""")],
    ),
    "results looked at": (
        4, [("main", "say", """policy { max_rounds = 7  max_dispatches = 6 }
            verify { before_finish { with = judge  on_fail = revise  max_revisions = 2 }
                     before_finish { with = chief  on_fail = warn }
                     before_finish { with = chief  on_fail = revise  max_revisions = 1 } }""")],
    ),
    "more revisions than rounds": (
        2, [("main", "ask", """policy { max_rounds = 2  max_per_round = 2 }
            verify { before_finish { with = judge  on_fail = revise  max_revisions = 9 } }""")],
    ),
    "orchestrators in orchestrators, revised": (
        0, [("main", "inner, say", """policy { max_rounds = 2  max_per_round = 3 }
            limit inner { max_dispatches = 2 }
            verify { after_dispatch inner { with = chief  on_fail = revise  max_revisions = 1
                                            then = warn } }"""),
            ("inner", "ask", "policy { max_rounds = 2  max_per_round = 2 }")],
    ),
    "an orchestrator that calls itself": (
        0, [("main", "main, look", "policy { max_rounds = 2  max_per_round = 2  max_depth = 3 }")],
    ),
}  # fmt: skip


def program_of(title: str) -> Program:
    text = HEAD + "".join(ORCHESTRATOR % one for one in PROGRAMS[title][1])
    result = check_file("/p/main.orch", reader=MemoryReader({"main.orch": text}, "/p"), env={})
    assert result.program is not None, [item.message for item in result.diagnostics]
    return result.program


def most_and_taken(title: str, stubborn: str = "") -> tuple[Spend, Spend]:
    program = program_of(title)
    adversary = Adversary(
        program, INFOS, {}, {**INPUTS, "main": NEW}, OUTPUTS,
        finishes={"main": PROGRAMS[title][0], "inner": 1}, eager=True, stubborn=stubborn,
    )  # fmt: skip
    taken = spent(program, adversary.run(), {})
    return bound_of(program, "main", rates_of(INFOS)).total, taken


@pytest.mark.parametrize("title", PROGRAMS)
def test_the_bound_is_reached(title):
    most, taken = most_and_taken(title)
    assert taken == most


@pytest.mark.parametrize("stubborn", ["failures", "answers", "verdicts"])
@pytest.mark.parametrize("title", PROGRAMS)
def test_nobody_passes_it_by_going_on(title, stubborn):
    most, taken = most_and_taken(title, stubborn)
    assert all(taken.of(metric) <= most.of(metric) for metric in METRICS), (taken, most)
