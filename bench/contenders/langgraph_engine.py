"""LangGraph 1.2: a planner node that fans out with `Send`, and its SQLite saver when durable."""

from __future__ import annotations

import operator
from pathlib import Path
from typing import Annotated, TypedDict

from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver
from langgraph.graph import END, START, StateGraph
from langgraph.types import Send

from bench.job import RESULT, Job, plan


class State(TypedDict):
    number: int
    results: Annotated[list[dict[str, str]], operator.add]


class Work(TypedDict):
    question: str


def build(rounds: int, width: int) -> tuple[StateGraph, State]:
    """The graph, not compiled, and what it begins with."""

    def planner(state: State) -> dict[str, int]:
        return {"number": state["number"] + 1}

    def fan_out(state: State) -> list[Send] | str:
        if state["number"] > rounds:
            return END
        return [Send("work", {"question": q}) for q in plan(state["number"], width)]

    async def work(task: Work) -> dict[str, list[dict[str, str]]]:
        return {"results": [{"text": RESULT}]}

    graph = StateGraph(State)
    graph.add_node("planner", planner)
    graph.add_node("work", work)
    graph.add_edge(START, "planner")
    graph.add_conditional_edges("planner", fan_out, ["work", END])
    graph.add_edge("work", "planner")
    return graph, {"number": 0, "results": []}


def prepare(rounds: int, width: int, folder: str | None) -> Job:
    graph, begin = build(rounds, width)
    config = {
        "recursion_limit": 3 * rounds + 10,
        "max_concurrency": 10_000,
        "configurable": {"thread_id": "1"},
    }
    in_memory = graph.compile()

    async def job() -> None:
        if folder is None:
            final = await in_memory.ainvoke(begin, config)
        else:
            path = str(Path(folder) / "checkpoints.db")
            async with AsyncSqliteSaver.from_conn_string(path) as saver:
                final = await graph.compile(checkpointer=saver).ainvoke(begin, config)
        if len(final["results"]) != rounds * width:
            raise AssertionError(len(final["results"]))

    return job
