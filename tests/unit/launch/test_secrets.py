"""Secrets in whole runs: what is refused before one, and what comes back during it."""

from __future__ import annotations

import asyncio
import base64
import importlib.util
import io
import json
import logging
import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import engine
from engine.cli import app
from engine.distributed.library import secrets_of
from engine.drive import launch
from engine.drive.launch import Options
from engine.events import GateAnswered, encode_event
from engine.redaction import Redactor, bound

TOKEN = "hunter2/hunter2=="
KEY = "sk-0123456789abcdefghij"
HEAD = """orch 1
secret TOKEN
secret PIN
param who: string = "x"
param number: int = 1
model planner {{ id = "scripted/none.json" }}
{more}
orchestrator main(topic: json = null) -> json {{
  model = planner  goal = "g {{{{ topic }}}} {{{{ param.who }}}} {{{{ param.number }}}}"
  workers = [{workers}]  policy {{ max_rounds = 2 }}
  {settings}
}}
"""
GIVE = 'worker give() -> json via python { call = "tools:give" }'
GATE = "verify { before_dispatch give { with = boss } }"
BOSS = 'verifier boss(task: json) via human { message = "May it?" }'


def _support(name: str) -> Any:
    path = Path(__file__).parents[2] / "support" / f"{name}.py"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules.setdefault(name, module)
    spec.loader.exec_module(module)
    return module


http_server = _support("http_server")
model_server = _support("model_server")


@pytest.fixture
def load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., engine.Workflow]:
    monkeypatch.setenv("TOKEN", TOKEN)
    monkeypatch.setenv("PIN", "83712345")
    monkeypatch.setenv("OPENAI_API_KEY", KEY)

    def load(
        more: str = GIVE, tools: str = "", settings: str = "", **params: Any
    ) -> engine.Workflow:
        workers = [line.split("(")[0][7:] for line in more.splitlines() if line[:7] == "worker "]
        text = HEAD.format(more=more, workers=", ".join(workers), settings=settings)
        (tmp_path / "main.orch").write_text(text)
        (tmp_path / "tools.py").write_text(tools or "def give():\n    return 1\n")
        return engine.load(tmp_path / "main.orch", params=params)

    return load


def plan(*workers: str, finish: Any = None) -> engine.Scripted:
    tasks = [{"id": name, "worker": name, "input": {}} for name in workers]
    return engine.Scripted(
        [{"assessment": "", "tasks": tasks}, {"assessment": "", "finish": finish}]
    )


def journal_of(run: engine.Run) -> str:
    return "\n".join(encode_event(event).decode() for event in run.journal.read(run.id))


# ---------------------------------------------------------------- refused


@pytest.mark.parametrize(
    ("params", "topic", "words"),
    [
        ({"who": f"t-{TOKEN}"}, None, "param `who` holds the value of the secret TOKEN"),
        ({"who": KEY}, None, "param `who` holds the value of the secret OPENAI_API_KEY"),
        ({"number": 83712345}, None, "param `number` holds the value of the secret PIN"),
        ({"number": "83712345"}, None, "param `number` holds the value of the secret PIN"),
        ({}, 83712345.0, "input `topic` holds the value of the secret PIN"),
        ({}, {"a": [{TOKEN: 1}]}, "input `topic` holds the value of the secret TOKEN"),
        (
            {},
            base64.b64encode(f"u:{TOKEN}".encode()).decode(),
            "input `topic` holds the value of the secret TOKEN",
        ),
    ],
)
def test_a_param_or_an_input_may_hold_no_secret(
    load: Any, params: Any, topic: Any, words: str
) -> None:
    workflow = load(**params)
    with pytest.raises(engine.InputError) as caught:
        workflow.run(models={"planner": engine.Scripted([])}, topic=topic)
    assert words in str(caught.value)
    assert TOKEN not in str(caught.value)


def test_a_param_of_the_environment_counts_too(load: Any, monkeypatch: Any) -> None:
    monkeypatch.setenv("ORCH_PARAM_WHO", f"t-{TOKEN}")
    with pytest.raises(engine.InputError, match="param `who` holds"):
        load().run(models={"planner": engine.Scripted([])})


def test_no_file_of_the_program_may_hold_one(load: Any) -> None:
    workflow = load(f"{GIVE}\n// The key is {TOKEN}, and the PIN 8371.")
    with pytest.raises(engine.InputError, match=r"the file main\.orch holds .* TOKEN"):
        workflow.run(models={"planner": engine.Scripted([])})


def test_a_secret_that_is_a_word_of_the_program_is_let_pass(load: Any, monkeypatch: Any) -> None:
    monkeypatch.setenv("TOKEN", "planner")
    run = load().run(models={"planner": plan("give", finish=2)})
    assert run.status == "finished"


@pytest.mark.parametrize(
    ("answer", "part"),
    [
        ({"note": f"use {TOKEN}"}, "the note"),
        ({"by": KEY}, "the name of who answers"),
        ({"edit": {"n": 83712345}}, "the edited input or plan"),
        ({"output": [TOKEN]}, "the output"),
    ],
)
def test_an_answer_with_a_secret_is_refused(load: Any, answer: Any, part: str) -> None:
    run = load(f"{GIVE}\n{BOSS}", settings=GATE).run(models={"planner": plan("give")})
    assert run.status == "waiting"
    with pytest.raises(engine.UsageError, match=f"{part} holds the value of the secret"):
        engine.resume(run.id, journal=run.journal, reply=engine.Reply("approve", **answer))


def test_a_reason_with_a_secret_is_refused(load: Any) -> None:
    run = load(f"{GIVE}\n{BOSS}", settings=GATE).run(models={"planner": plan("give")})
    with pytest.raises(engine.UsageError, match="the reason holds the value of the secret PIN"):
        asyncio.run(launch.cancel(run.id, run.journal, Options(), "it is 83712345"))


def test_who_drives_a_run_cleans_what_others_say(load: Any) -> None:
    """A process that knows no secrets can hand over an answer with one."""
    options = Options(models={"planner": plan("give")})
    workflow = load(f"{GIVE}\n{BOSS}", settings=GATE)
    journal = engine.MemoryJournal()
    chosen = launch.choose(workflow.program, None)
    state = asyncio.run(launch.start(workflow.program, chosen, {}, journal, options))
    (gate,) = state.gates
    said = GateAnswered(at=state.now, key=gate, answer="reject", note=f"not {TOKEN}", by=KEY)
    options.on_driver = lambda driver: driver.feed(said)
    asyncio.run(launch.resume(state.run, journal, options))
    told = "\n".join(encode_event(event).decode() for event in journal.read(state.run))
    assert "not [secret TOKEN]" in told
    assert TOKEN not in told


# ---------------------------------------------------------------- what comes back


def test_keys_of_providers_are_redacted_like_secrets(load: Any) -> None:
    tools = "import os\ndef give():\n    return [os.environ['OPENAI_API_KEY'], 83712345]\n"
    run = load(tools=tools).run(models={"planner": plan("give", finish=2)})
    told = journal_of(run) + json.dumps(run.report())
    assert "[secret OPENAI_API_KEY]" in told
    assert "[secret PIN]" in told
    assert KEY not in told
    assert "83712345" not in told


def test_a_recording_is_cleaned_before_it_is_written(load: Any, tmp_path: Path) -> None:
    planner = plan("give", finish={"pin": 83712345, "key": TOKEN})
    workflow = load()
    run = workflow.run(models={"planner": planner}, record=tmp_path / "rec")
    expected = {"pin": "[secret PIN]", "key": "[secret TOKEN]"}
    assert run.output == expected
    kept = "".join(path.read_text() for path in (tmp_path / "rec").iterdir())
    assert "[secret PIN]" in kept
    assert TOKEN not in kept
    assert "83712345" not in kept
    again = workflow.run(models={"planner": f"recorded/{tmp_path / 'rec'}"})
    assert (again.status, again.output) == ("finished", expected)


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    """All that is logged, as in a host program that looks closely."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    root, level = logging.getLogger(), logging.getLogger().level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    # LiteLLM turns this one down when it is imported.
    httpx, its_level = logging.getLogger("httpx"), logging.getLogger("httpx").level
    httpx.setLevel(logging.NOTSET)
    yield stream
    httpx.setLevel(its_level)
    root.removeHandler(handler)
    root.setLevel(level)


HTTP = """worker give() -> json via http {{
  url = "{url}/a?key=" ~ secret.TOKEN  query = {{ pin: secret.PIN }}
  headers = {{ "X-Key": secret.TOKEN }}  timeout = 5s
}}"""


def test_libraries_log_no_secret(load: Any, log: io.StringIO) -> None:
    with http_server.Site() as site:
        site.pages["/a"] = http_server.send({}, headers={"X-Back": TOKEN})
        run = load(HTTP.format(url=site.url)).run(models={"planner": plan("give", finish=2)})
    assert run.status == "finished"
    told = log.getvalue()
    assert "HTTP Request: GET" in told
    assert "[secret TOKEN]" in told
    assert "hunter2" not in told
    assert "83712345" not in told


@pytest.mark.filterwarnings("ignore:Pydantic serializer warnings")
@pytest.mark.filterwarnings("ignore:Accessing the 'model_.*' attribute:DeprecationWarning")
def test_a_streamed_answer_is_cleaned_though_it_comes_in_pieces(
    load: Any, log: io.StringIO
) -> None:
    task = {"id": "give", "worker": "give", "input": {}}
    said = json.dumps({"assessment": f"{TOKEN} {KEY}", "tasks": [task], "finish": None})
    end = json.dumps({"assessment": "", "tasks": None, "finish": {"pin": 83712345, TOKEN: 1}})
    with model_server.ModelServer() as server:
        pieces = [[text[at : at + 3] for at in range(0, len(text), 3)] for text in (said, end)]
        server.play(*map(model_server.stream, pieces))
        more = f'{GIVE}\nmodel m {{ id = "openai/m"  api_base = "{server.url}" }}'
        workflow = load(more)
        text = Path(workflow.program.path).read_text().replace("model = planner", "model = m")
        Path(workflow.program.path).write_text(text)
        run = engine.load(workflow.program.path).run()
        sent = json.dumps(server.requests)
    assert run.output == {"pin": "[secret PIN]", "[secret TOKEN]": 1}
    for told in (journal_of(run), log.getvalue(), sent):
        assert "83712345" not in told
        assert TOKEN not in told
        assert KEY not in told


def test_a_secret_that_is_inherited_is_one_that_a_host_needs(load: Any) -> None:
    commands = """worker give() -> json via command {
  run = ["give"]  effect = read  timeout = 5s  env { inherit = ["PIN", "OPENAI_API_KEY"] }
}
worker none() -> json via command { run = ["none"]  effect = read  timeout = 5s }"""
    program = load(commands).program
    assert secrets_of(program, program.workers["give"]) == ["PIN"]
    assert secrets_of(program, program.workers["none"]) == []


def test_a_report_of_a_crash_holds_no_key(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.setenv("TOKEN", TOKEN)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with bound(Redactor({"TOKEN": TOKEN})):
        app._crashed(RuntimeError(f"no luck with {KEY} and {TOKEN}"))
    (report,) = tmp_path.iterdir()
    for told in (report.read_text(), capsys.readouterr().err):
        assert "no luck with [secret OPENAI_API_KEY] and [secret TOKEN]" in told
        assert KEY not in told


def test_the_environment_of_the_process_stays_as_it_is(load: Any) -> None:
    before = dict(os.environ)
    load().run(models={"planner": plan("give", finish=2)})
    assert dict(os.environ) == before
