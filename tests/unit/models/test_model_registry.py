"""From ids to models, and what is known of them before the first call."""

import asyncio
import json
import sys

import pytest

from engine import schemes
from engine.errors import Failure, UsageError
from engine.events import ModelInfo
from engine.models.info import resolve_info
from engine.models.limiter import LimitedModel
from engine.models.litellm import LiteLLMModel
from engine.models.openai_gateway import OpenAIModel
from engine.models.policy import PolicyModel
from engine.models.recorded import RecordedModel, RecordingModel
from engine.models.registry import open_model
from engine.models.scripted import Scripted, ScriptedModel
from engine.prices import Rates, look_up
from engine.schemes import anchor_id, split_id
from engine.sema.model import Price


def open_(model, override=None, **more):
    return open_model(model, resolve_info(model, override), override=override, **more)


def test_the_price_table_is_read_in_micro_dollars_a_million():
    gpt = look_up("openai/gpt-5-mini")
    assert (gpt.input_usd, gpt.output_usd) == (250_000, 2_000_000)
    assert gpt.context == 272_000
    assert gpt.native
    assert look_up("anthropic/claude-sonnet-4-5").input_usd == 3_000_000
    assert look_up("gemini/gemini-2.5-pro").native
    assert look_up("gpt-5-mini") == gpt


@pytest.mark.parametrize("model_id", ["openai/no-such-model", "mistral/gpt-5-mini", "nonsense"])
def test_what_the_table_does_not_list(model_id):
    assert look_up(model_id) is None


def test_infos_of_providers(model_of):
    rates = (Rates(250_000, 2_000_000, cached_usd=25_000),)
    assert resolve_info(model_of("openai/gpt-5-mini")) == ModelInfo(
        "openai/gpt-5-mini", True, 250_000, 2_000_000, 272_000, True, "openai", rates
    )
    assert resolve_info(model_of("openrouter/some/new")).charges
    assert not resolve_info(model_of("openrouter/some/new", price=Price(1, 2))).charges
    assert resolve_info(model_of("openai/test")) == ModelInfo("openai/test", dialect="openai")


def test_what_the_program_declares_comes_first(model_of):
    model = model_of("openai/gpt-5-mini", price=Price(1, 2), context=1000, structured="prompt")
    assert resolve_info(model) == ModelInfo("openai/gpt-5-mini", True, 1, 2, 1000, False, "openai")
    assert resolve_info(model_of("openai/test", structured="native")).native


def test_an_override_swaps_the_id(model_of):
    model = model_of("python/plans:next_step")
    assert resolve_info(model, "anthropic/claude-sonnet-4-5").input_usd == 3_000_000
    assert isinstance(open_(model, "openai/test"), OpenAIModel)
    assert isinstance(open_(model, "anthropic/claude-sonnet-4-5"), LiteLLMModel)
    assert isinstance(open_(model, "litellm/openai/test"), LiteLLMModel)


def test_policies_are_free(model_of, tmp_path):
    (tmp_path / "plans.py").write_text("def next_step(state):\n    return state.goal\n")
    model = model_of("python/plans:next_step", tmp_path, price=Price(1, 2))
    assert resolve_info(model) == ModelInfo("python/plans:next_step", metered=False)
    assert isinstance(open_(model), PolicyModel)


def test_a_policy_that_is_not_there(model_of, tmp_path):
    (tmp_path / "plans.py").write_text("def next_step(state):\n    return state.goal\n")
    with pytest.raises(UsageError, match="`plans` has no `next_stop`; did you mean `next_step`"):
        open_(model_of("python/plans:next_stop", tmp_path))


def test_scripts_are_metered_when_they_say_what_they_use(model_of, tmp_path, request_of):
    (tmp_path / "free.json").write_text('["a"]')
    (tmp_path / "paid.json").write_text('[{"$reply": "a", "usage": {"input_tokens": 1}}]')
    free = model_of("scripted/free.json", tmp_path)
    assert resolve_info(free) == ModelInfo("scripted/free.json", False, 0, 0)
    assert resolve_info(model_of("scripted/paid.json", tmp_path)).metered
    assert resolve_info(model_of("scripted/free.json", tmp_path, price=Price(1, 2))).metered
    opened = open_(free)
    assert isinstance(opened, ScriptedModel)
    assert asyncio.run(opened.complete(request_of())).value == "a"
    with pytest.raises(UsageError, match="there is no script"):
        open_(model_of("scripted/none.json", tmp_path))


def test_record_and_replay(model_of, tmp_path, request_of):
    model = model_of("openai/gpt-5-mini", tmp_path)
    info = resolve_info(model)
    recording = open_model(model, info, override=Scripted(["a"]), record_dir=str(tmp_path / "rec"))
    assert isinstance(recording, RecordingModel)
    asyncio.run(recording.complete(request_of(model=model, info=info)))
    asyncio.run(recording.close())
    again = resolve_info(model, "recorded/rec")
    rates = (Rates(250_000, 2_000_000, cached_usd=25_000),)
    known = ("recorded/rec", True, 250_000, 2_000_000, 272_000, True, "openai", rates)
    assert again == ModelInfo(*known)
    opened = open_(model, "recorded/rec")
    assert isinstance(opened, RecordedModel)
    assert asyncio.run(opened.complete(request_of(model=model, info=again))).value == "a"


def test_objects_of_python(model_of, request_of):
    model = model_of()
    script = Scripted(["a"])
    assert resolve_info(model, script) == ModelInfo("memory/Scripted", False, 0, 0)
    assert isinstance(open_(model, script), ScriptedModel)

    def policy(state):
        return 1

    priced = model_of(price=Price(1, 2))
    assert resolve_info(priced, policy).id.endswith("policy")
    assert not resolve_info(priced, policy).metered
    assert resolve_info(priced, script).metered
    assert asyncio.run(open_(model, policy).complete(request_of())).value == 1

    class Own:
        async def complete(self, request):
            raise Failure("refused")

        async def close(self):
            pass

    own = Own()
    assert resolve_info(priced, own).metered
    with pytest.raises(UsageError, match="was an object in Python when the run began"):
        open_model(model, resolve_info(model, own))
    assert open_(model, own) is own
    with pytest.raises(UsageError, match="model `planner` cannot be a int"):
        open_(model, 3)


@pytest.mark.parametrize("limit", [{"max_concurrent": 1}, {"rpm": 1}, {"tpm": 1}])
def test_limits_are_put_around(model_of, limit):
    assert isinstance(open_(model_of(**limit), Scripted([])), LimitedModel)


def test_a_local_model_needs_its_file(model_of, tmp_path):
    info = resolve_info(model_of("local/small.gguf", tmp_path))
    assert info == ModelInfo("local/small.gguf", True, 0, 0, 4096, True, "llamacpp")
    with pytest.raises(UsageError, match="there is no model file"):
        open_(model_of("local/small.gguf", tmp_path))


def test_a_local_model_needs_its_extra(model_of, tmp_path, monkeypatch):
    (tmp_path / "small.gguf").write_bytes(b"")
    # What an import of a package that is not installed finds.
    monkeypatch.setattr(sys, "path", [])
    sys.modules.pop("xllamacpp", None)
    with pytest.raises(UsageError, match=r"pip install 'orch-engine\[local\]'"):
        open_(model_of("local/small.gguf", tmp_path))


def test_a_package_adds_a_scheme(model_of, tmp_path, monkeypatch):
    package = tmp_path / "acme-1.0.dist-info"
    package.mkdir()
    (package / "METADATA").write_text("Metadata-Version: 2.1\nName: acme\nVersion: 1.0\n")
    (package / "entry_points.txt").write_text("[orch.models]\nacme = acme_models:open\n")
    (tmp_path / "acme_models.py").write_text(
        "from engine.models.scripted import Scripted, ScriptedModel\n"
        "def open(model, info, base_dir):\n"
        "    return ScriptedModel(Scripted([info.id, base_dir]))\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    schemes._plugins.cache_clear()
    try:
        model = model_of("acme/large", "here")
        assert resolve_info(model) == ModelInfo("acme/large")
        assert isinstance(open_(model), ScriptedModel)
    finally:
        schemes._plugins.cache_clear()


def test_ids(tmp_path):
    assert split_id("scripted/a/b.json") == ("scripted", "a/b.json")
    assert split_id("openai/gpt-5") == (None, "openai/gpt-5")
    assert split_id("scripted") == (None, "scripted")
    assert anchor_id("scripted/a.json", str(tmp_path)) == f"scripted/{tmp_path}/a.json"
    assert anchor_id("recorded//abs/dir", str(tmp_path)) == "recorded//abs/dir"
    assert anchor_id("python/a:b", str(tmp_path)) == "python/a:b"
    assert anchor_id("openai/gpt-5", str(tmp_path)) == "openai/gpt-5"


def test_an_anchored_script_is_found_from_anywhere(model_of, tmp_path, request_of):
    (tmp_path / "s.json").write_text(json.dumps(["a"]))
    opened = open_(model_of(base_dir="/nowhere"), anchor_id("scripted/s.json", str(tmp_path)))
    assert asyncio.run(opened.complete(request_of())).value == "a"


def test_an_id_without_a_provider_is_refused_before_the_run(model_of):
    with pytest.raises(UsageError, match="`nonsense` names no provider"):
        open_(model_of("nonsense"))
    assert isinstance(open_(model_of("gpt-4o")), OpenAIModel)
