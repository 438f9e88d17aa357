"""PydanticAI's harness: a script over sub-agents, which its `DynamicWorkflow` runs in a sandbox.

It has no slots, so a semaphore in the models of the sub-agents holds back what is above them.
"""

from __future__ import annotations

import asyncio

from pydantic_ai import Agent
from pydantic_ai.messages import (
    ModelMessage,
    ModelResponse,
    TextPart,
    ToolCallPart,
    UserPromptPart,
)
from pydantic_ai.models.function import AgentInfo, FunctionModel
from pydantic_ai.usage import UsageLimits
from pydantic_ai_harness import DynamicWorkflow

from bench.plans.makespan import ITEMS, Story

SCRIPT = """
import asyncio

async def one(item):
    found = await read(task=str(item))
    return await judge(task=found)

judged = await asyncio.gather(*[one(item) for item in range(ITEMS)])
len(judged)
""".replace("ITEMS", str(ITEMS))


def _asked(messages: list[ModelMessage]) -> int:
    """The item that a sub-agent is given."""
    prompts = [part for part in messages[0].parts if isinstance(part, UserPromptPart)]
    return int(str(prompts[-1].content))


async def scripted(story: Story) -> None:
    slots = asyncio.Semaphore(story.slots)

    def sub_agent(name: str, stage: int) -> Agent[None, str]:
        async def answer(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
            async with slots:
                item = await story.work(stage, _asked(messages))
            return ModelResponse(parts=[TextPart(str(item))])

        return Agent(FunctionModel(answer), name=name, description=f"{name}s an item")

    async def plan(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        if len(messages) == 1:
            return ModelResponse(parts=[ToolCallPart("run_workflow", {"code": SCRIPT})])
        return ModelResponse(parts=[TextPart(str(messages[-1].parts[0].content))])  # type: ignore[union-attr]

    planner = Agent(
        FunctionModel(plan),
        capabilities=[
            DynamicWorkflow(
                agents=[sub_agent("read", 0), sub_agent("judge", 1)],
                max_agent_calls=2 * ITEMS,
                sub_agent_usage_limits=UsageLimits(request_limit=None),
            )
        ],
    )
    result = await planner.run("Judge all.", usage_limits=UsageLimits(request_limit=None))
    if result.output != str(ITEMS):
        raise AssertionError(result.output)
