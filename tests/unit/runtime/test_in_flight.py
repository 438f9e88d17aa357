"""Room for the inputs of calls that run at once: first come, first served, nothing lost."""

from __future__ import annotations

import asyncio

from engine.drive.intake import InFlight


async def turns(count: int = 5) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


def test_a_call_waits_until_there_is_room_and_calls_keep_their_order():
    async def main() -> list[str]:
        room, log = InFlight(100), []

        async def call(name: str, size: int, until: asyncio.Event) -> None:
            await room.take(size)
            log.append(name)
            await until.wait()
            room.give_back(size)

        ends = {name: asyncio.Event() for name in "abcd"}
        sizes = {"a": 60, "b": 60, "c": 10, "d": 500}
        running = [asyncio.ensure_future(call(n, sizes[n], ends[n])) for n in "abcd"]
        await turns()
        assert log == ["a"]  # c would fit, but b was there first
        ends["a"].set()
        await turns()
        assert log == ["a", "b", "c"]
        ends["b"].set()
        await turns()
        assert log == ["a", "b", "c"]  # larger than the room: it has to be alone
        ends["c"].set()
        await turns()
        ends["d"].set()
        await asyncio.gather(*running)
        await room.take(100)  # all of it is free again
        return log

    assert asyncio.run(main()) == ["a", "b", "c", "d"]


def test_a_call_that_is_called_off_while_it_waits_takes_no_room():
    async def main() -> None:
        room = InFlight(100)
        await room.take(100)
        waiting = [asyncio.ensure_future(room.take(size)) for size in (90, 50, 50)]
        await turns()
        waiting[0].cancel()
        await turns()
        room.give_back(100)
        waiting[1].cancel()  # in the moment in which it has got its room
        await turns()
        assert [task.cancelled() for task in waiting] == [True, True, False]
        await room.take(50)

    asyncio.run(asyncio.wait_for(main(), 10))
