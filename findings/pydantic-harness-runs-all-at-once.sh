#!/usr/bin/env bash
# A script of `DynamicWorkflow` (pydantic-ai-harness 0.62.0) runs every sub-agent of a gather at once.
#
# There is a bound on how many calls a script makes in all (`max_agent_calls`, 50 by default), and none
# on how many run at a time: 45 items are 45 requests in flight. A provider's rate limit is met by the
# models alone.
set -euo pipefail
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check \
  "pydantic-ai-harness[dynamic-workflow]==0.62.0"
"$work/venv/bin/python" - <<'PYTHON'
import asyncio
import dataclasses

from pydantic_ai import Agent
from pydantic_ai.messages import ModelResponse, TextPart, ToolCallPart
from pydantic_ai.models.function import FunctionModel
from pydantic_ai_harness import DynamicWorkflow

ITEMS = 45
SCRIPT = f"""
import asyncio

answers = await asyncio.gather(*[reader(task=str(item)) for item in range({ITEMS})])
len(answers)
"""
running = 0
most = 0
all_here = asyncio.Event()


async def read(messages, info):
    global running, most
    running += 1
    most = max(most, running)
    if running == ITEMS:
        all_here.set()
    await asyncio.wait_for(all_here.wait(), 60)
    running -= 1
    return ModelResponse(parts=[TextPart("read")])


async def plan(messages, info):
    if len(messages) == 1:
        return ModelResponse(parts=[ToolCallPart("run_workflow", {"code": SCRIPT})])
    return ModelResponse(parts=[TextPart(str(messages[-1].parts[0].content))])


reader = Agent(FunctionModel(read), name="reader", description="reads an item")
workflow = DynamicWorkflow(agents=[reader])
planner = Agent(FunctionModel(plan), capabilities=[workflow])
result = asyncio.run(planner.run("Read all."))
settings = {field.name: getattr(workflow, field.name) for field in dataclasses.fields(workflow)}
print("items", ITEMS, "at once", most, "answer", result.output)
print("max_agent_calls", settings["max_agent_calls"])
assert (most, result.output) == (ITEMS, str(ITEMS)), "the behaviour has changed"
assert settings["max_agent_calls"] == 50, "the default has changed"
PYTHON
