"""Random programs whose readers go where their input says: no stranger's text is an address.

The programs are those of the other tests here, with the strangers' readers made programs of the
network. A leak is a read that was started with a stranger's text which nothing has let pass.
"""

from __future__ import annotations

import os
import re

import pytest
from canary_programs import checked, text_of
from canary_run import Canary, Leak, _what
from canary_world import canaries

from engine.linter.taint import Place, flow_of
from engine.runtime import ways_out
from engine.runtime.state import Task
from engine.sema.model import Worker
from engine.sizes import BOUNDS

PROGRAMS = int(os.environ.get("ORCH_CANARY", "2000")) // 4
_READER = re.compile(r'(worker u_\w+\(q: string\)[^{]*?) via python \{\n  call = "builtins:dict"')
_OF_NETWORK = r'\1 via command {\n  run = ["curl", q]'


class Fetching(Canary):
    """A run whose readers go where their input says.

    Attributes:
        led: `(orchestrator, worker)` of each read that went where a stranger's text led it.
        fetched: How many reads were started.
    """

    bounds = BOUNDS

    def __init__(self, seed: int, *, keep: bool = False) -> None:
        super().__init__(seed, keep=keep)
        self.led: list[tuple[str, str]] = []
        self.fetched = 0

    def _made(self):
        text = _READER.sub(_OF_NETWORK, text_of(self.seed // 2))
        return text, checked(text), {}

    def _look(self, start):
        super()._look(start)
        task = self.state.calls[start.key].subject
        if not isinstance(task, Task) or not isinstance(task.acting, Worker):
            return
        if task.acting.facts.address != ("q",):
            return
        self.fetched += 1
        leaked = [one for one in canaries(str(task.resolved)) if one not in self.passed]
        if not leaked or task.key in self.passed_tasks or _what(task) in self.passed_inputs:
            return
        if not self.keep:
            raise Leak(f"seed {self.seed}: {leaked} led `{start.key}`\n{self.text}")
        self.led.append((task.loop.orchestrator.name, task.worker.name))


def test_no_text_of_a_stranger_is_an_address():
    fetched = denied = 0
    for seed in range(PROGRAMS):
        run = Fetching(seed).run()
        fetched += run.fetched
        denied += run.denied
    assert min(fetched, denied) > PROGRAMS // 10 or PROGRAMS < 500, (fetched, denied)


def test_without_the_rule_it_is_found(monkeypatch):
    monkeypatch.setattr(ways_out, "denial", lambda *_: "")

    def search():
        for seed in range(500):
            Fetching(seed).run()

    with pytest.raises(Leak, match="led"):
        search()


def test_the_linter_has_seen_every_address_that_a_stranger_could_choose(monkeypatch):
    monkeypatch.setattr(ways_out, "denial", lambda *_: "")
    led = 0
    for seed in range(PROGRAMS):
        run = Fetching(seed, keep=True).run()
        flow = flow_of(run.program)
        for place in run.led:
            assert flow.reaches(Place("way_out", *place)), (seed, place, run.text)
        led += len(run.led)
    assert led > 10 or PROGRAMS < 500
