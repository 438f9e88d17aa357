"""LangGraph: a fan-out with `Send`, stage by stage; and one `Send` an item, to a subgraph."""

from __future__ import annotations

import operator
from typing import Annotated, TypedDict

from langgraph.graph import END, START, StateGraph
from langgraph.types import Send

from bench.plans.makespan import ITEMS, Story


class State(TypedDict):
    read: Annotated[list[int], operator.add]
    judged: Annotated[list[int], operator.add]


class Item(TypedDict):
    item: int


async def by_stage(story: Story) -> None:
    """Both stages as nodes of one graph: a superstep begins when the last has ended."""

    async def read(given: Item) -> dict[str, list[int]]:
        return {"read": [await story.work(0, given["item"])]}

    async def judge(given: Item) -> dict[str, list[int]]:
        return {"judged": [await story.work(1, given["item"])]}

    def all_of_them(state: State) -> list[Send]:
        return [Send("read", {"item": item}) for item in range(ITEMS)]

    def what_was_read(state: State) -> list[Send]:
        return [Send("judge", {"item": item}) for item in state["read"]]

    graph = StateGraph(State)
    graph.add_node("read", read)
    graph.add_node("collect", lambda state: {})
    graph.add_node("judge", judge)
    graph.add_conditional_edges(START, all_of_them, ["read"])
    graph.add_edge("read", "collect")
    graph.add_conditional_edges("collect", what_was_read, ["judge"])
    graph.add_edge("judge", END)
    final = await graph.compile().ainvoke({}, {"max_concurrency": story.slots})
    if len(final["judged"]) != ITEMS:
        raise AssertionError(len(final["judged"]))


class Way(TypedDict):
    item: int
    found: int
    judged: Annotated[list[int], operator.add]


async def by_item(story: Story) -> None:
    """The way of an item as a graph of its own: no barrier, and a slot held for the whole way."""

    async def read(given: Way) -> dict[str, int]:
        return {"found": await story.work(0, given["item"])}

    async def judge(given: Way) -> dict[str, list[int]]:
        return {"judged": [await story.work(1, given["found"])]}

    inner = StateGraph(Way)
    inner.add_node("read", read)
    inner.add_node("judge", judge)
    inner.add_edge(START, "read")
    inner.add_edge("read", "judge")
    inner.add_edge("judge", END)

    graph = StateGraph(State)
    graph.add_node("way", inner.compile())
    graph.add_conditional_edges(
        START, lambda state: [Send("way", {"item": item}) for item in range(ITEMS)], ["way"]
    )
    graph.add_edge("way", END)
    final = await graph.compile().ainvoke({}, {"max_concurrency": story.slots})
    if len(final["judged"]) != ITEMS:
        raise AssertionError(len(final["judged"]))
