"""Scripts: entries in order, by caller, by position; misses and leftovers are loud."""

import asyncio
import json

import pytest

from engine.errors import Failure, UsageError
from engine.events import ModelInfo, Usage
from engine.models.scripted import Scripted, ScriptedModel, read_script


def ask(model, request):
    return asyncio.run(model.complete(request))


def failure(awaitable):
    with pytest.raises(Failure) as caught:
        asyncio.run(awaitable)
    return caught.value


def test_entries_come_in_order_as_they_are(request_of):
    decision = {"assessment": "go", "tasks": []}
    model = ScriptedModel(Scripted([decision, "raw { text", ["a", 1], {"$reply": {"reply": 1}}]))
    values = [ask(model, request_of()).value for _ in range(4)]
    assert values == [decision, "raw { text", ["a", 1], {"reply": 1}]
    asyncio.run(model.close())


def test_an_output_may_have_fields_named_like_anything(request_of):
    model = ScriptedModel(Scripted([{"reply": "Dear all", "fail": True, "usage": 3}]))
    assert ask(model, request_of()).value == {"reply": "Dear all", "fail": True, "usage": 3}


def test_usage_is_free_unless_the_entry_says_so(request_of):
    info = ModelInfo("scripted/x", input_usd=1_000_000, output_usd=2_000_000)
    used = {"input_tokens": 3, "output_tokens": 4}
    script = Scripted(
        [
            "a",
            {"$reply": "b", "usage": used},
            {"$reply": "c", "usage": {**used, "cached_tokens": 2, "cost_usd": 0.0000015}},
            {"$reply": "d", "usage": None},
        ]
    )
    assert script.has_usage
    model = ScriptedModel(script)
    replies = [ask(model, request_of(info=info)).usage for _ in range(4)]
    assert replies == [
        Usage(),
        Usage(input_tokens=3, output_tokens=4, cost_micro_usd=11),
        Usage(input_tokens=3, output_tokens=4, cached_tokens=2, cost_micro_usd=2),
        None,
    ]
    assert not Scripted(["a", {"$fail": "timeout"}]).has_usage


def test_a_price_nobody_knows_stays_unknown(request_of):
    model = ScriptedModel(Scripted([{"$reply": "b", "usage": {"input_tokens": 3}}]))
    assert ask(model, request_of()).usage.cost_micro_usd is None


def test_failures(request_of):
    model = ScriptedModel(
        Scripted(
            [
                {"$fail": "rate_limited", "message": "slow", "retry_after_ms": 20},
                {"$fail": "refused"},
                {"$fail": "unavailable", "retryable": False},
            ]
        )
    )
    first, second, third = (failure(model.complete(request_of())) for _ in range(3))
    assert first == Failure("rate_limited", "slow", retryable=True, retry_after_ms=20)
    assert (second.mode, second.retryable) == ("refused", False)
    assert (third.mode, third.retryable) == ("unavailable", False)


def test_the_engine_says_where_a_call_stands(request_of):
    script = Scripted(["zero", "one", "two"])
    resumed = ScriptedModel(script, resumed=True)
    assert ask(resumed, request_of(index=2)).value == "two"
    asyncio.run(resumed.close())


def test_a_queue_for_each_caller(request_of):
    model = ScriptedModel(
        Scripted({"decision": ["d0", "d1"], "worker:sum": ["s0"], "worker": ["w0", "w1"]})
    )

    def worker(name, **counted):
        return ask(model, request_of(role="worker", name=name, **counted)).value

    assert ask(model, request_of(index=5, caller_index=1)).value == "d1"
    assert worker("sum", index=9, caller_index=0) == "s0"
    assert [worker("a"), worker("b"), worker("a")] == ["w0", "w0", "w1"]
    asyncio.run(model.close())


def test_a_miss_is_loud(request_of):
    model = ScriptedModel(Scripted(["only"], source="plan.json"))
    ask(model, request_of())
    missed = failure(model.complete(request_of(key="round 2 / decision 1")))
    assert (missed.mode, missed.retryable) == ("unavailable", False)
    assert missed.message == (
        "plan.json has no entry left for `decision:research`: call 2 of 1 (round 2 / decision 1)"
    )
    none = failure(ScriptedModel(Scripted({"worker:a": []})).complete(request_of()))
    assert none.message == ("the script has no entries for `decision:research`, only `worker:a`")


def test_a_leftover_is_loud(request_of):
    model = ScriptedModel(Scripted({"decision": ["a", "b", "c"], "worker:x": ["d"]}))
    ask(model, request_of())
    left = failure(model.close())
    assert left.message == (
        "the script has entries left over: 2 of 3 for `decision`, 1 of 1 for `worker:x`"
    )


def test_a_resumed_run_may_have_played_a_queue_before(request_of):
    model = ScriptedModel(Scripted({"decision": ["a"], "worker:x": ["d"]}), resumed=True)
    asyncio.run(model.close())


def test_a_delay_lets_others_go_first(request_of):
    model = ScriptedModel(Scripted([{"$reply": "slow", "delay_ms": 1}, "fast"]))
    order = []

    async def one(index):
        order.append((await model.complete(request_of(index=index))).value)

    async def both():
        await asyncio.gather(one(0), one(1))

    asyncio.run(both())
    assert order == ["fast", "slow"]


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ([{"$fail": "crash"}], "the script, entry 1: `crash` is not a failure mode of models"),
        (["a", {"$replay": 1}], "the script, entry 2: Object contains unknown field `$replay`"),
        ([{"$reply": 1, "usages": {}}], "unknown field `usages`"),
        ([{"$reply": 1, "usage": {"input": 3}}], "unknown field `input`"),
        ({"planner": []}, "`planner` is not a caller; use decision, worker:NAME or verifier:NAME"),
        ({"decision": "abc"}, "a list of entries is expected"),
        ({"decision": [{"$fail": 3}]}, "entry 1 of `decision`"),
        ("abc", "a list of entries is expected"),
    ],
)
def test_what_is_not_well_formed(entries, message):
    with pytest.raises(UsageError) as caught:
        Scripted(entries)
    assert message in str(caught.value)


def test_files(tmp_path, request_of):
    path = tmp_path / "s.json"
    path.write_text(json.dumps(["a"]))
    assert ask(ScriptedModel(read_script(str(path))), request_of()).value == "a"
    path.write_text(json.dumps({"entries": {"decision": ["b"]}}))
    assert ask(ScriptedModel(read_script(str(path))), request_of()).value == "b"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "there is no script"),
        (b'["a",\n  ', "is not JSON: Expecting value at line 2, column 3"),
        (b"\xff\xfe", "is not UTF-8 text"),
        (b'{"decision": []}', "s.json: the object must have `entries` and nothing else"),
        (b"3", "s.json: a list of entries is expected"),
        (b"[" * 100_000, "is nested too deeply"),
    ],
)
def test_bad_files(tmp_path, content, message):
    path = tmp_path / "s.json"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UsageError) as caught:
        read_script(str(path))
    assert message in str(caught.value)


def test_a_directory_is_no_script(tmp_path):
    with pytest.raises(UsageError, match="cannot be read: it is a folder"):
        read_script(str(tmp_path))
