"""What a planner sees of what its workers give, and what that does to taint, one way at a time.

All ways at once, with random programs: tests/canary.
"""

from __future__ import annotations

import json

import pytest

import engine
from engine.events import CallFinished, CallStarted, ModelInfo, RunStarted
from engine.runtime.machine import step
from engine.runtime.ports import ModelReply
from engine.runtime.state import RunState

EVIL = "MALLORY"
TOOLS = f"""
from orch import Failure

def mail(q):
    return {{"sender": "{EVIL}", "score": 0.5, "at": "2026-01-31", "kind": "bill",
             "parts": ["{EVIL} 1", "{EVIL} 2"], "by": {{"{EVIL}": 3}}}}
def lost(q):
    raise ValueError("{EVIL} is lost")
def pay(to, amount):
    return "paid"
def same(x):
    return x
def join(parts):
    return ""
def boom(x):
    raise ValueError("no")
"""
WORKERS = """
schema Mail {
  sender: string  score: float  at: date  kind: "bill" | "news"
  parts: string[]  by: map
}
worker mail(q: string) -> Mail via python {
  call = "tools:mail"  effect = read  trust = untrusted  timeout = 5s  %s
}
worker lost(q: string) -> string via python {
  call = "tools:lost"  effect = read  trust = untrusted  timeout = 5s  %s
}
worker pay(to: string, amount: float = 1) -> string via python {
  call = "tools:pay"  effect = once  timeout = 5s
}
worker same(x: string) -> string via python { call = "tools:same"  effect = pure }
worker boom(x: string) -> string via python { call = "tools:boom"  effect = pure }
verifier no(output: json) via rules { assert output == 0 else "not {{ output | json }}" }
verifier all_no(outputs: json) via rules { assert outputs == 0 else "not {{ outputs | json }}" }
verifier in_no(to: string) via rules { assert to == "" else "not to {{ to }}" }
orchestrator main() -> %s {
  model = planner  goal = "Pay the rent."  workers = [mail, lost, pay, same, boom]
  policy { max_rounds = 6  %s }
  %s
}
""".replace("by: map", "by: json")

#: Of what `mail` gives, as JSON, in bytes.
SIZE = 117

READ = {"tasks": [{"id": "m", "worker": "mail", "input": {"q": "x"}}]}
PAY = {"tasks": [{"id": "p", "worker": "pay", "input": {"to": "Bob"}}]}
PAY_REF = {
    "tasks": [{"id": "e", "worker": "pay", "input": {"to": {"$from": "m", "at": "/sender"}}}]
}
DONE = {"finish": "done"}


def program(show, policy="", more="", result="string"):
    setting = f"show = {show}" if show else ""
    return WORKERS % (setting, setting, result, policy, more)


class Watched:
    """A planner that sees prompts and states, and answers from a list."""

    def __init__(self, answers):
        self.answers = list(answers)
        self.prompts: list[str] = []
        self.states = []

    async def complete(self, request):
        self.prompts.append("\n".join(m.content for m in request.messages))
        self.states.append(request.state())
        return ModelReply(json.dumps(self.answers.pop(0)))

    async def close(self):
        return

    @property
    def seen(self):
        """Everything that the planner was shown, both as a prompt and as data."""
        return "\n".join([*self.prompts, *map(str, self.states)])


@pytest.fixture
def watch(play):
    """Run a program; gives the planner and how each task of the run ended."""

    def watch(text, *decisions):
        planner = Watched(decisions)
        run = play(text, planner, TOOLS)
        ends = {
            task["id"]: task["status"]
            for entry in run.report()["history"]
            for task in entry["tasks"]
        }
        return planner, ends, run

    return watch


def test_a_preview_is_the_default_and_taints(watch):
    planner, ends, _ = watch(program(""), READ, PAY, DONE)
    assert EVIL in planner.prompts[1]
    assert ends == {"m": "done", "p": "failed"}


@pytest.mark.parametrize("show", ["shape", "none"])
def test_what_is_not_shown_taints_no_decision_and_stays_tainted_itself(watch, show):
    planner, ends, _ = watch(program(show), READ, PAY_REF, PAY, DONE)
    assert EVIL not in planner.seen
    assert ends == {"m": "done", "e": "failed", "p": "done"}
    assert "task e (pay) failed, mode denied (" in planner.prompts[2]


def test_a_shape_tells_what_cannot_be_words(watch):
    planner, _, _ = watch(program("shape"), READ, DONE)
    shape = {
        "sender": {"$text": 7}, "score": 0.5, "at": "2026-01-31", "kind": "bill",
        "parts": [{"$text": 9}, {"$text": 9}], "by": {"$object": 1},
    }  # fmt: skip
    said = json.dumps(shape, separators=(",", ":"))
    assert (
        f'<shape task="m" worker="mail" trust="untrusted">\n{said}\n</shape>'
        in (planner.prompts[1])
    )
    state = planner.states[1]
    assert state.tasks["m"]["output"] == shape
    assert state.tasks["m"]["shown"] == "shape"
    assert state.outputs == {"mail": [shape]}


def test_nothing_is_told_of_a_worker_that_is_not_shown_but_its_size(watch):
    planner, _, _ = watch(program("none"), READ, DONE)
    assert f"task m (mail) is done: {SIZE} bytes, which you are not shown" in planner.prompts[1]
    assert "2026-01-31" not in planner.seen.replace("2026-01-31T12", "")
    assert planner.states[1].tasks["m"]["output"] == {"$bytes": SIZE}


def test_numbers_and_dates_of_a_stranger_may_be_handed_on(watch):
    amount = {"to": "Bob", "amount": {"$from": "m", "at": "/score"}}
    pay = {"tasks": [{"id": "p", "worker": "pay", "input": amount}]}
    _, ends, _ = watch(program("shape"), READ, pay, DONE)
    assert ends["p"] == "done"


def test_what_a_run_of_an_older_engine_has_denied_stays_denied(load):
    """There, a number with a fraction counted as text."""
    loaded = load(program("shape"), TOOLS).program
    ends = []
    for verdicts in (0, 1):
        state = RunState(loaded)
        models = {name: ModelInfo("scripted/none.json", metered=False) for name in loaded.models}
        begin = RunStarted(
            run="r", orchestrator="main", input={}, models=models, program="p", verdicts=verdicts
        )
        amount = {"to": "Bob", "amount": {"$from": "m", "at": "/score"}}
        pay = {"id": "p", "worker": "pay", "input": amount}
        mail = {
            "sender": EVIL, "score": 0.5, "at": "2026-01-31", "kind": "bill", "parts": [], "by": 1,
        }  # fmt: skip
        events = [begin]
        for value in (json.dumps({"tasks": [*READ["tasks"], pay]}), mail):
            for event in events:
                step(state, event)
            (call,) = state.open_commands()[:1]
            events = [
                CallStarted(key=call.key, attempt=1),
                CallFinished(key=call.key, attempt=1, value=value),
            ]
        for event in events:
            step(state, event)
        ends.append(state.loop.tasks["p"].status)
    assert ends == ["failed", "running"]


@pytest.mark.parametrize("show", ["shape", "none"])
def test_of_a_failure_the_mode_is_told(watch, show):
    lost = {"tasks": [{"id": "l", "worker": "lost", "input": {"q": "x"}}]}
    planner, ends, _ = watch(program(show), lost, PAY, DONE)
    assert EVIL not in planner.seen
    assert "task l (lost) failed, mode crashed" in planner.prompts[1]
    assert planner.states[1].tasks["l"]["failure"] == {"mode": "crashed", "message": ""}
    assert ends["p"] == "done"


def test_full_is_not_cut(watch):
    planner, _, _ = watch(program("full", "context { preview = 16B }"), READ, DONE)
    assert planner.prompts[1].count(EVIL) == 4
    assert "cut here" not in planner.prompts[1]


@pytest.mark.parametrize(
    ("worker", "policy", "limit", "hidden"),
    [
        ("", "context { show = shape }", "", True),
        ("preview", "context { show = shape }", "", False),
        ("preview", "", "limit mail { show = shape }", True),
        ("none", "", "limit mail { show = preview }", False),
    ],
)
def test_a_limit_wins_then_the_worker_then_the_orchestrator(watch, worker, policy, limit, hidden):
    planner, _, _ = watch(program(worker, policy, limit), READ, DONE)
    assert (EVIL not in planner.seen) is hidden


def test_what_does_not_fit_an_input_is_not_quoted(watch):
    wrong = {"id": "s", "worker": "same", "input": {"x": {"$from": "m", "at": "/by"}}}
    nowhere = {"id": "n", "worker": "same", "input": {"x": {"$from": "m", "at": "/parts/7"}}}
    planner, ends, run = watch(program("shape"), READ, {"tasks": [wrong, nowhere]}, PAY, DONE)
    assert EVIL not in planner.seen
    assert ends == {"m": "done", "s": "failed", "n": "failed", "p": "done"}
    assert "task s (same) failed, mode unmet_reference (what a" in planner.prompts[2]
    assert any(EVIL in each["message"] for each in run.report()["failures"])


def test_what_a_shown_worker_makes_of_it_is_shown_and_taints(watch):
    copy = {"id": "s", "worker": "same", "input": {"x": {"$from": "m", "at": "/sender"}}}
    planner, ends, _ = watch(program("shape"), READ, {"tasks": [copy]}, PAY, DONE)
    assert EVIL not in planner.prompts[1]
    assert EVIL in planner.prompts[2]
    assert ends["p"] == "failed"


HOOKS = {
    "after_dispatch mail { with = no  on_fail = revise  max_revisions = 1  then = warn }": READ,
    "after_dispatch mail { with = no  on_fail = warn }": READ,
    "after_round { with = all_no  on_fail = revise  max_revisions = 3  then = warn }": READ,
    "before_dispatch pay { with = in_no  on_fail = deny }": PAY_REF,
    "before_dispatch pay { with = in_no  on_fail = revise  max_revisions = 9  then = warn }":
        PAY_REF,
}  # fmt: skip


@pytest.mark.parametrize("hook", HOOKS)
def test_a_check_that_has_seen_it_is_not_quoted(watch, hook):
    text = program("shape", more=f"verify {{ {hook} }}")
    planner, _, _ = (
        watch(text, READ, HOOKS[hook], DONE) if HOOKS[hook] is not READ else watch(text, READ, DONE)
    )
    assert EVIL not in planner.seen
    if "revise" in hook and "after_dispatch" not in hook:
        assert "it did not pass (its words may quote" in planner.prompts[-1]


def test_a_check_that_has_not_seen_it_is_quoted(watch):
    hook = "before_dispatch pay { with = in_no  on_fail = revise  max_revisions = 9  then = warn }"
    planner, _, _ = watch(program("shape", more=f"verify {{ {hook} }}"), READ, PAY, DONE)
    assert "in_no: not to Bob" in planner.prompts[2]


# ---------------------------------------------------------------- steps

STEPS = "max_items = 100"


def each(id, worker, source, item="", **more):
    field = "q" if worker in ("mail", "lost") else "to" if worker == "pay" else "x"
    return {"id": id, "worker": worker, "each": source, "input": {field: {"$item": item}}, **more}


def test_labels_and_messages_of_items_are_words(watch):
    step = each("b", "boom", {"$from": "m", "at": "/parts"}, label={"$item": ""})
    planner, _, run = watch(program("shape", STEPS), READ, {"tasks": [step]}, DONE)
    assert EVIL not in planner.seen
    assert run.report()["failures"][0]["label"].startswith(EVIL)
    assert "0 of 2 items done" in planner.prompts[2]


def test_an_item_whose_input_does_not_fit_is_told_by_its_size(watch):
    text = program("shape", STEPS).replace("boom(x: string)", "boom(x: int)")
    text = text.replace("parts: string[]  by", "parts: json  by")
    step = each("b", "boom", {"$from": "m", "at": "/parts"})
    planner, _, _ = watch(text, READ, {"tasks": [step]}, DONE)
    assert EVIL not in planner.seen
    assert planner.states[2].tasks["b[0]"]["input"] == {"$object": 1}


def test_a_step_of_a_hidden_worker_is_told_by_counts_and_figures(watch):
    source = {"$from": "m", "at": "/parts"}
    steps = [each("b", "mail", source), each("c", "lost", source)]
    planner, _, _ = watch(program("shape", STEPS), READ, {"tasks": steps}, PAY, DONE)
    assert EVIL not in planner.seen
    assert "2 of 2 items done" in planner.prompts[2]
    assert "score: 0.5 to 0.5, mean 0.5" in planner.prompts[2]
    assert planner.states[2].steps["b"]["output"][0]["sender"] == {"$text": 7}
    assert planner.states[2].steps["c"]["failures"][0]["message"] == ""
    assert planner.states[3].tasks["p"]["status"] == "done"


def test_a_reduce_of_one_value_gives_that_value_and_shows_no_more_of_it(watch):
    text = program("shape", STEPS).replace(
        "verifier no(", "worker join(parts: string[]) -> string via python "
        '{ call = "tools:join"  effect = pure }\nverifier no(',
    ).replace("same, boom]", "same, boom, join]")  # fmt: skip
    step = {
        "id": "j", "worker": "join", "size": 2, "input": {"parts": {"$parts": True}},
        "reduce": {"$from": "m", "at": "/parts", "take": 1},
    }  # fmt: skip
    planner, ends, _ = watch(text, READ, {"tasks": [step]}, PAY, DONE)
    assert EVIL not in planner.seen
    assert ends["p"] == "done"


def test_effects_over_a_hidden_list_are_denied_and_taint_no_decision(watch):
    step = each("b", "pay", {"$from": "m", "at": "/parts"})
    planner, ends, _ = watch(program("shape", STEPS), READ, {"tasks": [step]}, PAY, DONE)
    assert EVIL not in planner.seen
    assert "denied 2" in planner.prompts[2]
    assert ends["p"] == "done"


def test_a_result_by_reference_that_does_not_fit_is_not_quoted(watch):
    text = program("shape", STEPS, result="{ a: string @length(max: 3), b: string }")
    finish = {"finish": {"a": {"$from": "m", "at": "/sender"}, "b": "x"}}
    good = {"finish": {"a": "x", "b": {"$from": "m", "at": "/sender"}}}
    planner, _, run = watch(text, READ, finish, good)
    assert EVIL not in planner.seen
    assert "finish/a: what the reference leads to does not fit" in planner.prompts[2]
    assert run.output == {"a": "x", "b": EVIL}
    assert EVIL in run.report()["history"][1]["rejected"][0]


# ---------------------------------------------------------------- children and plans

CHILD = """
model reader { id = "scripted/none.json" }
orchestrator look(topic: string) -> string {
  model = reader  goal = "Look up {{ topic }}."  workers = [mail]
  policy { max_rounds = 2  max_items = 10 }
  %s
}
"""
LOOK = {"tasks": [{"id": "c", "worker": "look", "input": {"topic": "rent"}}]}
PAY_CHILD = {"tasks": [{"id": "e", "worker": "pay", "input": {"to": {"$from": "c"}}}]}


@pytest.mark.parametrize("child_sees", ["", "limit mail { show = shape }"])
def test_a_childs_result_may_be_hidden_from_its_parent(play, child_sees):
    text = program("", "", "limit look { show = shape }") + CHILD % child_sees
    text = text.replace("workers = [mail, lost,", "workers = [look, lost,")
    planner = Watched([LOOK, PAY_CHILD, PAY, DONE])
    reader = [READ, {"finish": {"$from": "m", "at": "/sender"}}]
    run = play(text, planner, TOOLS, {"reader": engine.Scripted(reader)})
    ends = {t["id"]: t["status"] for entry in run.report()["history"] for t in entry["tasks"]}
    assert EVIL not in planner.seen
    assert ends == {"c": "done", "e": "failed", "p": "done"}


def test_a_child_that_hands_on_what_it_was_not_shown_gives_back_taint(play):
    text = program("shape") + CHILD % ""
    text = text.replace("workers = [mail, lost,", "workers = [look, lost,")
    planner = Watched([LOOK, PAY, DONE])
    reader = [READ, {"finish": {"$from": "m", "at": "/sender"}}]
    run = play(text, planner, TOOLS, {"reader": engine.Scripted(reader)})
    assert EVIL in planner.prompts[1]  # `look` is shown
    assert [each["mode"] for each in run.report()["failures"]] == ["denied"]


def test_a_plan_shows_no_more_than_what_it_calls(play):
    plan = (
        "worker two(q: string) -> Mail via plan {\n"
        "  max_items = 3  step a { call = mail(q=q) }  result = a\n}\n"
    )
    text = program("shape").replace("verifier no(", plan + "verifier no(")
    text = text.replace("workers = [mail,", "workers = [two,")
    planner = Watched([{"tasks": [{"id": "m", "worker": "two", "input": {"q": "x"}}]}, DONE])
    play(text, planner, TOOLS)
    assert EVIL not in planner.seen
    assert '"sender":{"$text":7}' in planner.prompts[1]
