"""LangGraph: a planner node, then supersteps of `Send`; a step begins when the last has ended."""

from __future__ import annotations

import json
import operator
from typing import Annotated, Any, TypedDict

from langgraph.graph import END, START, StateGraph
from langgraph.types import Send

from bench.eager.job import Job


class State(TypedDict):
    tasks: list[dict[str, Any]]
    done: Annotated[list[str], operator.add]


async def langgraph(job: Job) -> None:
    async def planner(state: State) -> dict[str, Any]:
        return {"tasks": json.loads(await job.stream())["tasks"]}

    async def work(task: dict[str, Any]) -> dict[str, list[str]]:
        await job.work(task["input"]["question"], task["input"]["seconds"])
        return {"done": [task["id"]]}

    def collect(state: State) -> dict[str, Any]:
        return {}

    def ready(state: State) -> list[Send] | str:
        done = set(state["done"])
        next_step = [
            Send("work", task)
            for task in state["tasks"]
            if task["id"] not in done
            and ("context" not in task["input"] or task["input"]["context"]["$from"] in done)
        ]
        return next_step or END

    graph = StateGraph(State)
    graph.add_node("planner", planner)
    graph.add_node("work", work)
    graph.add_node("collect", collect)
    graph.add_edge(START, "planner")
    graph.add_conditional_edges("planner", ready, ["work", END])
    graph.add_edge("work", "collect")
    graph.add_conditional_edges("collect", ready, ["work", END])
    await graph.compile().ainvoke({"tasks": [], "done": []})
