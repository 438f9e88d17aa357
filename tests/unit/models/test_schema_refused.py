"""A provider that refuses the schema of an answer is asked again with the schema in the prompt."""

import json

import model_server as play
import pytest

import engine

pytestmark = [
    # LiteLLM gives pydantic objects of shapes that its own classes do not declare.
    pytest.mark.filterwarnings("ignore:Pydantic serializer warnings"),
    pytest.mark.filterwarnings("ignore:Item '.*' on TypedDict class:UserWarning:pydantic"),
    pytest.mark.filterwarnings("ignore:Accessing the 'model_.*' attribute:DeprecationWarning"),
]

SOURCE = """orch 1
model m {{
  id = "{name}"  api_base = "{url}"  structured = native
  retry {{ max = 1  backoff = 1ms }}
}}
worker look(q: string) -> {{ a: string }} via llm {{ model = m  prompt = "{{{{ q }}}}" }}
orchestrator main() -> {{ n: int }} {{
  model = m  goal = "g"  workers = [look]
  policy {{ max_rounds = 3 }}
}}
"""
REFUSAL = play.error(
    400, "Invalid schema for response_format 'decision_main': too many unions", code="bad"
)


@pytest.fixture(params=["openai/test", "litellm/openai/test"])
def workflow(request, server, tmp_path):
    file = tmp_path / "main.orch"
    file.write_text(SOURCE.format(name=request.param, url=server.url))
    return engine.load(file)


def answer(value):
    return play.reply(json.dumps(value))


def test_the_schema_goes_into_the_prompt_for_the_rest_of_the_run(workflow, server):
    task = {"id": "a", "worker": "look", "input": {"q": "why"}}
    server.play(
        REFUSAL, answer({"tasks": [task]}), answer({"a": "so"}), answer({"finish": {"n": 1}})
    )
    run = workflow.run()
    assert (run.status, run.output) == ("finished", {"n": 1})
    asked = ["response_format" in body for body in server.requests]
    assert asked == [True, False, False, False]
    (warning,) = run.warnings
    assert "refused the schema" in warning
    # What the model reads tells the form that it is asked for.
    first, second = (body["messages"][0]["content"] for body in server.requests[:2])
    assert '"finish": []' in first
    assert '{"assessment": "...", "finish": {...}}' in second
    assert (
        '"$defs"' in server.requests[2]["messages"][0]["content"]
        or "JSON Schema" in (server.requests[2]["messages"][0]["content"])
    )


def test_it_costs_no_retry_and_happens_once(workflow, server):
    server.play(REFUSAL, REFUSAL, answer({"finish": {"n": 1}}))
    run = workflow.run()
    # Without a schema the same words refuse the request itself: that is not worth a retry.
    assert run.status == "failed"
    assert len(server.requests) == 2


def test_another_refusal_is_not_taken_for_one_of_the_schema(workflow, server):
    server.play(play.error(400, "frequency is out of range"))
    run = workflow.run()
    assert (run.status, run.warnings) == ("failed", ())
    assert len(server.requests) == 1
