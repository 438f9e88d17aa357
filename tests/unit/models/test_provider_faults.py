"""What providers were reported to do, played through whole runs, asked in either way.

Counts what arrives at the server: a failing model is asked once and once more for each retry, and
what it fails with ends the run as failed. What was not used is not booked.
"""

import json
from importlib.metadata import version

import model_server as play
import pytest

import engine

pytestmark = [
    # LiteLLM gives pydantic objects of shapes that its own classes do not declare.
    pytest.mark.filterwarnings("ignore:Pydantic serializer warnings"),
    pytest.mark.filterwarnings("ignore:Item '.*' on TypedDict class:UserWarning:pydantic"),
    pytest.mark.filterwarnings("ignore:Accessing the 'model_.*' attribute:DeprecationWarning"),
]

HTML = {"Content-Type": "text/html"}
PROGRAM = """orch 1
model m {{
  id = "{way}fake"  api_base = "{url}"  {settings}
  price {{ input = $1.00  output = $2.00 }}  max_tokens = 1k  timeout = {timeout}
  retry {{ max = 2  backoff = 1ms }}
}}
model other {{
  id = "openai/other"  api_base = "{url}"  price {{ input = $1.00  output = $2.00 }}
  max_tokens = 1k
}}
worker echo(text: string) -> string via command {{
  run = ["echo", text]  parse = text  effect = read
}}
orchestrator main() -> {{ n: int }} {{
  model = m  goal = "g"  workers = [echo]
  policy {{ max_rounds = 4  budget {{ cost = $1.00  time = {time} }} }}
}}
"""
ANSWER = json.dumps({"assessment": "a", "finish": {"n": 1}})
HALF = ANSWER[:24]
CHUNK = play.chunk
DONE = CHUNK({}, "stop")


@pytest.fixture
def words_are_known(request):
    """Whether the words of a failure are; those of other versions of LiteLLM differ."""
    direct = request.node.callspec.params["drive"] == "openai/"
    return direct or version("litellm") == "1.106.2"


@pytest.fixture(params=["openai/", "litellm/openai/"])
def drive(request, server, tmp_path, monkeypatch):
    """Runs the program against these answers, and gives the run."""
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)

    def run(*answers, always=None, settings="", timeout="20s", time="2m"):
        server.play(*answers, always=always)
        file = tmp_path / "main.orch"
        filled = PROGRAM.format(
            way=request.param, url=server.url, settings=settings, timeout=timeout, time=time
        )
        file.write_text(filled)
        return engine.load(file).run()

    return run


@pytest.mark.parametrize(
    "answer",
    [
        play.events(CHUNK({"content": [{"type": "text", "text": ANSWER}]}), DONE),
        play.events(CHUNK({"reasoning_content": "hm"}), CHUNK({"content": ANSWER}), DONE),
        play.reply(f'<think>{{"finish": {{"n": 9}}}}, or not?</think>\n{ANSWER}'),
        play.reply(f"Here it is:\n```json\n{ANSWER}\n```\nI hope that it helps."),
        play.events(*[CHUNK({"content": "-----"})] * 300, CHUNK({"content": f"\n{ANSWER}"}), DONE),
    ],
    ids=["parts", "reasoning", "thoughts", "prose", "dashes"],
)
def test_an_answer_is_found(drive, server, answer):
    run = drive(answer)
    assert (run.status, run.output, len(server.requests)) == ("finished", {"n": 1}, 1)


def broken(**error):
    return play.events(CHUNK({"content": HALF}), {"error": error}, usage=False, done=False)


@pytest.mark.parametrize(
    ("answer", "mode", "words"),
    [
        (play.raw(200, b"<html>hi</html>", HTML), "unavailable", "a web page"),
        (play.raw(502, b"<html>hi</html>", HTML), "unavailable", "a web page"),
        (broken(message="boom", code=500), "unavailable", "boom"),
        (broken(message="boom", code="server_error"), "unavailable", "boom"),
        (broken(message="boom", code=None), "unavailable", "boom"),
        (broken(message="boom", code=429), "rate_limited", "boom"),
        (broken(message="boom", code="rate_limit_exceeded"), "rate_limited", "boom"),
        (play.events(CHUNK({"content": HALF}), {"error": "boom"}), "unavailable", "boom"),
        (play.events(CHUNK({"content": HALF}), usage=False), "unavailable", "broke off"),
        (play.events(usage=False), "unavailable", "broke off"),
        (play.cut([HALF]), "unavailable", "closed"),
        (play.events(CHUNK({"reasoning_content": "hm"}), DONE), "invalid_output", "its reasoning"),
    ],
)  # fmt: skip
def test_what_may_pass_is_asked_once_and_for_each_retry(
    drive, server, answer, mode, words, words_are_known
):
    run = drive(always=answer)
    assert run.status == "failed"
    assert run.reason.startswith(f"model `m` failed, {mode}: ")
    assert words in run.reason or not words_are_known
    assert "Traceback" not in run.reason
    assert len(server.requests) == 3


@pytest.mark.parametrize(
    ("answer", "mode", "words"),
    [
        (play.events(CHUNK({"refusal": "I will not."}), DONE), "refused", ": I will not."),
        (play.error(422, "schema not supported"), "unavailable", "schema not supported"),
        (play.raw(422, b'{"detail": [{"loc": ["body"], "msg": "field required"}]}'),
         "unavailable", ": field required"),
        (play.error(413, "request too large"), "context_overflow", "request too large"),
        (play.reply(HALF, finish_reason="model_context_window_exceeded"), "context_overflow",
         "fill its context window"),
        (play.reply(HALF, finish_reason="MAX_TOKENS"), "invalid_output", "`max_tokens` = 1000"),
    ],
)  # fmt: skip
def test_what_will_not_pass_is_asked_once(drive, server, answer, mode, words, words_are_known):
    run = drive(always=answer)
    assert run.status == "failed"
    assert run.reason.startswith(f"model `m` failed, {mode}: ")
    assert words in run.reason or not words_are_known
    assert len(server.requests) == 1


def test_an_answer_that_breaks_off_is_asked_for_once_more(drive, server):
    run = drive(always=play.reply(HALF))
    assert run.status == "failed"
    assert "break off in the middle of their JSON" in run.reason
    assert len(server.requests) == 2


@pytest.mark.parametrize(("bad", "times"), [(HALF, 2), ('{"finish": {"n": "x"}}', 3)])
def test_the_fallback_is_asked_after_the_repairs(drive, server, bad, times):
    run = drive(
        *[play.reply(bad)] * times, always=play.reply(ANSWER), settings="fallback = [other]"
    )
    assert (run.status, run.output) == ("finished", {"n": 1})
    assert [body["model"] for body in server.requests] == ["fake"] * times + ["other"]


GOOGLE = {
    "error": {
        "code": 429,
        "message": "slow down",
        "details": [{"@type": "google.rpc.RetryInfo", "retryDelay": "34.5s"}],
    }
}


@pytest.mark.parametrize(
    ("answer", "asked"),
    [
        (play.error(429, "slow down", headers={"Retry-After": "30"}), "30 s"),
        (play.error(429, "slow down", headers={"retry-after-ms": "30000"}), "30 s"),
        (play.raw(429, json.dumps(GOOGLE).encode()), "34.5 s"),
    ],
)
def test_a_wait_that_outlasts_the_budget_is_not_begun(drive, server, answer, asked):
    run = drive(always=answer, time="15s")
    assert run.status == "failed"
    assert f"slow down; it asks to wait {asked}, and the time budget ends in 1" in run.reason
    assert len(server.requests) == 1
    assert (run.usage.input_tokens, run.usage.cost_micro_usd) == (0, 0)


def test_a_wait_of_an_hour_is_not_begun(drive, server):
    run = drive(always=play.error(429, "slow down", headers={"Retry-After": "3600"}), time="9h")
    assert "it asks to wait 60 min, and a retry waits 10 min at most" in run.reason
    assert len(server.requests) == 1


def test_a_fallback_is_asked_instead_of_a_long_wait(drive, server):
    slow = play.error(429, "slow down", headers={"Retry-After": "30"})
    run = drive(slow, always=play.reply(ANSWER), settings="fallback = [other]", time="15s")
    assert run.status == "finished"
    assert [body["model"] for body in server.requests] == ["fake", "other"]


@pytest.mark.parametrize(
    ("extra", "has", "lacks"),
    [
        ("stream: false", {}, ["stream_options"]),
        ("stream_options: null", {"stream": True}, ["stream_options"]),
        ("max_completion_tokens: 500", {"max_completion_tokens": 500}, ["max_tokens"]),
        ("max_tokens: null", {}, ["max_tokens"]),
    ],
)
def test_extra_options_replace_what_is_sent(drive, server, extra, has, lacks):
    run = drive(always=play.reply(ANSWER), settings=f"extra = {{ {extra} }}")
    assert run.status == "finished"
    (body,) = server.requests
    assert has.items() <= body.items()
    assert not set(lacks) & body.keys()
