"""Limits of a model, on a clock that the test turns."""

import asyncio

import pytest

from engine.errors import Failure
from engine.events import Usage
from engine.models.limiter import LimitedModel, Window
from engine.runtime.ports import Message, ModelReply


class Clock:
    """Time that passes only while somebody waits for it."""

    def __init__(self):
        self.now_s = 0.0

    def __call__(self):
        return self.now_s

    async def sleep(self, delay_s):
        self.now_s += delay_s
        await asyncio.sleep(0)


def take(window, amounts, clock):
    async def run():
        starts = []
        for amount in amounts:
            await window.take(amount)
            starts.append(clock.now_s)
        return starts

    return asyncio.run(run())


def test_no_minute_holds_more_calls_than_the_limit():
    clock = Clock()
    starts = take(Window(3, clock, clock.sleep), [1] * 8, clock)
    assert starts == [0, 0, 0, 60, 60, 60, 120, 120]


def test_calls_spread_out_fall_out_of_the_window_one_by_one():
    clock = Clock()
    window = Window(2, clock, clock.sleep)
    assert take(window, [1], clock) == [0]
    clock.now_s = 50.0
    assert take(window, [1, 1, 1], clock) == [50, 60, 110]


def test_what_is_larger_than_the_limit_waits_to_be_alone():
    clock = Clock()
    assert take(Window(10, clock, clock.sleep), [4, 50, 4], clock) == [0, 60, 120]


class Echo:
    """A model that notes how many calls run at once and waits for `gate`."""

    def __init__(self, usage=None):
        self.running = self.most = 0
        self.usage = usage
        self.closed = False

    async def complete(self, request):
        self.running += 1
        self.most = max(self.most, self.running)
        for _ in range(5):
            await asyncio.sleep(0)
        self.running -= 1
        if request.name == "never":
            await asyncio.get_running_loop().create_future()
        if request.name == "bad":
            raise Failure("timeout")
        return ModelReply(request.name, self.usage)

    async def close(self):
        self.closed = True


def test_at_most_so_many_run_at_once(request_of):
    echo = Echo()
    model = LimitedModel(echo, max_concurrent=3)

    async def run():
        calls = [model.complete(request_of(name=f"w{n}")) for n in range(10)]
        replies = await asyncio.gather(*calls)
        await model.close()
        return [reply.value for reply in replies]

    assert asyncio.run(run()) == [f"w{n}" for n in range(10)]
    assert echo.most == 3
    assert echo.closed


def test_a_failed_call_gives_its_slot_back(request_of):
    model = LimitedModel(Echo(), max_concurrent=1)

    async def run():
        with pytest.raises(Failure):
            await model.complete(request_of(name="bad"))
        return await model.complete(request_of(name="good"))

    assert asyncio.run(run()).value == "good"


def test_tokens_count_by_their_bound_and_then_by_what_was_used(request_of):
    clock = Clock()
    request = request_of(messages=(Message("user", "x" * 32),), max_tokens=60)  # 32 + 8 + 60

    def starts(usage):
        clock.now_s = 0.0
        window = Window(150, clock, clock.sleep)
        model = LimitedModel(Echo(usage), tokens=window)

        async def run():
            found = []
            for _ in range(3):
                await model.complete(request)
                found.append(clock.now_s)
            return found

        return asyncio.run(run())

    assert starts(Usage(input_tokens=10, output_tokens=15)) == [0, 0, 0]
    assert starts(None) == [0, 60, 120]


def test_a_call_has_its_time_from_when_it_is_let_through(request_of):
    model = LimitedModel(Echo(), max_concurrent=1)

    async def run():
        # The second cannot begin before the first is out of time, and still has its own.
        slow = asyncio.ensure_future(model.complete(request_of(name="never", timeout_ms=20)))
        patient = asyncio.ensure_future(model.complete(request_of(name="w", timeout_ms=5_000)))
        return await asyncio.gather(slow, patient, return_exceptions=True)

    failure, reply = asyncio.run(run())
    message = "`planner` did not answer within 0.02 s"
    assert failure == Failure("timeout", message, retryable=True)
    assert reply.value == "w"
