"""Plans that are made from runs: what becomes of each value, and that they repeat the run."""

from __future__ import annotations

import json

import pytest
from distilled_runs import Shop, file_of, task

import engine
from engine.errors import UsageError
from engine.history.distill import distill_run
from engine.history.distill.origins import Origins
from engine.journal import MemoryJournal
from engine.models.scripted import Scripted

REPO = "github.com/a/b"


@pytest.fixture
def shop(tmp_path):
    return Shop(tmp_path)


@pytest.fixture
def steps(tmp_path):
    return Shop(tmp_path, steps=True)


def plan_of(shop, run, number=None):
    """The text of a plan, which lints and formats clean."""
    found = shop.distill(run, number)
    assert shop.findings(found.text) == []
    return found.text


# ---------------------------------------------------------------- values


def test_an_input_becomes_an_input(shop):
    run = shop.run([task("s", "survey", repo=REPO)], "done", repo=REPO)
    text = plan_of(shop, run)
    assert "worker planned(repo: string) -> { files: File[], total: int } fails nowhere via" in text
    assert "step s { call = survey(repo=repo) }" in text
    assert shop.repeat(text, repo=REPO) == shop.output(run, "s")


def test_a_part_of_an_earlier_output_becomes_a_reference(shop):
    first = file_of(REPO, 1)
    run = shop.run(
        [task("s", "survey", repo=REPO)],
        [task("r", "review", path=first)],
        [task("m", "merge", parts=[1042], title=f"About {first}")],
        "done",
        repo=REPO,
    )
    text = plan_of(shop, run)
    assert "review(path=s.files[1].path)" in text
    assert "the planner chose the place in the list: `s.files[1].path`" in text
    # The latest output comes first, and a text that contains it is made of it.
    assert 'title="About " ~ r.path' in text
    assert shop.repeat(text, repo=REPO)["count"] == 1


def test_what_is_in_no_output_becomes_an_input_with_a_default(shop):
    run = shop.run(
        [task("a", "review", path="x.py", focus="security", level="high")],
        [task("b", "review", path="y.py", focus="security")],
        "done",
        repo=REPO,
    )
    text = plan_of(shop, run)
    assert 'focus: string = "security"' in text
    assert 'level: "low" | "high" = "high"' in text
    assert "// - `path`, `focus`, `level`, `path_2`: values that the planner wrote" in text
    assert shop.repeat(text) == {"a": shop.output(run, "a"), "b": shop.output(run, "b")}
    other = shop.repeat(text, own_answers=False, path="z.py", focus="speed")
    assert other["a"]["path"] == "z.py"


@pytest.mark.parametrize("deep", [True, False])
def test_a_common_value_is_no_reference(shop, deep):
    run = shop.run(
        [task("s", "survey", repo=REPO)],
        [task("m", "merge", parts=[0, 1, True, "", None], title="low")],
        [task("t", "survey", repo="elsewhere", deep=deep)],
        "done",
        repo=REPO,
    )
    text = plan_of(shop, run)
    assert "s." not in text
    assert f"deep: bool = {json.dumps(deep)}" in text


def test_a_common_value_is_an_input_of_the_same_name(shop):
    with_deep = shop.source.replace("limit: int = 20)", "limit: int = 20, deep: bool = true)")
    shop.source = with_deep
    shop.path.write_text(with_deep)
    run = shop.run([task("s", "survey", repo="x", deep=True)], "done", repo="x")
    assert "call = survey(repo=repo, deep=deep)" in plan_of(shop, run)
    run = shop.run([task("s", "survey", repo="x", deep=True)], "done", repo="x", deep=False)
    assert "deep_2: bool = true" in plan_of(shop, run)


def test_a_short_value_is_a_reference_under_the_same_name(shop):
    run = shop.run(
        [task("s", "survey", repo="a/b")], [task("t", "survey", repo="a/b")], "x", repo="a/b"
    )
    assert plan_of(shop, run).count("survey(repo=repo)") == 2


@pytest.mark.parametrize(
    ("key", "name", "agree"),
    [
        ("id", "id", True),
        ("id", "place_id", True),
        ("id", "placeId", True),
        ("placeId", "place_id", True),
        ("place_id", "id", False),
        ("id", "paid", False),
        ("", "id", False),
    ],
)
def test_names_that_agree(key, name, agree):
    origins = Origins()
    origins.add_output("s", {key: 42}, 1, 1)
    assert (origins.find(42, name, 2) is not None) == agree


def test_ids_that_are_no_names_are_renamed(shop):
    run = shop.run(
        [
            task("list-files", "survey", repo=REPO),
            task("item", "survey", repo=REPO),
            task("1", "survey", repo=REPO),
            task("repo", "survey", repo=REPO),
            task("and", "survey", repo=REPO),
        ],
        "done",
        repo=REPO,
    )
    text = plan_of(shop, run)
    for name in ("list_files", "step_item", "step_1", "repo_2", "step_and"):
        assert f"step {name} " in text


# ---------------------------------------------------------------- many tasks


def reviews(numbers, **more):
    return [task(f"r{n}", "review", path=file_of(REPO, n), **more) for n in numbers]


def test_tasks_over_a_whole_list_become_an_each(shop):
    run = shop.run(
        [task("s", "survey", repo=REPO)],
        reviews(range(6), focus="security"),
        [task("m", "merge", parts=[{"$from": f"r{n}"} for n in range(6)])],
        "done",
        repo=REPO,
    )
    text = plan_of(shop, run)
    assert "each = s.files" in text
    assert "call = review(path=item.path, focus=focus)" in text
    assert "merge(parts=r)" in text
    assert "take" not in text
    assert shop.repeat(text, repo=REPO) == shop.output(run, "m")


def test_such_a_plan_runs_on_a_second_goal(tmp_path):
    shop = Shop(tmp_path)
    run = shop.run(
        [task("s", "survey", repo=REPO)],
        reviews(range(6)),
        [task("m", "merge", parts=[{"$from": f"r{n}"} for n in range(6)])],
        "done",
        repo=REPO,
    )
    text = plan_of(shop, run)
    shop.notes.files = 9
    assert shop.repeat(text, own_answers=False, repo="other/repo")["count"] == 9


def test_tasks_by_reference_become_an_each_too(shop):
    made = [
        task(f"r{n}", "review", path={"$from": "s", "at": f"/files/{n}/path"}) for n in range(6)
    ]
    run = shop.run([task("s", "survey", repo=REPO), *made], "done", repo=REPO)
    text = plan_of(shop, run)
    assert "call = review(path=item.path)" in text
    assert shop.repeat(text, repo=REPO) == [shop.output(run, f"r{n}") for n in range(6)]


def test_the_beginning_of_a_list_is_a_take(shop):
    run = shop.run([task("s", "survey", repo=REPO)], reviews(range(5)), "done", repo=REPO)
    text = plan_of(shop, run)
    assert "take = 5" in text
    assert "the selection is a guess at why" in text
    assert len(shop.repeat(text, repo=REPO)) == 5


def test_what_one_field_tells_apart_is_a_where(shop):
    run = shop.run([task("s", "survey", repo=REPO)], reviews([0, 1, 3, 5]), "done", repo=REPO)
    text = plan_of(shop, run)
    assert 'where = item.kind == "code"' in text
    assert len(shop.repeat(text, repo=REPO)) == 4


@pytest.mark.parametrize("numbers", [[0, 2, 3], [3, 1, 0], [1, 5, 4, 2]])
def test_a_choice_that_nothing_explains_is_listed(shop, numbers):
    run = shop.run([task("s", "survey", repo=REPO)], reviews(numbers), "done", repo=REPO)
    text = plan_of(shop, run)
    assert "each" not in text
    assert f"review(path=s.files[{numbers[0]}].path)" in text
    assert len(shop.repeat(text, repo=REPO)) == len(numbers)


def test_values_that_the_planner_listed_become_a_list(shop):
    run = shop.run(
        [task(f"r{n}", "review", path=f"written/{n}.py") for n in range(4)], "done", repo=REPO
    )
    text = plan_of(shop, run)
    assert "paths: string[] @items(max: 300) = " in text
    assert "each = paths" in text
    assert len(shop.repeat(text)) == 4
    assert len(shop.repeat(text, own_answers=False, paths=["a", "b"])) == 2


def test_one_round_may_walk_over_a_list_twice(shop):
    twice = [
        task(f"{focus}{n}", "review", path=file_of(REPO, n), focus=focus)
        for n in range(6)
        for focus in ("speed", "risk")
    ]
    run = shop.run([task("s", "survey", repo=REPO)], twice, "done", repo=REPO)
    text = plan_of(shop, run)
    assert text.count("each = s.files") == 2
    assert {len(value) for value in shop.repeat(text, repo=REPO).values()} == {6}


def test_items_that_failed_leave_no_gap(shop):
    shop.notes.broken = [file_of(REPO, 1), file_of(REPO, 4)]
    run = shop.run(
        [task("s", "survey", repo=REPO)],
        reviews(range(6)),
        [task("m", "merge", parts=[{"$from": "r0"}, {"$from": "r5"}])],
        "done",
        repo=REPO,
    )
    text = plan_of(shop, run)
    assert "merge(parts=[r[0], r[3]])" in text
    assert shop.repeat(text, repo=REPO) == shop.output(run, "m")


def test_effects_over_a_list_keep_their_order(shop):
    shop.path.write_text(shop.source.replace("  commutes = true\n", ""))
    shop.source = shop.path.read_text()
    saves = [task(f"w{n}", "save", text=file_of(REPO, n)) for n in range(6)]
    run = shop.run([task("s", "survey", repo=REPO)], saves, "done", repo=REPO)
    text = plan_of(shop, run)
    assert "in_order = true" in text
    assert len(shop.repeat(text, repo=REPO)) == 6


def test_pairs_of_earlier_tasks_are_a_list_too(shop):
    first = shop.run([task("s", "survey", repo=REPO)], reviews(range(6)), "done", repo=REPO)
    high = [n for n in range(6) if shop.output(first, f"r{n}")["risk"] == "high"]
    again = [task(f"h{n}", "review", path=file_of(REPO, n), focus="risk") for n in high]
    run = shop.run([task("s", "survey", repo=REPO)], reviews(range(6)), again, "done", repo=REPO)
    text = plan_of(shop, run)
    assert len(shop.repeat(text, repo=REPO)) == len(high) or len(high) < 3


# ---------------------------------------------------------------- steps


def test_steps_have_their_written_form(steps):
    run = steps.run(
        [
            task("s", "survey", repo=REPO),
            {
                **task("r", "review", path={"$item": "/path"}, focus="risk"),
                "each": {
                    "$from": "s",
                    "at": "/files",
                    "where": [[{"value": {"$item": "/commits"}, "is": ">", "than": 1}]],
                    "sort_by": "/commits",
                    "desc": True,
                    "take": 4,
                },
                "tolerate": 0.25,
                "label": {"$item": "/path"},
            },
        ],
        [
            {
                **task("m", "merge", parts={"$parts": True}),
                "reduce": {"$from": "r"},
                "size": 10,
            },
            {
                **task("w", "save", text={"$from": "m", "at": "/text"}),
                "when": [[{"value": {"$from": "m", "at": "/count"}, "is": ">", "than": 2}]],
                "after": ["r"],
            },
        ],
        {"text": {"$from": "m", "at": "/text"}, "saved": {"$from": "w", "at": "/id"}},
        repo=REPO,
    )
    text = plan_of(steps, run)
    for line in (
        "each     = s.files",
        "where    = item.commits > 1",
        "sort_by  = item.commits",
        "desc     = true",
        "take     = 4",
        "label    = item.path",
        "tolerate = 25%",
        "reduce = r",
        "when  = m.count > 2",
        "after = [r]",
    ):
        assert line in text
    assert steps.repeat(text, repo=REPO) == run.output


def test_a_value_that_may_be_null_gets_a_test(shop):
    run = shop.run(
        [task("s", "survey", repo=REPO)],
        [task("w", "save", text=f"owner-2@{REPO}")],
        [task("v", "save", text={"$from": "w", "at": "/id"})],
        "done",
        repo=REPO,
    )
    text = plan_of(shop, run)
    assert "when = s.files[2].owner is not none" in text
    assert "-> { id: string }? fails nowhere via plan" in text
    assert shop.repeat(text, repo=REPO) == shop.output(run, "v")


def test_an_effect_waits_for_what_was_read_before(shop):
    run = shop.run(
        [task("s", "survey", repo=REPO)],
        [task("w", "save", text="hello")],
        [task("t", "survey", repo=REPO)],
        "done",
        repo=REPO,
    )
    text = plan_of(shop, run)
    assert "after = [s]" in text
    assert "after = [w]" in text


def test_an_item_of_a_step_is_its_place_among_the_outputs(steps):
    each = {
        **task("r", "review", path={"$item": "/path"}),
        "each": {
            "$from": "s",
            "at": "/files",
            "where": [[{"value": {"$item": "/kind"}, "is": "==", "than": "code"}]],
        },
    }
    run = steps.run(
        [task("s", "survey", repo=REPO), each],
        [task("m", "merge", parts=[{"$from": "r[3]"}])],
        {"$from": "m"},
        repo=REPO,
    )
    text = plan_of(steps, run)
    assert "merge(parts=[r[2]])" in text
    assert steps.repeat(text, repo=REPO) == run.output


# ---------------------------------------------------------------- results, and what is said


def test_a_result_that_repeats_an_output_is_a_reference(shop):
    decisions = [[task("s", "survey", repo=REPO)], [task("m", "merge", parts=[1000], title=REPO)]]
    first = shop.run(*decisions, "x", repo=REPO)
    result = {"said": shop.output(first, "m")["text"], "repo": REPO}
    run = shop.run(*decisions, result, repo=REPO)
    text = plan_of(shop, run)
    assert "result    = { said: m.text, repo: repo }" in text
    assert "left out, because nothing reads them: `s` (survey)" in text
    assert shop.repeat(text, repo=REPO) == result


def test_a_result_in_own_words_is_said_and_replaced_by_the_outputs(shop):
    run = shop.run([task("s", "survey", repo=REPO)], {"fine": "all is well"}, repo=REPO)
    text = plan_of(shop, run)
    assert "the planner wrote the result, in its own words" in text
    assert "result    = s" in text


def test_rejected_decisions_and_failures_are_said(shop):
    run = shop.run(
        [task("s", "survey", repo=REPO), task("b", "broken", path="x")],
        [task("s", "survey", repo=REPO)],
        [task("r", "review", path=file_of(REPO, 0))],
        "done",
        repo=REPO,
    )
    text = plan_of(shop, run).replace("\n//   ", " ")
    assert "left out, because they failed in the run: `b` (broken)" in text
    assert "in round 2, 1 decision was rejected first: " in text
    assert "round 2 was decided after the planner had read what came before" in text


def test_one_round_takes_what_came_before_as_inputs(shop):
    run = shop.run(
        [task("s", "survey", repo=REPO)],
        [task("r", "review", path=file_of(REPO, 4))],
        "done",
        repo=REPO,
    )
    text = plan_of(shop, run, 2)
    assert "worker planned(s: { files: File[], total: int }) -> Review via plan" in text
    assert "review(path=s.files[4].path)" in text
    assert shop.repeat(text, s=shop.output(run, "s")) == shop.output(run, "r")


def test_a_person_may_choose_the_name(shop):
    run = shop.run([task("s", "survey", repo=REPO)], "done", repo=REPO)
    assert distill_run(shop.journal, run.id).name == "main_plan"
    for name in ("main", "Review", "3x", "not", "a b"):
        with pytest.raises(UsageError):
            distill_run(shop.journal, run.id, name=name)


# ---------------------------------------------------------------- no plan


def test_a_sub_orchestrator_is_no_step(shop):
    run = shop.run(
        [task("h", "helper", path="x")], "done in the sub-orchestrator", "done", repo=REPO
    )
    with pytest.raises(UsageError, match="`h` of round 1 is orchestrator `helper`"):
        shop.distill(run)


@pytest.mark.parametrize(
    ("decisions", "number", "said"),
    [
        (["at once"], None, "decided no tasks"),
        ([[task("b", "broken", path="x")], "done"], None, "no task of run .* succeeded"),
        ([[task("s", "survey", repo=REPO)], "done"], 7, "has no round 7; it has 2"),
        ([[task("s", "survey", repo=REPO)], "done"], 2, "round 2 of run .* decided no tasks"),
        ([[task("s", "survey", repo=REPO)]], None, r"has not finished \(failed\); --round"),
        ([[task("s", "nothing")]] * 4, 1, "no decision of round 1 was accepted"),
    ],
)
def test_what_no_plan_can_be_made_of(shop, decisions, number, said):
    run = shop.run(*decisions, repo=REPO)
    with pytest.raises(UsageError, match=said):
        shop.distill(run, number)


def test_a_round_of_a_run_that_failed_can_be_taken(shop):
    run = shop.run([task("s", "survey", repo=REPO)], repo=REPO)
    assert run.status == "failed"
    assert "survey(repo=repo)" in plan_of(shop, run, 1)


def test_a_schema_that_the_file_does_not_see_is_written_out(tmp_path):
    (tmp_path / "lib.orch").write_text(
        "orch 1\nschema Inner { n: int, next: Inner? }\n"
        'schema Found { path: "a" | "b", inner: Inner[] }\n'
        'worker find(s: string) -> Found[] via python { call = "json:loads"  effect = read }\n'
    )
    (tmp_path / "a.orch").write_text(
        'orch 1\nfrom "lib.orch" import find\nmodel planner { id = "scripted/none.json" }\n'
        'orchestrator main() -> json {\n  model = planner  goal = "g"  workers = [find]\n'
        "  policy { max_rounds = 3 }\n}\n"
    )
    journal = MemoryJournal()
    script = [{"tasks": [task("f", "find", s="[]")]}, {"finish": 1}]
    run = engine.load(tmp_path / "a.orch").run(
        models={"planner": Scripted(script)}, journal=journal
    )
    text = distill_run(journal, run.id).text
    inner = "{ n: int, next: json? }"
    assert f'-> {{ path: "a" | "b", inner: {inner}[] }}[] via plan' in " ".join(text.split())
