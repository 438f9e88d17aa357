"""One measurement in a process of its own: `contenders.py NAME PORT N WIDTH HOW`.

Prints one JSON object: CPU until the first answer is there (interpreter and imports included), CPU
for each of N calls after it with WIDTH under way at once, and the most memory. HOW is `whole` or
`stream`. Each contender asks for the same object by the same schema and reads the answer.
"""

from __future__ import annotations

import asyncio
import json
import os
import resource
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

SCHEMA = {
    "type": "object",
    "properties": {"a": {"type": "string"}},
    "required": ["a"],
    "additionalProperties": False,
}
FORMAT = {
    "type": "json_schema",
    "json_schema": {"name": "out", "schema": SCHEMA, "strict": True},
}
MESSAGES: Any = [{"role": "user", "content": "What is a?"}]
KEY = "none"
Call = Callable[[], Awaitable[object]]


def httpx_(base: str, stream: bool) -> Call:
    import httpx

    client = httpx.AsyncClient(limits=httpx.Limits(max_connections=None))
    body = {"model": "fake", "messages": MESSAGES, "response_format": FORMAT, "stream": stream}

    async def whole() -> object:
        answer = await client.post(f"{base}/chat/completions", json=body)
        return json.loads(answer.json()["choices"][0]["message"]["content"])

    async def pieces() -> object:
        text = ""
        async with client.stream("POST", f"{base}/chat/completions", json=body) as answer:
            async for line in answer.aiter_lines():
                if line.startswith("data: {"):
                    choices = json.loads(line[6:])["choices"]
                    text += choices[0]["delta"].get("content", "") if choices else ""
        return json.loads(text)

    return pieces if stream else whole


def openai_(base: str, stream: bool) -> Call:
    from openai import AsyncOpenAI

    client: Any = AsyncOpenAI(base_url=base, api_key=KEY, max_retries=0)

    async def call() -> object:
        answer = await client.chat.completions.create(
            model="fake", messages=MESSAGES, response_format=FORMAT, stream=stream
        )
        if not stream:
            return json.loads(answer.choices[0].message.content)
        text = ""
        async for chunk in answer:
            text += (chunk.choices[0].delta.content or "") if chunk.choices else ""
        return json.loads(text)

    return call


def litellm_(base: str, stream: bool) -> Call:
    import litellm

    litellm.suppress_debug_info = True

    async def call() -> object:
        answer: Any = await litellm.acompletion(
            model="openai/fake", api_base=base, api_key=KEY, messages=MESSAGES,
            response_format=FORMAT, stream=stream,
        )  # fmt: skip
        if not stream:
            return json.loads(answer.choices[0].message.content)
        text = ""
        async for chunk in answer:
            text += (chunk.choices[0].delta.content or "") if chunk.choices else ""
        return json.loads(text)

    return call


def agents(base: str, stream: bool) -> Call:
    from agents import Agent, OpenAIChatCompletionsModel, Runner, set_tracing_disabled
    from openai import AsyncOpenAI
    from pydantic import BaseModel

    class Out(BaseModel):
        a: str

    set_tracing_disabled(True)
    client = AsyncOpenAI(base_url=base, api_key=KEY, max_retries=0)
    model = OpenAIChatCompletionsModel(model="fake", openai_client=client)
    agent = Agent(name="ask", instructions="Answer.", model=model, output_type=Out)

    async def call() -> object:
        if not stream:
            return (await Runner.run(agent, "What is a?")).final_output
        result = Runner.run_streamed(agent, "What is a?")
        async for _ in result.stream_events():
            pass
        return result.final_output

    return call


def langgraph(base: str, stream: bool) -> Call:
    from langchain_openai import ChatOpenAI
    from langgraph.graph import END, START, StateGraph
    from pydantic import BaseModel, SecretStr
    from typing_extensions import TypedDict

    class Out(BaseModel):
        a: str

    class State(TypedDict):
        answer: Any

    chat = ChatOpenAI(
        model="fake", base_url=base, api_key=SecretStr(KEY), max_retries=0, streaming=stream
    )
    asked = chat.with_structured_output(Out, method="json_schema")

    async def ask(state: State) -> State:
        return {"answer": await asked.ainvoke("What is a?")}

    graph = StateGraph(State)
    graph.add_node("ask", ask)
    graph.add_edge(START, "ask")
    graph.add_edge("ask", END)
    compiled = graph.compile()

    async def call() -> object:
        return (await compiled.ainvoke({"answer": None}))["answer"]

    return call


def pydantic_ai(base: str, stream: bool) -> Call:
    from pydantic import BaseModel
    from pydantic_ai import Agent, NativeOutput
    from pydantic_ai.models.openai import OpenAIChatModel
    from pydantic_ai.providers.openai import OpenAIProvider

    class Out(BaseModel):
        a: str

    model = OpenAIChatModel("fake", provider=OpenAIProvider(base_url=base, api_key=KEY))
    agent = Agent(model, output_type=NativeOutput(Out), retries=0)

    async def call() -> object:
        if not stream:
            return (await agent.run("What is a?")).output
        async with agent.run_stream("What is a?") as result:
            return await result.get_output()

    return call


CLIENTS: dict[str, Callable[[str, bool], Call]] = {
    "httpx": httpx_,
    "openai SDK": openai_,
    "OpenAI Agents SDK": agents,
    "LangGraph, ChatOpenAI": langgraph,
    "PydanticAI": pydantic_ai,
    "LiteLLM": litellm_,
}
ORCH = {"orch": "openai/fake", "orch, litellm/": "litellm/openai/fake"}


async def measure(make: Callable[[str, bool], Call], base: str, n: int, width: int, stream: bool
                  ) -> tuple[float, float]:  # fmt: skip
    """CPU seconds until the first answer, and for the calls after it."""
    call = make(base, stream)
    await call()
    first = time.process_time()
    free = asyncio.Semaphore(width)

    async def one() -> None:
        async with free:
            await call()

    await asyncio.gather(*[one() for _ in range(n)])
    return first, time.process_time() - first


PROGRAM = """orch 1
model planner {{ id = "python/plans:plan" }}
model m {{ id = "{id}"  api_base = "{base}"  structured = native }}
/// Answers a question.
worker ask(q: string) -> {{ a: string }} via llm {{ model = m  prompt = "{{{{ q }}}}" }}
/// What a child could do, so that its decisions are streamed.
worker look(q: string) -> string via command {{ run = ["true"]  parse = text  effect = read }}
/// Answers a question with one decision.
orchestrator child(q: string) -> {{ a: string }} {{
  model = m  goal = "{{{{ q }}}}"  workers = [look]  policy {{ max_rounds = 1 }}
}}
orchestrator main() -> int {{
  model = planner  goal = "g"  workers = [{worker}]
  policy {{ max_rounds = 4  max_per_round = {n}  max_parallel = {width} }}
}}
"""
PLANS = """import time
marks = []
def plan(state):
    marks.append(time.process_time())
    number = {1: 1, 2: N}.get(state.round)
    if number is None:
        return {"assessment": "done", "finish": state.round}
    return {"assessment": "ask", "tasks": [
        {"id": f"t{state.round}_{i}", "worker": WORKER, "input": {"q": f"What is a{i}?"}}
        for i in range(number)]}
"""


def run_orch(name: str, base: str, n: int, width: int, stream: bool) -> tuple[float, float]:
    """The same for a run of orch: its first round makes one call, its second all others."""
    import engine

    worker = "child" if stream else "ask"
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "main.orch"
        file.write_text(
            PROGRAM.format(id=ORCH[name], base=base, worker=worker, n=max(n, 1), width=width)
        )
        planner = PLANS.replace("WORKER", repr(worker)).replace("N}", f"{n}}}")
        (Path(folder) / "plans.py").write_text(planner)
        run = engine.load(file).run("main", journal=str(Path(folder) / "journal"))
        # Two rounds of calls, and three decisions of the planner.
        if run.status != "finished" or run.report()["calls"] < n + 4:
            raise SystemExit(f"{run.status}: {run.reason}")
    plans = [vars(m) for m in list(sys.modules.values()) if isinstance(vars(m).get("marks"), list)]
    marks = plans[0]["marks"]
    return marks[1], marks[2] - marks[1]


def main() -> None:
    name, port, n, width = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
    stream = sys.argv[5] == "stream"
    os.environ["OPENAI_API_KEY"] = KEY
    if name in ORCH:
        base = f"http://127.0.0.1:{port}/{'decision' if stream else 'output'}/v1"
        first, rest = run_orch(name, base, n, width, stream)
    else:
        base = f"http://127.0.0.1:{port}/output/v1"
        first, rest = asyncio.run(measure(CLIENTS[name], base, n, width, stream))
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"first_s": first, "call_ms": rest / n * 1000, "memory_mb": memory}))


if __name__ == "__main__":
    main()
