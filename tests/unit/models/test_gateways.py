"""Both gateways against a real server on loopback that plays OpenAI's protocol, faults included.

What LiteLLM and the direct way give must be the same: replies, usage, failures.
"""

import asyncio
import json
import os
import socket
import subprocess
import sys

import model_server as play
import pytest

import engine
from engine.errors import Failure
from engine.events import ModelInfo, Usage
from engine.models.answers import messages_of
from engine.models.litellm import LiteLLMModel
from engine.models.openai_gateway import OpenAIModel
from engine.runtime.ports import Message

KEY = "sk-test-0123456789abcdef"

pytestmark = [
    # LiteLLM gives pydantic objects of shapes that its own classes do not declare.
    pytest.mark.filterwarnings("ignore:Pydantic serializer warnings"),
    pytest.mark.filterwarnings("ignore:Item '.*' on TypedDict class:UserWarning:pydantic"),
    pytest.mark.filterwarnings("ignore:Accessing the 'model_.*' attribute:DeprecationWarning"),
]


@pytest.fixture(scope="module")
def runner():
    with asyncio.Runner() as running:
        yield running


@pytest.fixture(scope="module", params=[LiteLLMModel, OpenAIModel])
def gateway(runner, request):
    """Each way to a model, with the same results; one for the module: an import costs seconds."""
    model = request.param("openai/test")
    yield model
    runner.run(model.close())


@pytest.fixture
def ask(gateway, runner, server, request_of, capfd, monkeypatch):
    """Asks the gateway; whatever happens, nothing may be printed."""
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)

    def run(*answers, options=None, **changes):
        server.play(*answers)
        options = {"api_base": server.url, "api_key": KEY, **(options or {})}
        try:
            return runner.run(gateway.complete(request_of(options=options, **changes)))
        finally:
            assert capfd.readouterr() == ("", "")

    return run


def fails(ask, *answers, **changes):
    with pytest.raises(Failure) as caught:
        ask(*answers, **changes)
    return caught.value


def test_text_and_usage_come_back(ask, server):
    info = ModelInfo("openai/test", input_usd=250_000, output_usd=2_000_000)
    reply = ask(play.reply("hello"), info=info, options={"temperature": 0.5, "seed": 7})
    assert reply.value == "hello"
    # 11 * $0.25/M + 7 * $2/M = 16.75 micro-dollars, rounded up.
    assert reply.usage == Usage(
        input_tokens=11, output_tokens=7, cached_tokens=3, cost_micro_usd=17
    )
    (body,) = server.requests
    assert body["messages"] == [{"role": "user", "content": "Say hello."}]
    assert (body["max_tokens"], body["temperature"], body["seed"]) == (100, 0.5, 7)
    assert "response_format" not in body
    assert server.headers[0]["authorization"] == f"Bearer {KEY}"


def test_an_unknown_price_stays_unknown(ask):
    assert ask(play.reply("hello")).usage.cost_micro_usd is None


def test_missing_usage_is_none(ask):
    assert ask(play.reply("hello", usage=None)).usage is None


def test_extra_options_reach_the_server(ask, server):
    ask(play.reply("hello"), options={"extra": {"logit_bias": {"5": 1}}})
    assert server.requests[0]["logit_bias"] == {"5": 1}
    assert "extra" not in server.requests[0]


def test_a_schema_is_sent_strictly_where_it_may_be(ask, server):
    schema = {
        "type": "object",
        "properties": {"text": {"type": "string"}},
        "required": ["text"],
        "additionalProperties": False,
    }
    ask(play.reply('{"text": "hi"}'), schema=schema, structured=True)
    sent = server.requests[0]["response_format"]
    assert sent["type"] == "json_schema"
    assert sent["json_schema"]["schema"] == schema
    assert sent["json_schema"]["strict"] is True
    assert sent["json_schema"]["name"] == "decision_research"
    info = ModelInfo("groq/test", dialect="llamacpp")
    ask(play.reply("{}"), schema={"type": "object"}, structured=True, info=info)
    assert server.requests[0]["response_format"]["json_schema"]["strict"] is False


def test_a_schema_in_the_prompt_is_not_sent(ask, server):
    ask(play.reply("{}"), schema={"type": "object"}, structured=False)
    assert "response_format" not in server.requests[0]


@pytest.mark.parametrize("stream", [False, True])
def test_too_many_requests(ask, server, stream):
    failure = fails(ask, play.error(429, "slow down", headers={"Retry-After": "7"}), stream=stream)
    assert (failure.mode, failure.retryable) == ("rate_limited", True)
    assert failure.retry_after_ms == 7_000
    assert failure.message == "openai/test: slow down"
    assert len(server.requests) == 1, "the engine retries, not the gateway"


def test_an_empty_account_is_not_worth_a_retry(ask):
    failure = fails(ask, play.error(429, "You exceeded your current quota", code="x"))
    assert (failure.mode, failure.retryable) == ("unavailable", False)


@pytest.mark.parametrize("status", [500, 502, 503, 529])
def test_a_server_in_trouble(ask, server, status):
    failure = fails(ask, play.error(status, "boom", headers={"Retry-After": "2"}))
    assert (failure.mode, failure.retryable) == ("unavailable", True)
    assert failure.retry_after_ms == 2_000
    assert "boom" in failure.message
    assert len(server.requests) == 1


def test_a_wrong_key_is_not_worth_a_retry_and_never_shown(ask):
    failure = fails(ask, play.error(401, f"Incorrect API key provided: {KEY}"))
    assert (failure.mode, failure.retryable) == ("unavailable", False)
    assert failure.message == (
        "openai/test did not accept the key: Incorrect API key provided: ***"
    )


def test_an_unknown_model(ask):
    failure = fails(ask, play.error(404, "The model `test` does not exist", code="x"))
    assert (failure.mode, failure.retryable) == ("unavailable", False)
    assert "does not exist" in failure.message


def test_a_request_the_provider_does_not_take(ask):
    failure = fails(ask, play.error(400, "frequency is out of range"))
    assert (failure.mode, failure.retryable) == ("unavailable", False)
    assert failure.message == "openai/test: frequency is out of range"


def test_a_prompt_that_is_too_long(ask):
    words = "This model's maximum context length is 4096 tokens"
    failure = fails(ask, play.error(400, words, code="context_length_exceeded"))
    assert (failure.mode, failure.retryable) == ("context_overflow", False)


def test_refusals(ask):
    for answer in (
        play.error(400, "rejected by the safety system", code="content_policy_violation"),
        play.reply(None, finish_reason="content_filter"),
        play.reply(None, refusal="I cannot help with that."),
    ):
        failure = fails(ask, answer)
        assert (failure.mode, failure.retryable) == ("refused", False)
    assert failure.message == "openai/test refused to answer: I cannot help with that."
    assert failure.usage.input_tokens == 11, "a refusal is paid for"


def test_an_answer_that_was_cut_says_so(ask):
    failure = fails(ask, play.reply('{"half', finish_reason="length"))
    assert (failure.mode, failure.retryable) == ("invalid_output", False)
    assert failure.message == "the answer of openai/test was cut at `max_tokens` = 100"
    assert failure.usage == Usage(
        input_tokens=11, output_tokens=7, cached_tokens=3, cost_micro_usd=None
    )


@pytest.mark.parametrize("text", [None, "", " \n"])
def test_an_empty_answer(ask, text):
    failure = fails(ask, play.reply(text))
    assert (failure.mode, failure.retryable) == ("invalid_output", True)


def test_no_choices(ask):
    body = {"id": "1", "object": "chat.completion", "created": 1, "model": "t", "choices": []}
    failure = fails(ask, play.raw(200, json.dumps(body).encode()))
    assert failure.mode == "invalid_output"


@pytest.mark.parametrize("body", [b"<html>gateway</html>", b'{"x": 1}', b"[]", b'{"choices": [{'])
def test_what_is_not_the_protocol(ask, body):
    failure = fails(ask, play.raw(200, body))
    assert (failure.mode, failure.retryable) == ("unavailable", True)
    assert "\n" not in failure.message
    assert "Traceback" not in failure.message


@pytest.mark.parametrize("answer", [play.hang, play.drip])
@pytest.mark.parametrize("stream", [False, True])
def test_no_answer_in_time(ask, answer, stream):
    failure = fails(ask, answer(), timeout_ms=150, stream=stream)
    assert (failure.mode, failure.retryable) == ("timeout", True)


def test_nobody_listens(ask):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    failure = fails(ask, options={"api_base": f"http://127.0.0.1:{port}/v1"})
    assert (failure.mode, failure.retryable) == ("unavailable", True)


def test_a_stream_gives_the_same_reply(ask, server):
    reply = ask(play.stream(["hel", "lo"]), stream=True)
    assert reply.value == "hello"
    assert reply.usage == Usage(
        input_tokens=11, output_tokens=7, cached_tokens=3, cost_micro_usd=None
    )
    assert server.requests[0]["stream"] is True
    assert server.requests[0]["stream_options"] == {"include_usage": True}


def test_a_stream_without_usage(ask):
    assert ask(play.stream(["hello"], usage=None), stream=True).usage is None


@pytest.mark.parametrize(
    "answer",
    [
        play.cut(["hel", "lo"]),
        play.stream(["hel", "lo"], usage=None, finish_reason=None, done=False),
        play.stream(["hel", "lo"], usage=None, finish_reason=None),
    ],
)
def test_a_cut_stream_is_no_answer(ask, answer):
    failure = fails(ask, answer, stream=True)
    assert (failure.mode, failure.retryable) == ("unavailable", True)
    assert "Original exception" not in failure.message


def test_a_server_that_knows_no_streams_is_asked_without(ask, server, gateway, monkeypatch):
    # LiteLLM drops what comes in one piece and has to be asked again; put back what that changes.
    direct = isinstance(gateway, OpenAIModel)
    if not direct:
        monkeypatch.setattr(gateway, "_streams", True)
    reply = ask(play.unstreamed("whole"), play.unstreamed("whole"), stream=True)
    assert reply.value == "whole"
    asked = [True] if direct else [True, False]
    assert [body.get("stream", False) for body in server.requests] == asked


def test_a_stream_cut_by_length(ask):
    failure = fails(ask, play.stream(["hel"], finish_reason="length"), stream=True)
    assert failure.mode == "invalid_output"
    assert failure.usage.output_tokens == 7


def test_a_server_of_ones_own_needs_no_key(runner, gateway, server, request_of, monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    server.play(play.reply("hello"))
    reply = runner.run(gateway.complete(request_of(options={"api_base": server.url})))
    assert reply.value == "hello"


@pytest.mark.parametrize(
    ("model_id", "variable"),
    [
        ("openai/gpt-5-mini", "OPENAI_API_KEY"),
        ("anthropic/claude-sonnet-4-5", "ANTHROPIC_API_KEY"),
        ("gemini/gemini-2.5-pro", "GEMINI_API_KEY"),
    ],
)
def test_a_missing_key_is_named(runner, request_of, monkeypatch, capfd, model_id, variable):
    for name in (variable, "GOOGLE_API_KEY", "ANTHROPIC_AUTH_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    model = LiteLLMModel(model_id)
    with pytest.raises(Failure) as caught:
        runner.run(model.complete(request_of()))
    failure = caught.value
    assert (failure.mode, failure.retryable) == ("unavailable", False)
    assert failure.message == f"{model_id} needs a key: set {variable} in the environment"
    assert capfd.readouterr() == ("", "")


def test_an_id_without_a_provider(runner, request_of, capfd):
    with pytest.raises(Failure) as caught:
        runner.run(LiteLLMModel("nobody/knows").complete(request_of()))
    assert (caught.value.mode, caught.value.retryable) == ("unavailable", False)
    assert caught.value.message == "`nobody/knows` names no provider; write it as PROVIDER/MODEL"
    assert capfd.readouterr() == ("", "")


def test_calls_run_side_by_side(runner, gateway, server, request_of):
    server.play(*[play.reply(f"answer {n}") for n in range(8)])
    request = request_of(options={"api_base": server.url, "api_key": KEY})

    async def all_at_once():
        return await asyncio.gather(*[gateway.complete(request) for _ in range(8)])

    replies = runner.run(all_at_once())
    assert sorted(reply.value for reply in replies) == [f"answer {n}" for n in range(8)]


def test_cancelling_a_call_frees_it(runner, gateway, server, request_of):
    server.play(play.hang())
    request = request_of(options={"api_base": server.url, "api_key": KEY}, timeout_ms=60_000)

    async def cancelled():
        call = asyncio.ensure_future(gateway.complete(request))
        while not server.requests:
            await asyncio.sleep(0)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call

    runner.run(cancelled())


def test_cache_marks_are_for_claude_and_at_most_four():
    messages = [Message("user", f"m{n}", cache=True) for n in range(6)]
    assert all(isinstance(m["content"], str) for m in messages_of(messages, marks=False))
    marked = [m["content"] for m in messages_of(messages, marks=True)]
    assert marked[:2] == ["m0", "m1"]
    assert [part["cache_control"] for (part,) in marked[2:]] == [{"type": "ephemeral"}] * 4


WORKFLOW = """orch 1
model gpt {{ id = "openai/gpt-5-mini"  api_base = "{url}"  retry {{ max = 1  backoff = 1ms }} }}
/// Answers one question.
worker answer(question: string) -> {{ text: string }} via llm {{
  model  = gpt
  prompt = "Answer: {{{{ question }}}}"
}}
orchestrator ask(topic: string) -> {{ summary: string }} {{
  model   = gpt
  goal    = "Explain {{{{ topic }}}}."
  workers = [answer]
  policy {{ max_rounds = 3  budget {{ cost = $0.50 }} }}
}}
"""


def test_a_run_is_recorded_and_replayed_with_the_same_cost(server, tmp_path, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    task = {"worker": "answer", "id": "a1", "input": {"question": "Why?"}}
    server.play(
        play.error(500, "boom"),
        play.reply(json.dumps({"assessment": "ask", "tasks": [task], "finish": None})),
        play.reply(json.dumps({"text": "Because."})),
        play.reply(json.dumps({"assessment": "ok", "tasks": None, "finish": {"summary": "B."}})),
    )
    file = tmp_path / "ask.orch"
    file.write_text(WORKFLOW.format(url=server.url))
    program = engine.load(str(file))
    journal = str(tmp_path / "journal.db")
    first = program.run("ask", topic="tea", record=tmp_path / "rec", journal=journal)
    assert (first.status, first.output) == ("finished", {"summary": "B."})
    # Three answers of 11 tokens in and 7 out: 17 micro-dollars each, as rounded up.
    assert first.usage.cost_micro_usd == 51
    sent = [body["response_format"]["json_schema"] for body in server.requests]
    assert [schema["strict"] for schema in sent] == [True] * 4
    assert [schema["name"] for schema in sent][1:3] == ["decision_ask", "worker_answer"]

    server.play()
    models = {"gpt": f"recorded/{tmp_path / 'rec'}"}
    again = program.run("ask", topic="tea", models=models, journal=journal)
    assert (again.status, again.output, again.usage) == ("finished", first.output, first.usage)
    assert server.requests == [], "a replay asks nobody"


#: A program of its own: two event loops after another, and an exit that must be silent.
PROGRAM = """
import asyncio, sys
import engine.models.registry as registry
assert "litellm" not in sys.modules
from engine.events import ModelInfo
from engine.runtime.ports import Message, ModelRequest
from engine.sema.model import Model
from engine.source import Span

name = sys.argv[2]
declared = Model("m", name, ".", Span("x.orch", 0, 0), options={"api_base": sys.argv[1]})
registry.warm([(declared, name)])
info = ModelInfo(name)
request = ModelRequest("k", "worker", "w", declared, info, (Message("user", "hi"),), None, False,
                       10, 10_000, lambda: None)

async def once(stream):
    model = registry.open_model(declared, info)
    reply = await model.complete(request if not stream else
                                 __import__("msgspec").structs.replace(request, stream=True))
    await model.close()
    print(reply.value)

asyncio.run(once(False))
asyncio.run(once(True))
assert ("litellm" in sys.modules) == name.startswith("litellm/")
"""


@pytest.mark.parametrize("name", ["openai/test", "litellm/openai/test"])
def test_a_whole_process_prints_nothing_of_its_own(server, name):
    server.play(play.reply("one"), play.stream(["t", "wo"]))
    environment = {k: v for k, v in os.environ.items() if not k.endswith("_API_KEY")}
    done = subprocess.run(
        [sys.executable, "-W", "error::ResourceWarning", "-c", PROGRAM, server.url, name],
        capture_output=True,
        text=True,
        env=environment,
        timeout=120,
        check=False,
    )
    assert (done.stdout, done.stderr, done.returncode) == ("one\ntwo\n", "", 0)
