"""Bugs planted in the machine: the simulation has to see each of them within a few runs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from simulated_driver import Broken, Simulation

from engine.runtime import attempts, dispatch, gates, planning, suspects, verify
from engine.runtime.state import Call, HookRun, Loop, RunState
from engine.runtime.steps import each, limits

#: How many runs it may take; most planted bugs are seen within a hundred.
RUNS = 4_000


def one_slot_too_many(state: RunState, loop: Loop) -> None:
    while loop.queue and loop.running <= loop.orchestrator.policy.max_parallel and not loop.over:
        loop.running += 1
        dispatch._start(state, loop.queue.popleft())


def hide_what_comes_after_a_warning(run: HookRun) -> bool:
    return bool(run.rest) and not run.failed


def never(request: Any) -> bool:
    return False


def at_once(state: RunState, call: Call) -> None:
    assert call.command is not None
    state.commands.append(call.command)


def nothing(*args: Any, **more: Any) -> None:
    return


def without_end(step: Any) -> int:
    return 1_000_000


BUGS: list[tuple[Any, str, Callable[..., Any], str]] = [
    (dispatch, "_pump", one_slot_too_many, "more tasks run than max_parallel"),
    (dispatch, "_unmet", nothing, "starts before any|KeyError|does not fit"),
    (planning, "_check_limits", nothing, "more dispatches than|than its limit"),
    (attempts, "_settle", nothing, "belong to no call"),
    (attempts, "_feed_starved", nothing, "deadlock|nobody holds"),
    (attempts, "cancel", nothing, "after the end|deadlock"),
    (gates, "drop", nothing, "deadlock|gates are open"),
    (suspects, "go_on", nothing, "deadlock"),
    (suspects, "runs_here", never, "does not end"),
    (suspects, "issue", at_once, "on trial beside|before the suspects|while it runs"),
    (each, "_most_open", without_end, "too far ahead"),
    (limits, "take", nothing, "more items than|were counted|lost or doubled"),
    (verify, "_goes_on", hide_what_comes_after_a_warning, "not asked"),
]


@pytest.mark.more
@pytest.mark.parametrize(
    ("module", "name", "bug", "said"), BUGS, ids=[f"{bug[0].__name__}.{bug[1]}" for bug in BUGS]
)
def test_a_planted_bug_is_seen(module, name, bug, said, monkeypatch, only_seed):
    if only_seed is not None:
        pytest.skip("one seed is replayed")
    monkeypatch.setattr(module, name, bug)

    def search() -> None:
        for seed in range(RUNS):
            Simulation(seed).run()

    with pytest.raises(Broken, match=said):
        search()
