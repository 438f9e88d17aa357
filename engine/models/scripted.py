"""`scripted/FILE.json` and `Scripted([...])`: a model that answers from a script.

A script is a list of entries played in order, or several queues by caller. Where a call is in
its queue comes from the request (`index`, `caller_index`), which the engine counts from the
journal, so a resumed run continues with the entry that belongs to the call. Both ways of being out
of step are loud: a call without an entry fails, and an entry without a call is reported by
`close`.

An entry is a string (the model's text, as it is), any other JSON value (a decision, an output, a
verdict), or one of

    {"$reply": VALUE, "usage": {...}, "delay_ms": 50}
    {"$fail": MODE, "message": "...", "retryable": true, "retry_after_ms": 1000, "usage": {...}}

`usage` holds `input_tokens`, `output_tokens`, `cached_tokens`, `cache_write_tokens`,
`reasoning_tokens` and `cost_usd` (dollars), each optional; null means that the provider did not
say. The markers begin with `$` like the language's `$from`, because an output may well have a field
named `reply`.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Mapping, Sequence
from decimal import ROUND_CEILING, Decimal
from typing import Any

import msgspec

from engine.errors import MODEL_MODES, Failure, UsageError
from engine.events import ModelInfo, Usage
from engine.reading import CannotRead, read_regular
from engine.runtime.budget import cost_of_usage
from engine.runtime.ports import ModelReply, ModelRequest

__all__ = ["Entry", "Scripted", "ScriptedModel", "play", "read_entry", "read_script"]

#: A script of a long run may be large.
_MAX_BYTES = 100_000_000

_ROLES = ("decision", "worker", "verifier")
#: Modes that may pass if the same call is made again.
_PASSING = frozenset({"timeout", "rate_limited", "unavailable"})


class _UsageEntry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = 0
    cache_write_tokens: int = 0
    reasoning_tokens: int = 0
    cost_usd: float | None = None


class Entry(msgspec.Struct, frozen=True):
    """One entry, read: what to return, or how to fail.

    Attributes:
        value: The reply, where `mode` is None.
        usage: What it used; the cost is filled in from the price when it is played. UNSET is
            not a usage in the entry, None a provider that does not say.
    """

    value: Any = None
    mode: str | None = None
    message: str = ""
    retryable: bool = False
    retry_after_ms: int | None = None
    delay_ms: int = 0
    usage: _UsageEntry | msgspec.UnsetType | None = msgspec.UNSET


class _ReplyEntry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    reply: Any = msgspec.field(name="$reply")
    usage: _UsageEntry | msgspec.UnsetType | None = msgspec.UNSET
    delay_ms: int = 0


class _FailEntry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    fail: str = msgspec.field(name="$fail")
    message: str = ""
    retryable: bool | None = None
    retry_after_ms: int | None = None
    usage: _UsageEntry | msgspec.UnsetType | None = msgspec.UNSET
    delay_ms: int = 0


def read_entry(raw: Any) -> Entry:
    """One entry of a script or a recording.

    Raises:
        ValueError: It is not well formed.
    """
    if not isinstance(raw, Mapping) or not any(str(key).startswith("$") for key in raw):
        return Entry(value=raw)
    try:
        if "$fail" in raw:
            fail = msgspec.convert(raw, _FailEntry)
            if fail.fail not in MODEL_MODES:
                modes = ", ".join(sorted(MODEL_MODES))
                raise ValueError(f"`{fail.fail}` is not a failure mode of models; they are {modes}")
            retryable = fail.fail in _PASSING if fail.retryable is None else fail.retryable
            return Entry(
                mode=fail.fail,
                message=fail.message,
                retryable=retryable,
                retry_after_ms=fail.retry_after_ms,
                delay_ms=fail.delay_ms,
                usage=fail.usage,
            )
        reply = msgspec.convert(raw, _ReplyEntry)
    except msgspec.ValidationError as error:
        raise ValueError(str(error)) from None
    return Entry(value=reply.reply, delay_ms=reply.delay_ms, usage=reply.usage)


async def play(entry: Entry, info: ModelInfo) -> ModelReply:
    """Give what the entry says, after its delay.

    Raises:
        Failure: Where the entry is a failure.
    """
    if entry.delay_ms:
        await asyncio.sleep(entry.delay_ms / 1000)
    usage = _usage(entry, info)
    if entry.mode is None:
        return ModelReply(entry.value, usage)
    raise Failure(
        entry.mode,
        entry.message or "the script says so",
        retryable=entry.retryable,
        retry_after_ms=entry.retry_after_ms,
        usage=usage,
    )


def _usage(entry: Entry, info: ModelInfo) -> Usage | None:
    said = entry.usage
    if isinstance(said, msgspec.UnsetType):
        return Usage()
    if said is None:
        return None
    used = Usage(
        input_tokens=said.input_tokens,
        output_tokens=said.output_tokens,
        cached_tokens=said.cached_tokens,
        cache_write_tokens=said.cache_write_tokens,
        reasoning_tokens=said.reasoning_tokens,
    )
    if said.cost_usd is None:
        cost_usd = cost_of_usage(info, used)
    else:
        micro = Decimal(str(said.cost_usd)) * 1_000_000
        cost_usd = int(micro.to_integral_value(rounding=ROUND_CEILING))
    return msgspec.structs.replace(used, cost_micro_usd=cost_usd)


class Scripted:
    """A script in memory: `models={"planner": Scripted([...])}`.

    Args:
        entries: A list, played in order over all calls of the model; or a mapping from a caller
            (`decision`, `worker`, `verifier`, each alone or with a name: `worker:summarise`) to
            its own list. A queue without a name is played from its start by each caller of the
            role that has no queue of its own.
        source: Where it came from, for messages.

    Raises:
        UsageError: An entry is not well formed.
    """

    def __init__(
        self,
        entries: Sequence[Any] | Mapping[str, Sequence[Any]],
        *,
        source: str = "the script",
    ) -> None:
        self.source = source
        #: By caller; a plain list has the one caller "".
        self.queues: dict[str, tuple[Entry, ...]] = {}
        if isinstance(entries, Mapping):
            for caller, queue in entries.items():
                if caller.partition(":")[0] not in _ROLES:
                    raise UsageError(
                        f"{source}: `{caller}` is not a caller; use decision, worker:NAME or "
                        "verifier:NAME"
                    )
                self.queues[caller] = self._read(queue, f"entry {{}} of `{caller}`")
        else:
            self.queues[""] = self._read(entries, "entry {}")

    def _read(self, queue: Any, place: str) -> tuple[Entry, ...]:
        if isinstance(queue, str) or not isinstance(queue, Sequence):
            raise UsageError(f"{self.source}: a list of entries is expected")
        read = []
        for number, raw in enumerate(queue, start=1):
            try:
                read.append(read_entry(raw))
            except ValueError as error:
                raise UsageError(f"{self.source}, {place.format(number)}: {error}") from None
        return tuple(read)

    @property
    def has_usage(self) -> bool:
        """Whether any entry says what it used."""
        return any(entry.usage is not msgspec.UNSET for q in self.queues.values() for entry in q)


def read_script(path: str) -> Scripted:
    """Read `FILE.json`: a list of entries, or `{"entries": list or queues by caller}`.

    Raises:
        UsageError: It cannot be read or is not well formed.
    """
    name = os.path.basename(path)
    try:
        content = _decoded(read_regular(path, _MAX_BYTES))
    except CannotRead as error:
        if error.reason == "does not exist":
            raise UsageError(f"there is no script {path}") from None
        raise UsageError(f"the script {path} cannot be read: it {error.reason}") from None
    except UnicodeDecodeError:
        raise UsageError(f"the script {path} is not UTF-8 text") from None
    except json.JSONDecodeError as error:
        raise UsageError(
            f"the script {path} is not JSON: {error.msg} at line {error.lineno}, "
            f"column {error.colno}"
        ) from None
    except ValueError as error:  # a number of more digits than Python converts
        raise UsageError(f"the script {path} is not JSON: {error}") from None
    except RecursionError:
        raise UsageError(f"the script {path} is nested too deeply") from None
    if isinstance(content, Mapping):
        unknown = sorted(set(content) - {"entries"})
        if "entries" not in content or unknown:
            raise UsageError(f"{name}: the object must have `entries` and nothing else")
        content = content["entries"]
    return Scripted(content, source=name)


def _decoded(data: bytes) -> Any:
    """As `json.loads`, which says what is wrong; where nothing is, msgspec takes a sixth of it."""
    try:
        return msgspec.json.decode(data)
    except (ValueError, RecursionError):
        return json.loads(data.decode("utf-8"))


class ScriptedModel:
    """Plays a script.

    Args:
        script: What to play.
        resumed: Whether the run began in another process; a queue that this one never asks is
            then no leftover, as the calls may have been made before.
    """

    def __init__(self, script: Scripted, *, resumed: bool = False) -> None:
        self._script = script
        self._resumed = resumed
        #: Entries used by queue: the highest position asked for, plus one.
        self._used: dict[str, int] = {}
        #: Positions by queue and caller, for requests that do not count themselves.
        self._counted: dict[tuple[str, str], int] = {}

    async def complete(self, request: ModelRequest) -> ModelReply:
        """Play the entry that belongs to the call."""
        caller = f"{request.role}:{request.name}"
        queue = self._queue_of(request, caller)
        position = request.caller_index if queue else request.index
        if position is None:
            counted = (queue, caller if queue else "")
            position = self._counted.get(counted, 0)
            self._counted[counted] = position + 1
        entries = self._script.queues[queue]
        self._used[queue] = max(self._used.get(queue, 0), min(position + 1, len(entries)))
        if position >= len(entries):
            raise Failure(
                "unavailable",
                f"{self._script.source} has no entry left for `{caller}`: call {position + 1} "
                f"of {len(entries)} ({request.key})",
            )
        return await play(entries[position], request.info)

    def _queue_of(self, request: ModelRequest, caller: str) -> str:
        queues = self._script.queues
        for name in (caller, request.role, ""):
            if name in queues:
                return name
        has = ", ".join(f"`{name}`" for name in queues)
        raise Failure(
            "unavailable",
            f"{self._script.source} has no entries for `{caller}`, only {has or 'none'}",
        )

    async def close(self) -> None:
        """Report the entries that were not used.

        Raises:
            Failure: There are some.
        """
        left = []
        for queue, entries in self._script.queues.items():
            used = self._used.get(queue, len(entries) if self._resumed else 0)
            if used < len(entries):
                of = f" for `{queue}`" if queue else ""
                left.append(f"{len(entries) - used} of {len(entries)}{of}")
        if left:
            raise Failure(
                "unavailable", f"{self._script.source} has entries left over: {', '.join(left)}"
            )
