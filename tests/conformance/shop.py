"""The program whose runs are driven, and the outside: a log that its workers write.

A worker says in the log that it has begun before it waits, so a call that is made twice is seen
however it ends. The log is a file: the engine knows nothing of it.
"""

from __future__ import annotations

import random
from collections import Counter
from pathlib import Path

import engine
from engine.runtime.ports import ModelReply, ModelRequest

__all__ = ["Planner", "Shop"]

PROGRAM = """orch 1
model planner { id = "scripted/none.json" }
worker look(n: int) -> int via python {
  call = "tools:act"  args = { name: "look", n: n }
  effect = read  timeout = 60s
}
worker put(n: int) -> int via python {
  call = "tools:act"  args = { name: "put", n: n }
  effect = write  timeout = 60s
}
worker pay(n: int) -> int via python {
  call = "tools:act"  args = { name: "pay", n: n }
  effect = once  timeout = 60s
}
worker ship(n: int) -> int via python {
  call = "tools:act"  args = { name: "ship", n: n }
  effect = once  timeout = 60s
}
verifier boss(n: int) via human { message = "Ship {{ n }}?" }
orchestrator shop() -> int {
  model = planner  goal = "Sell."  workers = [look, put, pay, ship]
  policy { max_rounds = 4  max_parallel = 1 }
  verify { before_dispatch ship { with = boss } }
}
"""

TOOLS = """
import asyncio
from pathlib import Path

LOG = Path(__file__).with_name("effects.log")


async def act(name, n):
    with LOG.open("a") as log:
        log.write(f"{name} {n}\\n")
    await asyncio.sleep(0.1 + n * 0.03)
    return n
"""


class Planner:
    """A model that decides by the round it is asked in.

    Args:
        chance: Draws what it plans.
    """

    def __init__(self, chance: random.Random) -> None:
        work = [("pay", 0), ("pay", 1), ("pay", 2), ("look", 3), ("put", 4)]
        chance.shuffle(work)
        # What a person is asked about comes first, and the rest goes on meanwhile.
        self._first = [("ship", 9), ("ship", 8)][: chance.randint(0, 2)] + work
        self._second = [("pay", 5), ("put", 6), ("ship", 7)][: chance.randint(1, 3)]
        self.is_down = False

    async def complete(self, request: ModelRequest) -> ModelReply:
        state = request.state()
        if state.round == 2 and self.is_down:
            raise engine.Failure("unavailable", "not now")
        if state.round > 2:
            return ModelReply({"finish": 5})
        work = self._first if state.round == 1 else self._second
        tasks = [{"id": f"{name}{n}", "worker": name, "input": {"n": n}} for name, n in work]
        return ModelReply({"tasks": tasks})

    async def close(self) -> None:
        return


class Shop:
    """A folder with the program and its log."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True)
        (folder / "shop.orch").write_text(PROGRAM)
        (folder / "tools.py").write_text(TOOLS)
        self._log = folder / "effects.log"
        self.workflow = engine.load(folder / "shop.orch")

    def forget(self) -> None:
        """Empty the log."""
        self._log.write_text("")

    def effects(self) -> Counter[str]:
        """How often each thing was done, such as `pay 4`."""
        return Counter(self._log.read_text().splitlines())
