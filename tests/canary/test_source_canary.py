"""Random programs: each text of each input has a source that really gave it, and is marked where it
is a stranger's; the same from the journal. ORCH_SOURCES=N runs N programs, ORCH_SOURCES_SEED=N one.

The sources are checked when a task starts, in runs that crash, are resumed, are taken up again
after a bad end, and whose inputs and plans people edit. At the end, the journal gives them again.
"""

from __future__ import annotations

import gc
import os
from collections import Counter

import msgspec
import pytest
from source_programs import source_program
from source_run import SourceRun, Wrong

from engine.runtime import origins, sources, taint, tainted_result

PROGRAMS = int(os.environ.get("ORCH_SOURCES", "400"))
PARTS = 8
ONLY = os.environ.get("ORCH_SOURCES_SEED")


@pytest.fixture(autouse=True)
def no_collections():
    """Programs are cyclic and short-lived: collected in one go, as nothing waits meanwhile."""
    gc.disable()
    yield
    gc.enable()
    gc.collect()


@pytest.mark.parametrize("part", range(PARTS))
def test_every_text_has_the_source_that_gave_it(part):
    if ONLY is not None:
        if part == 0:
            SourceRun(int(ONLY)).run()
        return
    looked: Counter[str] = Counter()
    for seed in range(part, PROGRAMS, PARTS):
        looked.update(SourceRun(seed).run().looked)
    # It is no use if nothing is looked at.
    if PROGRAMS >= 400:
        least = {"output": 300, "planner": 50, "program": 50, "person": 5}
        assert all(looked[kind] >= number for kind, number in least.items()), looked


def test_the_programs_have_every_kind_of_step():
    texts = [source_program(seed)[0] for seed in range(100)]
    for word in ("each =", ".pairs", ".failures", "reduce =", "repeat {", "= p0(", "before_round",
                 "before_dispatch", "orchestrator sub"):  # fmt: skip
        assert any(word in text for text in texts), word


# ---------------------------------------------------------------- planted faults

_of_parts = origins._of_parts
_typed_at = sources._Typed.at
_compared = sources._compared
_moved = sources._moved


def nothing(*args):
    return iter(())


def parts_from_the_first_on(task, path):
    for origin in _of_parts(task, path):
        yield msgspec.structs.replace(origin, path=f"{path}/0")


def who_typed_has_never_read(self, path):
    for source in _typed_at(self, path):
        yield msgspec.structs.replace(source, tainted=False)


def nothing_is_left_as_it_was(old_path, old, path, new):
    yield path, None


def everything_is_left_as_it_was(old_path, old, path, new):
    yield path, old_path


def without_the_rest_of_the_path(found, at, path):
    for source in _moved(found, at, path):
        yield msgspec.structs.replace(source, at="" if source.at else source.at, path=path)


FAULTS = {
    "no output is tainted": (taint, "is_tainted", lambda state, origin: False),
    "plans are not followed": (origins, "_plan_input", nothing),
    "expressions read nothing": (origins, "_read_inputs", nothing),
    "views are not followed": (origins, "_through", nothing),
    "parts are all the first": (origins, "_of_parts", parts_from_the_first_on),
    "the pass before gave nothing": (origins, "_of_last", nothing),
    "defaults are typed": (sources, "_added", lambda *args, **more: iter(())),
    "a planner never reads": (sources._Typed, "at", who_typed_has_never_read),
    "nobody edits a plan": (sources._Typed, "_by_hand", nothing),
    "an edit is a new input": (sources, "_compared", nothing_is_left_as_it_was),
    "an edit changes nothing": (sources, "_compared", everything_is_left_as_it_was),
    "parts of plans' inputs are wholes": (sources, "_moved", without_the_rest_of_the_path),
    "results are never a stranger's": (tainted_result, "_decided", nothing),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_planted_fault_is_found(fault, monkeypatch):
    owner, name, planted = FAULTS[fault]
    assert hasattr(owner, name)
    monkeypatch.setattr(owner, name, planted)

    def search() -> None:
        for seed in range(400):
            SourceRun(seed).run()

    with pytest.raises(Wrong):
        search()
