"""Recordings: what was asked finds what was answered, and anything else fails loudly."""

import asyncio
import json

import pytest

from engine.errors import Failure, UsageError
from engine.events import ModelInfo, Usage
from engine.models.recorded import RecordedModel, RecordingModel, recorded_info, request_key
from engine.models.scripted import Scripted, ScriptedModel
from engine.runtime.ports import Message, ModelReply


def ask(model, request):
    return asyncio.run(model.complete(request))


def record(folder, request_of, *calls):
    """Record each (entry, changes) pair."""
    inner = ScriptedModel(Scripted([entry for entry, _ in calls]))
    model = RecordingModel(inner, str(folder))
    for _, changes in calls:
        try:
            ask(model, request_of(**changes))
        except Failure:
            continue
    asyncio.run(model.close())


def test_a_recording_gives_back_replies_usage_and_failures(tmp_path, request_of):
    other = {"messages": (Message("system", "Be brief."), Message("user", "Ünïcode"))}
    info = ModelInfo("openai/test", input_usd=1, output_usd=1, context=9, native=True)
    used = {"input_tokens": 5, "output_tokens": 6, "cached_tokens": 1, "cost_usd": 0.000123}
    record(
        tmp_path / "new" / "dir",
        request_of,
        ({"$reply": {"a": 1}, "usage": used}, {"info": info}),
        ({"$fail": "rate_limited", "message": "slow", "retry_after_ms": 5}, other),
        ({"$reply": "text", "usage": None}, other),
    )
    folder = str(tmp_path / "new" / "dir")
    model = RecordedModel(folder)
    assert ask(model, request_of()) == ModelReply({"a": 1}, Usage(5, 6, 1, 123))
    with pytest.raises(Failure) as caught:
        ask(model, request_of(**other))
    assert caught.value == Failure("rate_limited", "slow", retryable=True, retry_after_ms=5)
    assert ask(model, request_of(**other)) == ModelReply("text", None)
    assert recorded_info(folder, "planner") == info


def test_the_key_is_what_a_provider_would_see(request_of, model_of):
    same = request_of(key="round 9", attempt=3, index=7, timeout_ms=1)
    assert request_key(same) == request_key(request_of())
    for changes in (
        {"messages": (Message("user", "Say hello!"),)},
        {"messages": (Message("system", "Say hello."),)},
        {"schema": {"type": "object"}},
        {"structured": True},
        {"max_tokens": 99},
        {"options": {"temperature": 0}},
        {"model": model_of(name="judge")},
    ):
        assert request_key(request_of(**changes)) != request_key(request_of())


def test_a_request_that_was_never_recorded(tmp_path, request_of):
    record(tmp_path, request_of, ("a", {}))
    changed = request_of(max_tokens=5)
    with pytest.raises(Failure) as caught:
        ask(RecordedModel(str(tmp_path)), changed)
    assert (caught.value.mode, caught.value.retryable) == ("unavailable", False)
    message = caught.value.message
    assert str(tmp_path) in message
    assert request_key(changed)[:12] in message
    assert "round 1 / decision 1" in message
    assert "--record DIR" in message


def test_a_request_asked_more_often_than_recorded(tmp_path, request_of):
    record(tmp_path, request_of, ("a", {}))
    model = RecordedModel(str(tmp_path))
    ask(model, request_of())
    with pytest.raises(Failure, match="asked 2 times and was recorded 1"):
        ask(model, request_of())


def test_recording_again_replaces(tmp_path, request_of):
    record(tmp_path, request_of, ("old", {}), ("old too", {}))
    record(tmp_path, request_of, ("new", {}))
    model = RecordedModel(str(tmp_path))
    assert ask(model, request_of()).value == "new"
    with pytest.raises(Failure):
        ask(model, request_of())


def test_replies_keep_the_order_of_the_questions(tmp_path, request_of):
    inner = ScriptedModel(Scripted([{"$reply": "first", "delay_ms": 1}, "second"]))
    model = RecordingModel(inner, str(tmp_path))

    async def both():
        await asyncio.gather(model.complete(request_of()), model.complete(request_of()))

    asyncio.run(both())
    replay = RecordedModel(str(tmp_path))
    assert [ask(replay, request_of()).value for _ in range(2)] == ["first", "second"]


def test_a_person_can_read_what_was_asked(tmp_path, request_of):
    record(tmp_path, request_of, ("a", {}))
    content = json.loads((tmp_path / f"{request_key(request_of())}.json").read_text())
    assert content["request"]["messages"] == [{"role": "user", "content": "Say hello."}]
    assert content["request"]["model"] == "planner"
    left = {path.name for path in tmp_path.iterdir()}
    assert left == {f"{request_key(request_of())}.json", "models.json"}


def test_two_models_share_a_directory(tmp_path, request_of, model_of):
    record(tmp_path, request_of, ("plan", {}))
    judge = {"model": model_of(name="judge")}
    record(tmp_path, request_of, ("judge", judge))
    assert ask(RecordedModel(str(tmp_path)), request_of()).value == "plan"
    assert ask(RecordedModel(str(tmp_path)), request_of(**judge)).value == "judge"
    with pytest.raises(UsageError, match="has no model `fast`, only `planner`, `judge`"):
        recorded_info(str(tmp_path), "fast")


def test_a_recording_of_another_version_says_so(tmp_path, request_of):
    record(tmp_path, request_of, ("a", {}))
    path = tmp_path / "models.json"
    models = json.loads(path.read_text())
    assert models.pop("$form") > 1
    path.write_text(json.dumps(models))
    assert ask(RecordedModel(str(tmp_path)), request_of()).value == "a"
    with pytest.raises(Failure, match=r"by another version of orch.* Record it again"):
        ask(RecordedModel(str(tmp_path)), request_of(max_tokens=7))


def test_no_recording(tmp_path):
    with pytest.raises(UsageError, match=r"there is no recording in .*none; make a recording"):
        recorded_info(str(tmp_path / "none"), "planner")


@pytest.mark.parametrize("content", ["{", "[]", '{"replies": 3}', '{"replies": [{"$x": 1}]}'])
def test_a_damaged_file_is_a_miss(tmp_path, request_of, content):
    (tmp_path / f"{request_key(request_of())}.json").write_text(content)
    with pytest.raises(Failure, match="its file is damaged"):
        ask(RecordedModel(str(tmp_path)), request_of())


@pytest.mark.parametrize("content", ["{", "[]", '{"planner": {"id": 3}}'])
def test_damaged_infos(tmp_path, content):
    (tmp_path / "models.json").write_text(content)
    with pytest.raises(UsageError):
        recorded_info(str(tmp_path), "planner")


def test_a_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="cannot record in"):
        RecordingModel(ScriptedModel(Scripted([])), str(tmp_path / "file" / "dir"))


def test_a_folder_that_goes_away(tmp_path, request_of):
    folder = tmp_path / "gone"
    model = RecordingModel(ScriptedModel(Scripted(["a"])), str(folder))
    folder.rmdir()
    with pytest.raises(Failure, match=r"cannot record in .*gone: No such file"):
        ask(model, request_of())
