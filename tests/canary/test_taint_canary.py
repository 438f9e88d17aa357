"""Ten thousand random programs: no stranger's text reaches an effect that nothing has let through.

And the other way round: where no stranger says anything, nothing is denied. ORCH_CANARY=N runs N
programs; a failure names its seed, and ORCH_CANARY_SEED=N runs that one alone.
"""

from __future__ import annotations

import gc
import os
from collections import Counter

import pytest
from canary_programs import KINDS, RESULTS, text_of
from canary_run import Canary, Leak

from engine.linter.taint import Place, flow_of
from engine.runtime import clearance, taint
from engine.runtime.ending import subtree

PROGRAMS = int(os.environ.get("ORCH_CANARY", "2000"))
PARTS = 20
ONLY = os.environ.get("ORCH_CANARY_SEED")


@pytest.fixture(autouse=True)
def no_collections():
    """Programs are cyclic and short-lived: collected in one go, as nothing waits meanwhile."""
    gc.disable()
    yield
    gc.enable()
    gc.collect()


def seeds_of(part: int, share: int = 1) -> range | list[int]:
    if ONLY is None:
        each = PROGRAMS // share // PARTS
        return range(part * each, (part + 1) * each)
    if part > 0:
        pytest.skip("one seed is run")
    return [int(ONLY)]


@pytest.mark.parametrize("part", range(PARTS))
def test_no_text_of_a_stranger_reaches_an_effect(part):
    seen: Counter[str] = Counter()
    for number, seed in enumerate(seeds_of(part)):
        run = Canary(seed).run()
        seen["told"] += bool(run.world.told)
        seen["effects"] += run.effects
        seen["denied"] += run.denied
        seen["hidden"] += run.hidden
        if number % 250 == 249:
            gc.collect()
    # It is no use if nothing is read, or nothing is tried.
    if ONLY is None and PROGRAMS >= 2_000:
        assert min(seen["told"], seen["effects"], seen["denied"]) > PROGRAMS // PARTS // 4, seen
        assert seen["hidden"] > PROGRAMS // PARTS // 10, seen


@pytest.mark.parametrize("part", range(PARTS))
def test_nothing_is_denied_where_there_is_no_stranger(part):
    effects = 0
    for seed in seeds_of(part, 5):
        effects += Canary(seed, clean=True).run().effects
    assert effects > 0 or ONLY is not None or PROGRAMS < 2_000


@pytest.mark.parametrize("part", range(PARTS))
def test_the_linter_has_seen_what_is_tainted_in_a_run(part):
    for seed in seeds_of(part, 10):
        run = Canary(seed).run()
        flow = flow_of(run.program)
        for loop in subtree(run.state.loop):
            name = loop.orchestrator.name
            assert not loop.tainted or flow.reaches(Place("loop", name)), (seed, name)
            for task in loop.tasks.values():
                place = Place("task", name, task.worker.name)
                assert not task.tainted or flow.reaches(place), (seed, place)


@pytest.mark.parametrize("part", range(PARTS))
def test_the_linter_has_seen_every_effect_that_a_stranger_could_reach(part, monkeypatch):
    denied = clearance.denial
    # Only the denial is taken away: a hook with `when = tainted` looks as before.
    monkeypatch.setattr(clearance, "is_denied", lambda state, task: bool(denied(state, task)))
    monkeypatch.setattr(clearance, "denial", lambda state, task: "")
    reached = 0
    for seed in seeds_of(part, 5):
        run = Canary(seed, keep=True).run()
        flow = flow_of(run.program)
        for place in run.reached:
            assert flow.reaches(Place("effect", *place)), (seed, place, run.text)
        reached += len(run.reached)
    assert reached > 0 or ONLY is not None or PROGRAMS < 2_000


@pytest.mark.parametrize("name", ["_is_source", "loop_begins_tainted"])
def test_what_is_wrongly_taken_for_a_strangers_is_seen(name, monkeypatch):
    monkeypatch.setattr(taint, name, lambda *args: True)

    def search() -> None:
        for seed in range(100):
            Canary(seed, clean=True).run()

    with pytest.raises(Leak, match="taken for untrusted"):
        search()


def test_the_same_seed_gives_the_same_run():
    for seed in range(20):
        assert Canary(seed).run().journal == Canary(seed).run().journal, seed


def test_between_them_the_programs_have_every_kind_of_output():
    texts = [text_of(seed) for seed in range(1_000)]
    for kind in KINDS:
        assert any(f"worker u_{kind}(" in text or f"worker t_{kind}(" in text for text in texts)
    for result in RESULTS.values():
        assert any(f") -> {result.type} {{\n  model" in text for text in texts), result.type
    assert any(text.count("orchestrator ") == 3 for text in texts)
    for word in ("@untrusted", "after_round", "before_finish", "stall", "on_escalate", "fallback"):
        assert any(word in text for text in texts), word
