"""Workers and verifiers `via python`: a function of the user's, in this process or in a child.

A synchronous function runs in a daemon thread, an asynchronous one on the event loop. A thread
cannot be killed, so `engine.workers.threads` bounds how many run on after their timeout. What it
raises becomes a `Failure` here and nowhere else, without a stack trace, also `SystemExit` and
`KeyboardInterrupt`: user code cannot end a run. The function gets a copy of the input and its
result is rebuilt, so neither side can change a value the other holds. An untrusted one runs in
threads that have no network (`engine.workers.sandbox.threads`), unless its file says otherwise.

With `isolate = true` or a `sandbox`, or where the call may have taken the engine down before, it
runs in a process of its own (`engine.workers.child`), which can be killed at its timeout and whose
death affects nothing else.
"""

from __future__ import annotations

import asyncio
import contextlib
import inspect
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any

import msgspec

from engine.callables import CallableError, load_callable
from engine.errors import Failure
from engine.runtime.ports import WorkerReply, WorkerRequest
from engine.sema.model import Program, Sandbox, Verifier
from engine.workers.child import call_apart
from engine.workers.environment import process_environment
from engine.workers.large import LARGE_BYTES, off_the_loop, rough_size
from engine.workers.messages import clean, crash_of
from engine.workers.sandbox.making import explained
from engine.workers.sandbox.threads import threads_problem, without_network
from engine.workers.settings import evaluated
from engine.workers.threads import DaemonThreads, TooManyAbandoned
from engine.workers.values import plain_json, verdict_of

__all__ = ["PythonWorker", "load_failure", "open_port"]

# Of the process, not of a worker: what is idle after one run serves the next.
_threads = DaemonThreads("orch-python")


class PythonWorker:
    """Runs `call = "package.module:function"`; one instance serves any number of calls."""

    def __init__(self) -> None:
        self._functions: dict[tuple[str, str], _Loaded] = {}
        self._loading: dict[tuple[str, str], asyncio.Task[_Loaded | Failure]] = {}

    async def call(self, request: WorkerRequest) -> WorkerReply:
        """Call the function with the inputs as keyword arguments.

        Raises:
            Failure: What the function raised; `crashed` for any other exception;
                `invalid_output` for a result that is not JSON.
        """
        try:
            value = await self._value(request)
        except Failure as failure:
            raise explained(failure, request) from None
        if isinstance(request.worker, Verifier):
            value = verdict_of(value)
        return WorkerReply(value)

    async def _value(self, request: WorkerRequest) -> Any:
        target = str(request.worker.settings["call"])
        chosen = request.worker.settings["isolate"]
        if request.isolated or chosen:
            return await call_apart(
                target,
                request.base_dir,
                request.scope,
                _arguments(request),
                max_bytes=request.worker.max_bytes,
                mark=request.mark,
                # A suspect that is apart for the engine's sake is still the same call.
                env=process_environment(request) if chosen else None,
                request=request,
            )
        return await self._invoke(await self._function(target, request), request)

    async def apply(self, target: str, argument: Any, request: WorkerRequest) -> Any:
        """Call another function of the user's on one value, such as a parser of output."""
        # What the sandbox keeps from the program, it keeps from what reads the program's output.
        if request.isolated or (_is_demanded(request) and not _has_no_network(request)):
            return await call_apart(
                target,
                request.base_dir,
                request.scope,
                {},
                [argument],
                mark=request.mark,
                env=process_environment(request) if _is_demanded(request) else None,
                request=request,
            )
        function = await self._function(target, request)
        return await self._invoke(function, request, argument, with_input=False)

    async def _function(self, target: str, request: WorkerRequest) -> _Loaded:
        key = (target, request.base_dir)
        known = self._functions.get(key)
        if known is not None:
            return known
        # Importing runs code of the user's and may take seconds: not on the event loop, and
        # once, however many tasks of a round want it.
        loading = self._loading.get(key)
        if loading is None:
            load = partial(_loaded, target, request.base_dir, request.scope)
            loading = asyncio.ensure_future(_load(load, request))
            self._loading[key] = loading
            loading.add_done_callback(lambda _: self._loading.pop(key, None))
        loaded = await asyncio.shield(loading)
        if isinstance(loaded, Failure):
            raise loaded
        self._functions[key] = loaded
        return loaded

    async def _invoke(
        self, loaded: _Loaded, request: WorkerRequest, *args: Any, with_input: bool = True
    ) -> Any:
        inputs = _arguments(request) if with_input else {}
        call = partial(loaded.function, *args, **inputs)
        if _has_no_network(request):
            return await self._without_network(call, request)
        if loaded.awaits:
            return await _awaited(call, request)
        value = await _in_threads(_threads, partial(_called, call, request), request)
        if inspect.isawaitable(value):  # a plain function that gave a coroutine
            return await _awaited(lambda: value, request)
        return value

    async def _without_network(self, call: Callable[[], Any], request: WorkerRequest) -> Any:
        ending = _Ending()
        try:
            function = partial(_run_to_end, call, request, ending)
            return await _in_threads(without_network, function, request)
        except asyncio.CancelledError:
            ending.ask()
            raise


def _arguments(request: WorkerRequest) -> dict[str, Any]:
    """The keyword arguments: what `args` says, else the inputs; a copy user code may change."""
    given = request.input if "args" not in request.worker.settings else evaluated(request, "args")
    arguments: dict[str, Any] = msgspec.to_builtins(given)
    return arguments


class _Loaded(msgspec.Struct, frozen=True):
    """A function of the user's, and whether calling it gives something to await."""

    function: Callable[..., Any]
    awaits: bool


def is_async(function: Callable[..., Any]) -> bool:
    """Whether calling `function` gives a coroutine, as far as can be told beforehand."""
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(
        getattr(function, "__call__", None)  # noqa: B004 - an object with an async __call__
    )


async def _load(load: Callable[[], _Loaded | Failure], request: WorkerRequest) -> _Loaded | Failure:
    try:
        return await _threads.run(load)
    except TooManyAbandoned as error:
        return _not_begun(error, request)


def _not_begun(error: TooManyAbandoned, request: WorkerRequest) -> Failure:
    """The failure of a call that was not begun: after every other mode, a person would be asked
    the outcome of a `once` task."""
    once = getattr(request.worker, "effect", None) == "once"
    return Failure("denied" if once else "crashed", str(error))


def _loaded(target: str, base_dir: str, scope: Mapping[str, Any]) -> _Loaded | Failure:
    """The function; or why it cannot be had, as a value, since several calls may share it."""
    try:
        function = load_callable(target, base_dir)
    except BaseException as error:
        return load_failure(target, error, scope)
    return _Loaded(function, is_async(function))


def load_failure(target: str, error: BaseException, scope: Mapping[str, Any]) -> Failure:
    """The failure of a function that cannot be had."""
    if isinstance(error, CallableError):
        return Failure("crashed", clean(str(error), scope))
    return Failure("crashed", f"cannot load {target}: {crash_of(error, scope).message}")


def _has_no_network(request: WorkerRequest) -> bool:
    """Whether the function runs in a thread without a network, as untrusted ones do here."""
    sandbox = request.worker.settings.get("sandbox")
    return isinstance(sandbox, Sandbox) and sandbox.reach == "none" and threads_problem() is None


def _is_demanded(request: WorkerRequest) -> bool:
    sandbox = request.worker.settings.get("sandbox")
    return isinstance(sandbox, Sandbox) and sandbox.demanded


async def _in_threads(
    threads: DaemonThreads, function: Callable[[], Any], request: WorkerRequest
) -> Any:
    try:
        return await threads.run(function)
    except TooManyAbandoned as error:
        raise _not_begun(error, request) from None


class _Ending:
    """Lets a call that has been given up cancel what it awaits, in another thread's loop."""

    def __init__(self) -> None:
        self._asked = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task[Any] | None = None

    def ask(self) -> None:
        """End it. Called by the engine's thread."""
        self._asked = True
        loop, task = self._loop, self._task
        if loop is not None and task is not None:
            with contextlib.suppress(RuntimeError):  # the loop is closed: it has ended
                loop.call_soon_threadsafe(task.cancel)

    async def result_of(self, value: Awaitable[Any]) -> Any:
        """Await a value, unless the end has been asked for."""
        self._task = asyncio.current_task()
        self._loop = asyncio.get_running_loop()
        if self._asked:
            raise asyncio.CancelledError
        return await value


def _run_to_end(call: Callable[[], Any], request: WorkerRequest, ending: _Ending) -> Any:
    """The plain result of a function of either sort; one that is awaited gets a loop of its own."""
    try:
        value = call()
        if inspect.isawaitable(value):
            value = asyncio.run(ending.result_of(value))
        return plain_json(value)
    except BaseException as error:
        raise _crash(error, request) from None


def _called(call: Callable[[], Any], request: WorkerRequest) -> Any:
    """The plain result of a synchronous function, or what it gave to be awaited."""
    try:
        value = call()
        return value if inspect.isawaitable(value) else plain_json(value)
    except BaseException as error:
        raise _crash(error, request) from None


async def _awaited(call: Callable[[], Awaitable[Any]], request: WorkerRequest) -> Any:
    try:
        value = await call()
        size = rough_size(value)
        # Most answers are small: for those `off_the_loop` would cost more than the copy does.
        if size < LARGE_BYTES:
            return plain_json(value)
        return await off_the_loop(partial(plain_json, value), size)
    except GeneratorExit:
        raise
    except asyncio.CancelledError as error:
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            raise
        raise _crash(error, request) from None  # raised by the function itself
    except BaseException as error:
        raise _crash(error, request) from None


def _crash(error: BaseException, request: WorkerRequest) -> Failure:
    return crash_of(error, request.scope, base_dir=request.base_dir)


def open_port(_: Program | None) -> PythonWorker:
    """The port of `via python`."""
    return PythonWorker()
