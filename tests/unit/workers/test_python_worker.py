import asyncio
import subprocess
import sys
import textwrap
import threading

import msgspec
import pytest

from engine.errors import Failure
from engine.workers import python
from engine.workers.registry import worker_port
from engine.workers.threads import DaemonThreads, TooManyAbandoned

BOTH = pytest.mark.parametrize("isolate", [False, True], ids=["here", "isolated"])


def failure_of(call, *args, **options):
    with pytest.raises(Failure) as caught:
        call(*args, **options)
    return caught.value.mode, caught.value.message


@BOTH
def test_a_sync_function_gets_the_input_as_keyword_arguments(call, tools, isolate):
    tools("def add(a, b=1): return {'sum': a + b}")
    assert call("python", {"call": "tools:add", "isolate": isolate}, {"a": 2}) == {"sum": 3}


@BOTH
def test_an_async_function_is_awaited(call, tools, isolate):
    tools(
        """
        import asyncio
        async def add(a):
            await asyncio.sleep(0)
            return a + 1
        def gives_a_coroutine(a):
            return add(a)
        """
    )
    assert call("python", {"call": "tools:add", "isolate": isolate}, {"a": 2}) == 3
    assert call("python", {"call": "tools:gives_a_coroutine", "isolate": isolate}, {"a": 2}) == 3


@BOTH
@pytest.mark.parametrize("keyword", ["def", "async def"])
def test_a_crash_says_the_innermost_line_of_the_users_code(call, tools, isolate, keyword):
    tools(
        f"""
        import json
        {keyword} read(text):
            return parsed(text)
        def parsed(text):
            return json.loads(text)
        """
    )
    with pytest.raises(Failure) as caught:
        call("python", {"call": "tools:read", "isolate": isolate}, {"text": "{"})
    assert caught.value.raised == "tools.py:6"
    assert "tools.py" not in caught.value.message


def test_a_failure_that_is_raised_on_purpose_has_no_line(call, tools):
    tools("from orch import Failure\ndef no(): raise Failure('not_found', 'no')")
    with pytest.raises(Failure) as caught:
        call("python", {"call": "tools:no"}, {})
    assert caught.value.raised == ""


WRONG = [
    ("raise ValueError('no such thing')", "crashed", "ValueError: no such thing"),
    ("raise KeyError()", "crashed", "KeyError"),
    ("raise SystemExit(3)", "crashed", "SystemExit: 3"),
    ("raise KeyboardInterrupt", "crashed", "KeyboardInterrupt"),
    ("raise StopIteration", "crashed", "StopIteration"),
    ("import asyncio; raise asyncio.CancelledError", "crashed", "CancelledError"),
    ("raise Failure('not_found', 'no such page')", "not_found", "no such page"),
    ("return float('nan')", "invalid_output", "the output is not JSON: nan is not a JSON"),
    ("return {'a': [{1, 2}]}", "invalid_output", "at /a/0: a value of type set"),
    ("return object()", "invalid_output", "type object is not JSON"),
    ("return '\\ud800'", "invalid_output", "half a surrogate"),
    ("return 10 ** 4300", "invalid_output", "4,300 digits"),
    ("return {1: 2}", "invalid_output", "the key 1 is a value of type int"),
    ("return (i for i in [1])", "invalid_output", "type generator is not JSON"),
    ("a = []; a.append(a); return a", "invalid_output", "nested deeper"),
]


@pytest.mark.parametrize(("body", "mode", "message"), WRONG)
@pytest.mark.parametrize("kind", ["def", "async def"])
def test_what_goes_wrong_in_a_function_is_a_failure(call, tools, kind, body, mode, message):
    tools(f"from engine.errors import Failure\n{kind} work():\n    {body}\n")
    found = failure_of(call, "python", {"call": "tools:work"})
    assert found[0] == mode
    assert message in found[1]
    assert "Traceback" not in found[1]


@pytest.mark.parametrize(("body", "mode", "message"), WRONG[:10])
def test_what_goes_wrong_in_a_child_is_the_same_failure(call, tools, body, mode, message):
    tools(f"from engine.errors import Failure\ndef work():\n    {body}\n")
    found = failure_of(call, "python", {"call": "tools:work", "isolate": True})
    assert found[0] == mode
    assert message in found[1]


@BOTH
def test_wrong_arguments_are_told(call, tools, isolate):
    tools("def work(a): return a")
    mode, message = failure_of(call, "python", {"call": "tools:work", "isolate": isolate}, {"b": 1})
    assert mode == "crashed"
    assert "unexpected keyword argument 'b'" in message


@BOTH
@pytest.mark.parametrize(
    ("source", "target", "message"),
    [
        ("", "nowhere:work", "no module `nowhere` in"),
        ("def wrok(): ...", "tools:work", "did you mean `wrok`?"),
        ("def work(:", "tools:work", "SyntaxError: invalid syntax (tools.py:1)"),
        ("raise SystemExit", "tools:work", "cannot be imported: SystemExit"),
        ("raise KeyboardInterrupt", "tools:work", "cannot load tools:work: KeyboardInterrupt"),
        ("work = 3", "tools:work", "is not a function but int"),
    ],
)
def test_a_function_that_cannot_be_loaded_is_told(call, tools, source, target, message, isolate):
    tools(source)
    mode, said = failure_of(call, "python", {"call": target, "isolate": isolate})
    assert mode == "crashed"
    assert message in said


def test_retry_hints_of_a_failure_survive(call, tools):
    tools(
        """
        from engine.errors import Failure
        def work():
            raise Failure("rate_limited", "slow down", retryable=True, retry_after_ms=1500)
        """
    )
    for isolate in (False, True):
        with pytest.raises(Failure) as caught:
            call("python", {"call": "tools:work", "isolate": isolate})
        assert caught.value == Failure(
            "rate_limited", "slow down", retryable=True, retry_after_ms=1500
        )


@BOTH
def test_secrets_and_control_characters_stay_out_of_messages(call, tools, isolate):
    tools("def work(): raise ValueError('\\x1b[31mthe key is sk-12345\\ud800\\x00')")
    _, message = failure_of(
        call, "python", {"call": "tools:work", "isolate": isolate}, secret={"KEY": "sk-12345"}
    )
    assert message == "ValueError: the key is [secret KEY]?"


def test_results_of_common_types_become_plain(call, tools):
    tools(
        """
        import dataclasses, datetime, enum, pathlib, typing
        import msgspec, pydantic
        @dataclasses.dataclass
        class D:
            a: int
            inner: "list[D]"
        class S(msgspec.Struct):
            b: str
        class P(pydantic.BaseModel):
            c: datetime.date
        class N(typing.NamedTuple):
            x: int
        class E(enum.Enum):
            LOW = "low"
        def work():
            return [D(1, [D(2, [])]), S("s"), P(c="2026-01-02"), N(1), E.LOW,
                    datetime.date(2026, 1, 2), pathlib.PurePosixPath("a/b"), (1.5, None, True)]
        """
    )
    assert call("python", {"call": "tools:work"}) == [
        {"a": 1, "inner": [{"a": 2, "inner": []}]},
        {"b": "s"},
        {"c": "2026-01-02"},
        [1],
        "low",
        "2026-01-02",
        "a/b",
        [1.5, None, True],
    ]


def test_neither_side_keeps_a_hold_on_the_others_values(make_request, tools):
    tools(
        """
        kept = []
        def work(items):
            items.append("changed")
            kept.append(len(items))
            return kept
        """
    )
    request = make_request("python", {"call": "tools:work"}, {"items": ["a"]})
    port = worker_port("python")

    async def twice():
        return [(await port.call(request)).value for _ in range(2)]

    first, second = asyncio.run(twice())
    assert request.input == {"items": ["a"]}
    assert (first, second) == ([2], [2, 2])


@pytest.mark.parametrize(
    ("returned", "verdict"),
    [
        ("True", {"ok": True, "feedback": ""}),
        ("(False, 'no source')", {"ok": False, "feedback": "no source"}),
        ("(False, 'weak', 0.25)", {"ok": False, "feedback": "weak", "score": 0.25}),
        ("{'ok': True, 'feedback': 'x'}", {"ok": True, "feedback": "x"}),
    ],
)
def test_short_verdicts_are_made_long(call, tools, returned, verdict):
    tools(f"def check(): return {returned}")
    assert call("python", {"call": "tools:check"}, verifier=True) == verdict


def test_what_is_no_verdict_is_refused(call, tools):
    tools("def check(): pass")
    mode, message = failure_of(call, "python", {"call": "tools:check"}, verifier=True)
    assert mode == "invalid_output"
    assert "not nothing (None)" in message


def test_prints_of_an_isolated_function_do_not_reach_its_reply(call, tools, capfd):
    tools(
        """
        import os, sys
        def work():
            print("printed")
            os.write(1, b"written\\n")
            os.system("echo said")
            return sys.stdin.read()
        """
    )
    assert call("python", {"call": "tools:work", "isolate": True}) == ""
    out, err = capfd.readouterr()
    assert out == ""
    assert sorted(err.split()) == ["printed", "said", "written"]


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("os.kill(os.getpid(), signal.SIGSEGV)", "killed by SIGSEGV"),
        (
            "sys.stderr.write('out of luck\\n'); sys.stderr.flush(); os._exit(7)",
            "the process ended without a result (exit code 7): out of luck",
        ),
        ("os._exit(0)", "the process ended without a result (exit code 0)"),
    ],
)
def test_the_death_of_an_isolated_function_is_told(call, tools, capfd, body, message):
    tools(f"import os, signal, sys\ndef work():\n    {body}\n")
    found = failure_of(call, "python", {"call": "tools:work", "isolate": True})
    assert found == ("crashed", message)


def test_a_cancelled_isolated_function_is_killed(make_request, tools, tmp_path):
    fifo = tmp_path / "fifo"
    import os

    os.mkfifo(fifo)
    tools(
        """
        import signal, time
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        def work(fifo):
            with open(fifo, "w") as stream:
                stream.write("started")
                stream.flush()
                time.sleep(1000)
        """
    )
    request = make_request("python", {"call": "tools:work", "isolate": True}, {"fifo": str(fifo)})

    async def cancel_it():
        task = asyncio.ensure_future(worker_port("python").call(request))
        stream = await asyncio.to_thread(open, fifo)
        with stream:
            assert stream.read(7) == "started"
            task.cancel()
            task_ended = asyncio.wait((task,))
            await asyncio.sleep(0)
            task.cancel()  # a second cancel ends the grace
            await task_ended
            assert task.cancelled()
            assert stream.read() == ""  # the writer is dead

    asyncio.run(cancel_it())


def test_a_hung_function_holds_up_neither_the_caller_nor_the_exit(tmp_path):
    (tmp_path / "tools.py").write_text("import threading\ndef hang(): threading.Event().wait()\n")
    script = textwrap.dedent(
        """
        import asyncio, sys
        from functools import partial
        from engine.callables import load_callable
        from engine.workers.threads import DaemonThreads

        async def main():
            threads = DaemonThreads("t")
            hang = asyncio.ensure_future(threads.run(load_callable("tools:hang", sys.argv[1])))
            assert await threads.run(lambda: 3) == 3
            hang.cancel()
            await asyncio.wait((hang,))

        asyncio.run(main())
        print("over")
        """
    )
    ran = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path)], capture_output=True, timeout=60, check=True
    )
    assert ran.stdout == b"over\n"


def test_idle_threads_are_used_again():
    async def many():
        threads = DaemonThreads("t")
        return {await threads.run(threading.get_ident) for _ in range(20)}

    assert len(asyncio.run(many())) == 1


async def abandon(threads, over, count):
    """Call functions that do not end before `over`, and leave."""
    begun = threading.Semaphore(0)
    calls = [
        asyncio.ensure_future(threads.run(lambda: (begun.release(), over.wait())))
        for _ in range(count)
    ]
    for _ in calls:
        while not begun.acquire(blocking=False):
            await asyncio.sleep(0)
    for call in calls:
        call.cancel()
    await asyncio.wait(calls)


def test_functions_that_were_given_up_are_bounded():
    threads, over = DaemonThreads("t", most_abandoned=3), threading.Event()
    together = threading.Barrier(5)

    async def main():
        await abandon(threads, over, 3)
        with pytest.raises(TooManyAbandoned, match="3 functions"):
            await threads.run(lambda: 1)
        over.set()
        while threads._abandoned:
            await asyncio.sleep(0)
        # Those that are waited for are not counted.
        await asyncio.gather(*(threads.run(together.wait) for _ in range(5)))

    asyncio.run(main())


@pytest.mark.parametrize(("effect", "mode"), [("read", "crashed"), ("once", "denied")])
def test_a_call_beyond_the_bound_fails_before_it_has_begun(
    make_request, tools, monkeypatch, effect, mode
):
    threads, over = DaemonThreads("t", most_abandoned=1), threading.Event()
    monkeypatch.setattr(python, "_threads", threads)
    tools("def work(): raise AssertionError('begun')")
    request = make_request("python", {"call": "tools:work"})
    worker = msgspec.structs.replace(request.worker, effect=effect)

    async def main():
        await abandon(threads, over, 1)
        with pytest.raises(Failure) as caught:
            await worker_port("python").call(msgspec.structs.replace(request, worker=worker))
        over.set()
        return caught.value

    failure = asyncio.run(main())
    assert failure.mode == mode
    assert failure.message.startswith("1 functions still run after their calls were given up")


def test_cancelling_an_async_function_stays_a_cancel(make_request, tools):
    tools("import asyncio\nasync def work(): await asyncio.Event().wait()")
    request = make_request("python", {"call": "tools:work"})

    async def cancel_it():
        task = asyncio.ensure_future(worker_port("python").call(request))
        for _ in range(3):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait((task,))
        return task.cancelled()

    assert asyncio.run(cancel_it())
