"""One run of many effects in a process of its own: `python cpu_job.py FORM ROUNDS WIDTH`.

Prints the CPU microseconds of a dispatch. Started by path, so that the engine is the one in
PYTHONPATH. `plain` has no untrusted worker and is the same for all builds. In `checked` the readers
give strangers' text and a hook looks at each effect; `sources` is the same with `show`, `@from` on
two inputs, and a hook that reads where the inputs come from.
"""

from __future__ import annotations

import asyncio
import json
import re
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import engine
from engine.runtime.ports import ModelReply, ModelRequest

TOOLS = """\
async def contacts():
    return [
        {"email": f"person{i}@example.com", "note": "met at the fair"} for i in range(WIDTH)
    ]


async def pay(to, amount, note):
    return {"number": 1}
"""

PROGRAM = """\
orch 1

param rounds: int
param width: int

model planner { id = "scripted/none.json" }

worker contacts() -> { email: email, note: string<note> }[] via python {
  call    = "<module>:contacts"
<show>  timeout = 10s
}

worker pay(to: email<to>, amount: float<amount>, note: string) -> { number: int } via python {
  call    = "<module>:pay"
  effect  = write
<show>  timeout = 10s
}

<rule>

orchestrator main(request: string) -> string {
  model   = planner
  goal    = "{{ request }}"
  workers = [contacts, pay]
  policy  { max_rounds = param.rounds  max_per_round = param.width  max_parallel = 10000 }
<hook>}
"""

_HOOK = "  verify { before_dispatch pay { with = fine  on_fail = revise  max_revisions = 99 } }\n"

#: What each form puts into the program; a place that it does not name stays empty.
FORMS: dict[str, dict[str, str]] = {
    "plain": {},
    "checked": {
        "note": " @untrusted",
        "rule": "verifier fine(to: email, amount: float, note: string) via rules {\n"
        '  assert to != note else "to whom?"\n  assert amount > 0 else "how much?"\n}',
        "hook": _HOOK,
    },
    "sources": {
        "note": " @untrusted",
        "show": "  show    = shape\n",
        "to": " @from(request, contacts.email)",
        "amount": " @from(request)",
        "rule": "verifier fine(task: json, amount: float) via rules {\n"
        '  assert task.sources | selectattr("worker", "equalto", "contacts") | list | length == 1\n'
        '    else "to whom?"\n'
        '  assert amount > 0 else "how much?"\n}',
        "hook": _HOOK,
    },
}


class Planner:
    """A read, and then rounds of payments: to whom by reference, how much as the request says."""

    def __init__(self, rounds: int, width: int) -> None:
        self._rounds, self._width = rounds, width

    async def complete(self, request: ModelRequest) -> ModelReply:
        number = request.index or 0
        if number > self._rounds:
            return ModelReply(json.dumps({"assessment": "done", "finish": "done"}))
        tasks: list[dict[str, Any]] = [{"id": "c", "worker": "contacts", "input": {}}]
        if number:
            tasks = [
                {
                    "id": f"p{number}_{i}",
                    "worker": "pay",
                    "input": {
                        "to": {"$from": "c", "at": f"/{i}/email"},
                        "amount": 12.5,
                        "note": "as agreed",
                    },
                }
                for i in range(self._width)
            ]
        return ModelReply(json.dumps({"assessment": "go on", "tasks": tasks}))

    async def close(self) -> None:
        return


async def once(form: str, rounds: int, width: int, folder: Path) -> float:
    """Run it, and give its CPU seconds."""
    places = {**FORMS[form], "module": f"tools_{width}"}
    text = re.sub(r"<(\w+)>", lambda found: places.get(found[1], ""), PROGRAM)
    (folder / f"tools_{width}.py").write_text(TOOLS.replace("WIDTH", str(width)))
    (folder / "main.orch").write_text(text)
    workflow = engine.load(folder / "main.orch", params={"rounds": rounds + 2, "width": width})
    models = {"planner": Planner(rounds, width)}
    began = time.process_time()
    run = await workflow.arun(models=models, request="Pay 12.50 to each contact.")
    took = time.process_time() - began
    made = run.report(details=False)["dispatches"]
    if run.status != "finished" or run.failures or made != rounds * width + 1:
        raise AssertionError(f"{run.status}, {made} tasks: {run.reason} {run.failures[:1]}")
    return took


def main() -> None:
    form, rounds, width = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(once(form, 2, 5, Path(folder)))
        took = asyncio.run(once(form, rounds, width, Path(folder)))
    print(json.dumps({"cpu_us": took / (rounds * width) * 1e6}))


if __name__ == "__main__":
    main()
