"""A provider's limit over all hosts: what the server lets through, counted at the provider.

The server keeps the rate for each partition of a task queue, so a queue that has waited lets one
call a partition through at once, and then no more than the rate. No call can come to the provider
before the server has let it through, so the latest moment is never asked for here.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent.parent / "support"))

import model_server as play

pytestmark = pytest.mark.temporal

#: Into how many partitions the server cuts a task queue, unless its owner says otherwise.
PARTITIONS = 4
RPM = 240
CALLS = 10

PROGRAM = """orch 1
model planner {{ id = "scripted/script.json" }}
model gpt {{ id = "openai/x"  api_base = "{url}"  rpm = {rpm} }}
worker ask(n: int) -> string via llm {{ model = gpt  prompt = "What is {{{{ n }}}}?" }}
orchestrator main() -> {{ n: int }} {{
  model = planner  goal = "g"  workers = [ask]  policy {{ max_rounds = 2  max_per_round = 50 }}
}}
"""


def test_a_providers_rate_holds_over_two_hosts(desk: Any) -> None:
    arrived: list[float] = []
    both = threading.Barrier(2)

    def answer(handler: BaseHTTPRequestHandler, ending: threading.Event) -> None:
        arrived.append(time.time())
        if len(arrived) <= 2:
            both.wait()  # Each host makes one call at once: so both are in it.
        play.reply('"it is"')(handler, ending)

    tasks = [{"id": f"t{n}", "worker": "ask", "input": {"n": n}} for n in range(CALLS)]
    script = [{"assessment": "ask", "tasks": tasks}, {"assessment": "d", "finish": {"n": 1}}]
    desk.write("script.json", json.dumps(script))
    with play.ModelServer() as provider:
        provider.play(*[answer] * CALLS)
        desk.write("main.orch", PROGRAM.format(url=provider.url, rpm=RPM))
        for serves in ((), ("--serve", "gpt")):
            desk.host("main.orch", *serves, "--max-concurrent", "1", OPENAI_API_KEY="k")
        began = time.time()
        code, out, said = desk.orch("run", "main.orch", "--format", "json")
    assert code == 0, said
    assert json.loads(out)["failures"] == []
    assert len(arrived) == CALLS
    for number, at in enumerate(sorted(arrived)):
        allowed = PARTITIONS + (at - began) * RPM / 60
        assert number + 1 <= allowed, (number, [one - began for one in arrived])
