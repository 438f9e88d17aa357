"""Workers and verifiers `via command`: a program with arguments, never a shell.

The argument list is computed from the inputs, one argument an item, so no input can become two
arguments or an operator of a shell. The program runs in the folder of its `.orch` file unless
`cwd` says otherwise, leads a process group of its own, and dies with it when it is cancelled
(see `engine.workers.process`). What it says about itself in a failure is cleaned of secrets.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from engine.errors import Failure
from engine.runtime.ports import WorkerReply, WorkerRequest
from engine.sema.model import Program, Verifier
from engine.sizes import size_words
from engine.workers.environment import process_environment
from engine.workers.large import off_the_loop
from engine.workers.messages import clean, exit_words, last_lines, redacted
from engine.workers.process import Finished, OutputTooLarge, run_process
from engine.workers.python import PythonWorker
from engine.workers.sandbox.making import explained, launched
from engine.workers.settings import evaluated, text_of
from engine.workers.values import plain_json, verdict_of

__all__ = ["CommandWorker", "open_port"]


class CommandWorker:
    """Runs `run = [...]`.

    Args:
        functions: Calls the function of `parse = "module:function"`.
    """

    def __init__(self, functions: PythonWorker) -> None:
        self._functions = functions

    async def call(self, request: WorkerRequest) -> WorkerReply:
        """Run the program and read its output.

        Raises:
            Failure: A mode of `on_exit`; `crashed` where it cannot be started, ends with
                another code that is not ok, or dies by a signal; `invalid_output` where its
                output is too large or cannot be read.
        """
        argv = _argv(request)
        cwd = _folder(request)
        max_bytes = request.worker.max_bytes
        try:
            async with launched(argv, cwd, process_environment(request), request) as launch:
                finished = await run_process(
                    launch.argv,
                    cwd=cwd,
                    env=launch.env,
                    stdin=_standard_input(request),
                    max_bytes=max_bytes,
                    mark=request.mark,
                )
        except OutputTooLarge:
            raise Failure(
                "invalid_output",
                f"the output is larger than {size_words(max_bytes)}",
                where="max_bytes",
            ) from None
        except (OSError, ValueError) as error:
            raise _not_started(argv[0], error, request) from None
        _check_exit(finished, request)
        value = await self._parsed(finished.stdout, request)
        if isinstance(request.worker, Verifier):
            value = verdict_of(value)
        return WorkerReply(value)

    async def _parsed(self, output: bytes, request: WorkerRequest) -> Any:
        how = str(request.worker.settings["parse"])
        read = _READERS.get(how)
        if read is not None:
            return await off_the_loop(lambda: plain_json(read(output, request)), len(output))
        text = _text(output, request)
        return plain_json(await self._functions.apply(how, text, request))


def _argv(request: WorkerRequest) -> list[str]:
    items = evaluated(request, "run")
    if not isinstance(items, (list, tuple)) or not items:
        said = "`run` must give a list with at least the program's name"
        raise Failure("crashed", said, where="run")
    return [text_of(item, f"run[{at}]") for at, item in enumerate(items)]


def _folder(request: WorkerRequest) -> str:
    cwd = evaluated(request, "cwd", ".")
    folder = os.path.normpath(os.path.join(request.base_dir, text_of(cwd, "cwd")))
    if not os.path.isdir(folder):
        raise Failure("crashed", clean(f"no such folder: {cwd}", request.scope), where="cwd")
    return folder


def _standard_input(request: WorkerRequest) -> bytes | None:
    value = evaluated(request, "stdin")
    if value is None:
        return None
    if isinstance(value, str):
        return value.encode(errors="replace")
    return msgspec.json.encode(plain_json(value))


def _not_started(program: str, error: OSError | ValueError, request: WorkerRequest) -> Failure:
    match error:
        case FileNotFoundError():
            message = f"no such program: {program}"
        case PermissionError():
            message = f"not a program that may be run: {program}"
        case OSError():
            message = f"cannot start {program}: {error.strerror}"
        case _:
            message = f"cannot start {program}: {error}"
    return Failure("crashed", clean(message, request.scope), where="run[0]")


def _check_exit(finished: Finished, request: WorkerRequest) -> None:
    code = finished.returncode
    on_exit: Mapping[Any, str] = request.worker.settings["on_exit"]
    mode = on_exit.get(code) or on_exit.get(str(code))
    if mode is None:
        if code in request.worker.settings["ok_exit"]:
            return
        mode = "crashed"
    said = last_lines(finished.stderr)
    words = exit_words(code) + (f": {said}" if said else "")
    raise explained(Failure(mode, clean(words, request.scope), where="run"), request)


def _json(output: bytes, request: WorkerRequest) -> Any:
    try:
        return msgspec.json.decode(output)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        begin = redacted(output[:2_000].decode(errors="replace"), request.scope)[:80]
        what = f"it begins with {begin!r}" if output.strip() else "it is empty"
        message = clean(f"the output is not JSON ({error}); {what}", request.scope)
        raise Failure("invalid_output", message) from None


def _text(output: bytes, request: WorkerRequest) -> str:
    return output.decode(errors="replace")


def _lines(output: bytes, request: WorkerRequest) -> list[str]:
    text = _text(output, request)
    lines = text.removesuffix("\n").split("\n") if text else []
    return [line.removesuffix("\r") for line in lines]


#: What `parse` reads by itself; anything else is a function of the user's.
_READERS: dict[str, Callable[[bytes, WorkerRequest], Any]] = {
    "json": _json,
    "lines": _lines,
    "text": _text,
}


def open_port(_: Program | None) -> CommandWorker:
    """The port of `via command`."""
    return CommandWorker(PythonWorker())
