"""One tiny call of a model, to see what works: `orch models --check`.

The call goes through the gateway, with the schema and in the dialect that a run would use, and is
streamed. Where the provider refuses the schema it is made once more with the schema in the prompt,
as a run does. Nothing is retried otherwise.
"""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec

from engine import clock
from engine.errors import Failure
from engine.events import ModelInfo, Usage
from engine.runtime.answer_text import NotJSON, find_json
from engine.runtime.budget import Reservation, prompt_bytes, reservation_for
from engine.runtime.ports import ChatModel, Message, ModelRequest, PolicyState, ready
from engine.runtime.prompts.blocks import answer_with
from engine.runtime.wire_schema import wire_output
from engine.runtime.wire_values import read_output
from engine.sema.model import Model
from engine.sema.types.contract import Contract

__all__ = ["Found", "most_of", "probe"]

_OUTPUT = Contract.of_schema(
    {
        "title": "check",
        "type": "object",
        "properties": {"ok": {"type": "boolean"}, "word": {"type": "string"}},
        "required": ["ok", "word"],
        "additionalProperties": False,
    }
)
_PROMPT = 'This checks a connection. Answer with `ok` = true and `word` = "ready".'
#: Room for the thoughts of a model that reasons.
_MAX_TOKENS = 1_000


class Found(msgspec.Struct, frozen=True):
    """What a check found.

    Attributes:
        name: Of the model.
        answers: Whether it gave an answer that fits the schema.
        structured: `native`, `prompt`, or `refused` where the schema was and the prompt did it.
        pieces: How many pieces the answer came in; 1 is not streamed.
        usage: Whether it said what it used.
        cached_tokens: How many of the prompt's tokens it said came from a cache.
        ms: How long it took.
        used: Tokens and cost as it said, or None.
        failure: What went wrong, in a sentence; "" if nothing did.
    """

    name: str
    answers: bool
    structured: str
    pieces: int
    usage: bool
    cached_tokens: int
    ms: int
    used: Usage | None
    failure: str


def most_of(model: Model, info: ModelInfo) -> Reservation:
    """The most that a check of a model can use."""
    # One that refuses the schema is asked twice, but a refused request is not billed.
    prompt = prompt_bytes(_messages(native=False))
    return reservation_for(info, prompt, min(model.max_tokens, _MAX_TOKENS))


def _native(model: Model, info: ModelInfo) -> bool:
    return info.native if model.structured == "auto" else model.structured == "native"


def _messages(*, native: bool) -> tuple[Message, ...]:
    if native:
        return (Message("user", _PROMPT),)
    return (Message("system", answer_with(_OUTPUT.schema)), Message("user", _PROMPT))


async def probe(model: Model, info: ModelInfo, opened: ChatModel) -> Found:
    """Ask a model once; raises nothing that a model can do."""
    pieces: list[str] = []
    native = _native(model, info)
    structured = "native" if native else "prompt"
    began = clock.running_s()
    try:
        await ready(opened)  # an import is not a slowness of the provider
        began = clock.running_s()
        async with asyncio.timeout(model.timeout_ms / 1000):
            try:
                reply = await opened.complete(_request(model, info, pieces, native=native))
            except Failure as failure:
                if not (native and failure.schema_refused):
                    raise
                structured = "refused"
                pieces.clear()
                reply = await opened.complete(_request(model, info, pieces, native=False))
    except Failure as failure:
        return _failed(model, structured, began, f"{failure.mode}: {failure.message}")
    except TimeoutError:
        said = f"timeout: no answer within {model.timeout_ms / 1000:g} s"
        return _failed(model, structured, began, said)
    problem = _problem(reply.value)
    return Found(
        name=model.name,
        answers=not problem,
        structured=structured,
        pieces=len(pieces) or 1,
        usage=reply.usage is not None,
        cached_tokens=0 if reply.usage is None else reply.usage.cached_tokens,
        ms=_since(began),
        used=reply.usage,
        failure=problem,
    )


def _request(model: Model, info: ModelInfo, pieces: list[str], *, native: bool) -> ModelRequest:
    wire = wire_output(_OUTPUT, info.dialect) if native else None
    return ModelRequest(
        key="check",
        role="worker",
        name="check",
        model=model,
        info=info,
        messages=_messages(native=wire is not None),
        schema=wire or _OUTPUT.schema,
        structured=wire is not None,
        max_tokens=min(model.max_tokens, _MAX_TOKENS),
        timeout_ms=model.timeout_ms,
        state=lambda: PolicyState(
            kind="worker", name="check", goal="", input={}, output_schema=_OUTPUT.schema
        ),
        stream=True,
        on_text=pieces.append,
    )


def _problem(value: Any) -> str:
    """What is wrong with an answer; "" if it fits."""
    try:
        read = read_output(find_json(value), _OUTPUT) if isinstance(value, str) else value
    except NotJSON as error:
        return f"invalid_output: the answer is not JSON: {error}"
    problems = _OUTPUT.problems(read)
    return f"invalid_output: {problems[0]}" if problems else ""


def _failed(model: Model, structured: str, began: float, said: str) -> Found:
    return Found(model.name, False, structured, 0, False, 0, _since(began), None, said)


def _since(began: float) -> int:
    return int((clock.running_s() - began) * 1000)
