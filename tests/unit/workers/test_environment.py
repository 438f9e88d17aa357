"""What the processes of a run see of the engine's environment."""

from __future__ import annotations

import asyncio
import sys

import msgspec
import pytest

from engine.errors import Failure
from engine.workers.registry import worker_port

SHOW = "import json, os; print(json.dumps(dict(os.environ)))"
TOOLS = "import os\ndef work():\n    return dict(os.environ)\n"
KEYS = {"OPENAI_API_KEY": "sk-0123456789", "AWS_SECRET_ACCESS_KEY": "abc", "AZURE_API_KEY_EU": "x"}


@pytest.fixture(params=["command", "python"])
def seen(request, call, tools, monkeypatch):
    """The environment of a command, or of an isolated function."""
    for name, value in {**KEYS, "TOKEN": "s3cret-value", "PLAIN": "p", "GIT_DIR": "g"}.items():
        monkeypatch.setenv(name, value)
    tools(TOOLS)

    def seen(**settings):
        if request.param == "command":
            settings["run"] = [sys.executable, "-c", SHOW]
        else:
            settings |= {"call": "tools:work", "isolate": True}
        return call(request.param, settings, secret={"TOKEN": "s3cret-value", "UNSET": "u"})

    return seen


def test_keys_and_secrets_are_kept_back(seen):
    found = seen()
    assert found["PLAIN"] == "p"
    assert not {*KEYS, "TOKEN"} & found.keys()


def test_what_is_inherited_is_said(seen, monkeypatch):
    monkeypatch.setenv("LC_ALL", "C.UTF-8")
    found = seen(inherit=("OPENAI_API_KEY", "TOKEN", "GIT_*", "NO_SUCH"))
    assert found["OPENAI_API_KEY"] == "sk-0123456789"
    assert (found["TOKEN"], found["GIT_DIR"], found["LC_ALL"]) == ("s3cret-value", "g", "C.UTF-8")
    assert "PATH" in found
    assert not {"PLAIN", "AWS_SECRET_ACCESS_KEY", "NO_SUCH"} & found.keys()


def test_a_pattern_lets_no_key_and_no_secret_through(seen):
    found = seen(inherit=("*", "AZURE_API_KEY_EU"))
    assert (found["PLAIN"], found["AZURE_API_KEY_EU"]) == ("p", "x")
    assert not {"OPENAI_API_KEY", "AWS_SECRET_ACCESS_KEY", "TOKEN"} & found.keys()


def test_nothing_is_inherited_but_what_programs_need(seen):
    assert not {"PLAIN", "GIT_DIR", *KEYS} & seen(inherit=()).keys()


def test_what_is_set_counts_for_more(seen, var):
    found = seen(env={"PLAIN": None, "OPENAI_API_KEY": var("secret.TOKEN"), "N": 3})
    assert (found["OPENAI_API_KEY"], found["N"]) == ("s3cret-value", "3")
    assert "PLAIN" not in found


def test_a_call_that_is_apart_for_the_engines_sake_sees_what_it_always_sees(
    make_request, tools, monkeypatch
):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-0123456789")
    tools(TOOLS)
    request = msgspec.structs.replace(make_request("python", {"call": "tools:work"}), isolated=True)
    found = asyncio.run(worker_port("python").call(request)).value
    assert found["OPENAI_API_KEY"] == "sk-0123456789"


def test_the_last_words_of_a_program_begin_with_a_whole_word(call):
    secret = "s3cret" * 20
    # More than is kept of standard error, cut in the middle of the secret.
    said = f"import sys; sys.stderr.write({secret!r} + 'y' * 8130 + ' end'); sys.exit(1)"
    with pytest.raises(Failure) as caught:
        call("command", {"run": [sys.executable, "-c", said]}, secret={"KEY": secret})
    assert "s3cret" not in caught.value.message
    assert caught.value.message.startswith("exit code 1: yyy")
