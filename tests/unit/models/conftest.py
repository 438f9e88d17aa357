"""What the tests of models share: requests to give them, and a server to ask."""

import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest


def _load_support(name):
    # The tests are no package (import mode `importlib`), so the file is loaded by its path.
    path = Path(__file__).parents[2] / "support" / f"{name}.py"
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    sys.modules.setdefault(name, module)
    spec.loader.exec_module(module)
    return module


model_server = _load_support("model_server")


@pytest.fixture(scope="session")
def server() -> Iterator["model_server.ModelServer"]:
    with model_server.ModelServer() as running:
        yield running


@pytest.fixture
def request_of():
    """Makes a `ModelRequest` with defaults for everything."""
    from engine.events import ModelInfo
    from engine.runtime.ports import Message, ModelRequest, PolicyState
    from engine.sema.model import Model
    from engine.source import Span

    def make(**changes):
        model = changes.pop("model", None)
        options = changes.pop("options", {})
        if model is None:
            model = Model("planner", "openai/test", ".", Span("x.orch", 0, 0), options=options)
        fields = {
            "key": "round 1 / decision 1",
            "role": "decision",
            "name": "research",
            "model": model,
            "info": ModelInfo("openai/test"),
            "messages": (Message("user", "Say hello."),),
            "schema": None,
            "structured": False,
            "max_tokens": 100,
            "timeout_ms": 10_000,
            "state": lambda: PolicyState("orchestrator", "research", "goal", {}, {}),
        }
        return ModelRequest(**{**fields, **changes})

    return make


@pytest.fixture
def model_of():
    """Makes a declared model."""
    from engine.sema.model import Model
    from engine.source import Span

    def make(id="openai/test", base_dir=".", name="planner", **settings):
        return Model(name, id, str(base_dir), Span("x.orch", 0, 0), **settings)

    return make
