"""Every schema that is sent compiles to a grammar in the compilers that model servers use.

llama.cpp's converter (llama.cpp, Ollama, LM Studio), llguidance (vLLM, llama.cpp, OpenAI) and
xgrammar (vLLM, SGLang). `make test-grammars` installs them; one that is not there
is skipped.
"""

from __future__ import annotations

import importlib
import importlib.machinery
import json
import sys
import types
from collections.abc import Callable
from typing import Any

import pytest
from sent_schemas import sent

pytestmark = [pytest.mark.grammars, pytest.mark.filterwarnings("ignore::DeprecationWarning")]


def installed(name: str) -> Any:
    """The module, or a skip that says how to get it."""
    try:
        return importlib.import_module(name)
    except ImportError as error:
        pytest.skip(f"{name} cannot be imported ({error}); `make test-grammars` installs it")


def refused(compile: Callable[[str], object]) -> dict[str, str]:
    """What a compiler does not take: the words of its errors, by schema."""
    found = {}
    for one in sent():
        try:
            compile(json.dumps(one.schema))
        except Exception as error:
            found[f"{one.whose}, {one.dialect}"] = f"{type(error).__name__}: {error}"[:300]
    return found


def test_llama_cpp():
    convert = installed("xllamacpp").json_schema_to_grammar
    if str(convert('{"type": "object"}')).startswith("%llguidance"):
        pytest.skip("this build of llama.cpp gives schemas to llguidance, which has its own test")
    assert refused(convert) == {}


def test_llguidance():
    matcher = installed("llguidance").LLMatcher

    def compile(schema: str) -> None:
        grammar = matcher.grammar_from_json_schema(schema)
        failed, said = matcher.validate_grammar_with_warnings(grammar)
        if failed or said:
            raise ValueError("; ".join(said[:2]))

    assert refused(compile) == {}


class _Absent(types.ModuleType):
    """A module that is imported for its names alone."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return type(name, (), {"__init__": lambda self, *given, **named: None})


@pytest.fixture
def xgrammar(monkeypatch):
    """xgrammar without PyTorch, which it imports and does not need to compile a grammar."""
    # This one looks for PyTorch itself, so it comes first.
    installed("tvm_ffi")
    for name in ("torch", "transformers", "triton", "triton.language"):
        if name not in sys.modules:
            absent = _Absent(name)
            absent.__spec__ = importlib.machinery.ModuleSpec(name, None)
            absent.__path__ = []
            monkeypatch.setitem(sys.modules, name, absent)
    return installed("xgrammar")


def test_xgrammar(xgrammar):
    assert refused(xgrammar.Grammar.from_json_schema) == {}
