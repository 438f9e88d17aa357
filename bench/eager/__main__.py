"""`python -m bench.eager`: the makespan of eight tasks whose plan comes at 50 tokens a second.

From the call of the planner to the end of the last task, in real time (`--scale 0.1` runs ten
times as fast, less exactly). LangGraph takes part where it is installed.
"""

from __future__ import annotations

import argparse
import asyncio
import importlib.util
import json
from collections.abc import Awaitable, Callable
from statistics import mean

from bench.eager import contenders
from bench.eager.job import LENGTHS, TOKENS_PER_S, Job, ideal_s, plan, tokens
from bench.report import table

Contender = Callable[[Job], Awaitable[None]]


def measure(contender: Contender, orders: int, *, linked: bool, scale: float) -> list[Job]:
    """One job for each order, side by side: they do nothing but wait."""
    jobs = [Job(order, linked, scale) for order in range(orders)]

    async def all_of_them() -> None:
        await asyncio.gather(*(contender(job) for job in jobs))

    asyncio.run(all_of_them())
    return jobs


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.eager", description=__doc__)
    parser.add_argument("--scale", type=float, default=1.0)
    parser.add_argument("--orders", type=int, default=20, help="in which the tasks are planned")
    arguments = parser.parse_args()
    names: dict[str, Contender] = {
        "orch, eager": contenders.eager,
        "orch, stream withheld": contenders.withheld,
        "a loop that waits for the whole plan": contenders.loop,
    }
    if importlib.util.find_spec("langgraph") is not None:
        from bench.eager.langgraph_contender import langgraph

        names["LangGraph"] = langgraph
    else:
        print("(langgraph is not installed here; `make bench` installs it)")
    for linked in (False, True):
        count = len(tokens(json.dumps(plan(0, linked=linked))))
        shape = "four of them waiting for one of the others" if linked else "independent"
        print(f"\n{len(LENGTHS)} tasks, {shape}; a plan of {count} tokens", end="")
        print(f" ({count / TOKENS_PER_S:.1f} s); means of {arguments.orders} orders\n")
        ideal = mean(ideal_s(order, linked=linked) for order in range(arguments.orders))
        rows: list[tuple[str, ...]] = [("least possible", "", f"{ideal:.2f}", "")]
        best = 0.0
        for name, contender in names.items():
            jobs = measure(contender, arguments.orders, linked=linked, scale=arguments.scale)
            makespan = mean(job.makespan_s for job in jobs)
            best = best or makespan
            began = mean(min(begin for begin, _ in job.spans.values()) for job in jobs)
            rows.append((name, f"{began:.2f}", f"{makespan:.2f}", f"{makespan / best:.2f} x"))
        head = ("", "first task starts, s", "makespan, s", "against eager")
        print(table(head, rows), flush=True)


if __name__ == "__main__":
    main()
