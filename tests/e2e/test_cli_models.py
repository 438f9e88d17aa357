"""`orch models` as a process: what is known of models, and what works when they are asked."""

from __future__ import annotations

import json
import os

import model_server as play
import orch_fork
import pytest

PROGRAM = """\
orch 1
model planner {{
  id = "openai/gpt-5-mini"  api_base = "{url}"  price {{ input = $1.00  output = $2.00 }}
  structured = native  rpm = 60  fallback = [spare]
}}
model spare {{ id = "anthropic/claude-sonnet-4-5" }}
model acted {{ id = "scripted/plan.json" }}
orchestrator main() -> {{ n: int }} {{
  model = planner  goal = "g"  workers = [echo]
  policy {{ max_rounds = 1 }}
}}
worker echo(text: string) -> string via command {{ run = ["echo", text]  effect = read }}
"""
KEY = "sk-very-secret-0123456789"
GOOD = '{"ok": true, "word": "ready"}'
REFUSAL = play.error(400, "Invalid schema for response_format: too many unions")


@pytest.fixture(scope="module")
def server():
    with play.ModelServer() as running:
        yield running


@pytest.fixture
def models(tmp_path, server):
    (tmp_path / "main.orch").write_text(PROGRAM.format(url=server.url))
    (tmp_path / "plan.json").write_text("[]")

    def run(*arguments, **environment):
        clean = {k: v for k, v in os.environ.items() if not k.endswith("_API_KEY")}
        variables = {**clean, "ORCH_JOURNAL": "", **environment}
        return orch_fork.run(["models", *arguments], cwd=tmp_path, environment=variables)

    return run


def test_the_only_file_of_the_folder_is_listed(models):
    done = models()
    assert (done.returncode, done.stderr) == (0, "")
    head, planner, spare, acted = done.stdout.splitlines()
    assert " ".join(head.split()) == "model id asked dialect schemas context price key limits"
    for words in ("direct", "compatible", "native", "$1 / $2", "60 rpm", "then spare"):
        assert words in planner
    for words in ("litellm", "anthropic", "200.0k", "$3 / $15", "missing (ANTHROPIC_API_KEY)"):
        assert words in spare
    assert "not needed" in acted


def test_a_key_is_told_to_be_set_and_never_shown(models):
    done = models("main.orch", "spare", "--format", "json", ANTHROPIC_API_KEY=KEY)
    (spare,) = json.loads(done.stdout)
    assert (spare["key"], spare["key_variable"]) == ("set", "ANTHROPIC_API_KEY")
    assert (spare["input_usd"], spare["output_usd"]) == (3.0, 15.0)
    assert KEY not in done.stdout + done.stderr


def test_a_model_of_the_command_line_is_the_one_in_force(models, server):
    done = models("--format", "json", "planner", "--model", "planner=litellm/openai/gpt-5-mini")
    (planner,) = json.loads(done.stdout)
    assert (planner["id"], planner["way"]) == ("litellm/openai/gpt-5-mini", "litellm")
    assert models("--model", "other=a/b").returncode == 2
    unknown = models("main.orch", "planer")
    assert unknown.returncode == 2
    assert "did you mean `planner`?" in unknown.stderr


def test_a_check_asks_once_and_says_what_works(models, server):
    pieces = [play.chunk({"content": GOOD[:9]}), play.chunk({"content": GOOD[9:]})]
    server.play(play.events(*pieces, play.chunk({}, "stop")))
    done = models("main.orch", "--check", "planner", "acted")
    assert done.returncode == 0, done.stdout
    assert "asking 1 model: $0.00" in done.stderr
    assert " at most" in done.stderr
    head, planner, acted, cost = done.stdout.splitlines()
    assert " ".join(head.split()) == "model answer schema stream usage cached time cost"
    assert planner.split()[:5] == ["planner", "yes", "native", "2", "pieces"]
    assert "11 in, 7 out" in planner
    assert acted == "acted: not asked, `scripted/` needs no check"
    assert cost.startswith("cost: ")
    (body,) = server.requests
    assert (body["stream"], "response_format" in body) == (True, True)


def test_a_refused_schema_is_said_and_the_prompt_is_tried(models, server):
    server.play(REFUSAL, play.reply(GOOD))
    done = models("main.orch", "--check", "planner", "--format", "json")
    assert done.returncode == 0
    (found,) = json.loads(done.stdout)["models"]
    assert (found["answers"], found["structured"]) == (True, "refused")
    assert ["response_format" in body for body in server.requests] == [True, False]


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (play.error(401, "wrong key"), "did not accept the key: wrong key"),
        (play.reply("I am ready"), "the answer is not JSON"),
        (play.reply('{"ok": "yes", "word": "x"}'), "invalid_output"),
        (play.error(503, "busy"), "busy"),
    ],
)
def test_a_failure_is_a_sentence_and_code_1(models, server, answer, words):
    server.play(answer)
    done = models("main.orch", "--check", "planner")
    assert done.returncode == 1
    assert words in done.stdout
    assert "Traceback" not in done.stdout + done.stderr
    assert len(server.requests) == 1


def test_without_a_file_it_says_what_to_name(models, tmp_path):
    (tmp_path / "second.orch").write_text("orch 1\n")
    done = models()
    assert done.returncode == 2
    assert "`main.orch`" in done.stderr
