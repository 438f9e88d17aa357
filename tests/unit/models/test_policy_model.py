"""Python functions in the place of models."""

import asyncio
import dataclasses
import threading

import pytest

from engine.errors import Failure
from engine.events import Usage
from engine.models.policy import PolicyModel
from engine.runtime.ports import ModelReply


def ask(function, request):
    model = PolicyModel(function, "plans:next_step")
    return asyncio.run(model.complete(request))


def failure(function, request):
    with pytest.raises(Failure) as caught:
        ask(function, request)
    return caught.value


def test_a_plain_function_gets_the_state_in_a_thread(request_of):
    seen = []

    def policy(state):
        seen.append((state.name, threading.current_thread() is threading.main_thread()))
        return {"finish": state.goal}

    assert ask(policy, request_of()) == ModelReply({"finish": "goal"}, Usage())
    assert seen == [("research", False)]


def test_async_functions(request_of):
    async def policy(state):
        await asyncio.sleep(0)
        return state.kind

    assert ask(policy, request_of()).value == "orchestrator"
    assert ask(lambda state: policy(state), request_of()).value == "orchestrator"


def test_records_become_json(request_of):
    @dataclasses.dataclass
    class Decision:
        assessment: str
        files: tuple[str, ...]

    value = ask(lambda state: Decision("go", ("a", "b")), request_of()).value
    assert value == {"assessment": "go", "files": ["a", "b"]}


@pytest.mark.parametrize("value", [object(), {"a": {1: object()}}, float("nan"), [float("inf")]])
def test_what_is_not_json(request_of, value):
    failed = failure(lambda state: value, request_of())
    assert (failed.mode, failed.retryable) == ("invalid_output", False)
    assert failed.message.startswith("plans:next_step returned what is not JSON: ")


def test_an_exception_is_a_failed_call_without_a_traceback(request_of):
    def policy(state):
        return {}["nothing"]

    failed = failure(policy, request_of())
    assert (failed.mode, failed.retryable) == ("unavailable", False)
    assert failed.message == "plans:next_step raised KeyError: 'nothing'"


def test_a_policy_may_fail_on_purpose(request_of):
    def policy(state):
        raise Failure("refused", "not today")

    assert failure(policy, request_of()) == Failure("refused", "not today")

    def other(state):
        raise Failure("not_found", "no such mode of models")

    assert failure(other, request_of()).mode == "unavailable"
