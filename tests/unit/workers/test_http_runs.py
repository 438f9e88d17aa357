"""`http` workers in whole runs: retries, timeouts, secrets, taint, and their connections' end."""

import pytest
from http_server import drip, hang, redirect, send

import engine
from engine.events import CallFailed, CallFinished
from engine.sema.check import check_file

PROGRAM = """\
orch 1
secret TOKEN
model planner {{ id = "scripted/none.json" }}
worker look(q: string) -> json fails busy via http {{
  url     = "{url}/"
  query   = {{ q: q }}
  headers = {{ Authorization: "Bearer " ~ secret.TOKEN }}
  on_status {{ 429 = busy }}
  {more}
}}
orchestrator main(q: string) -> json {{
  model   = planner
  goal    = "Look {{{{ q }}}} up."
  workers = [look]
  policy  {{ max_rounds = 2 }}
}}
"""
DECISIONS = [
    {"assessment": "", "tasks": [{"id": "a", "worker": "look", "input": {"q": "x"}}]},
    {"assessment": "", "finish": {"done": True}},
]


@pytest.fixture
def run(tmp_path, site, monkeypatch):
    monkeypatch.setenv("TOKEN", "s3cret-value")

    def run(more):
        path = tmp_path / "main.orch"
        path.write_text(PROGRAM.format(url=site.url, more=more))
        planner = engine.Scripted(DECISIONS)
        return engine.load(path).run("main", q="x", models={"planner": planner})

    return run


def events(run):
    return run.journal.read(run.id)


def ended(run):
    """How the calls of the worker ended: mode and wait, or None."""
    calls = [
        e for e in events(run) if isinstance(e, (CallFailed, CallFinished)) and "task" in e.key
    ]
    return [
        (call.mode, call.retry_after_ms) if isinstance(call, CallFailed) else None for call in calls
    ]


def test_a_busy_server_is_asked_again_when_it_says(run, site):
    site.pages["/"] = [send({}, 429, {"Retry-After": "0"}), send({"found": 1})]
    result = run("timeout = 5s  retry { max = 1  on = [busy]  backoff = 1ms }")
    assert result.status == "finished"
    assert ended(result) == [("busy", 0), None]
    assert len(site.requests) == 2


def test_a_server_in_trouble_is_asked_again_and_a_wrong_request_is_not(run, site):
    site.pages["/"] = [send({}, 503), send({}, 400)]
    result = run("timeout = 5s  retry { max = 5  backoff = 1ms }")
    assert ended(result) == [("crashed", None), ("crashed", None)]
    assert len(site.requests) == 2
    assert result.failures[0].mode == "crashed"


@pytest.mark.parametrize("page", [hang(), drip()])
def test_a_server_that_hangs_or_drips_ends_by_the_timeout(run, site, page):
    site.pages["/"] = page
    result = run("timeout = 200ms")
    assert result.status == "finished"
    assert [mode for mode, _ in ended(result)] == ["timeout"]


def test_a_redirect_out_of_the_file_is_told(run, site, other_site):
    site.pages["/"] = redirect(other_site.url)
    result = run("timeout = 5s")
    assert "which is not in the file" in result.failures[0].message
    assert other_site.requests == []


def test_a_secret_that_comes_back_is_kept_nowhere(run, site):
    site.pages["/"] = [
        send({"you": "sent Bearer s3cret-value"}, 500),
        send({"you": "s3cret-value"}),
    ]
    result = run("timeout = 5s  retry { max = 1  backoff = 1ms }")
    assert site.requests[0].headers["authorization"] == "Bearer s3cret-value"
    assert "s3cret-value" not in str(events(result))
    assert "[secret TOKEN]" in str(events(result))


def test_what_comes_over_the_network_is_untrusted_unless_said(tmp_path):
    path = tmp_path / "main.orch"
    path.write_text(
        """orch 1
server s via mcp { command = ["x"] }
worker a() -> json via http { url = "https://a.example" }
worker b() -> json via http { url = "https://a.example"  trust = trusted }
worker c() -> json via mcp { server = s  tool = "t"  effect = read }
worker d() -> json via mcp { server = s  tool = "t"  effect = read  trust = trusted }
worker e() -> json via command { run = ["x"]  effect = read }
"""
    )
    workers = check_file(str(path)).program.workers
    found = {name: worker.trust for name, worker in workers.items()}
    assert found == {
        "a": "untrusted",
        "b": "trusted",
        "c": "untrusted",
        "d": "trusted",
        "e": "trusted",
    }
