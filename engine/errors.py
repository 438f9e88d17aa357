"""The exceptions of the product.

A problem in a user's program is a `Diagnostic`, a value; `CompileError` only transports diagnostics
through the Python API. A problem in a run is a `Failure`: an exception if a worker raises it, a
plain value everywhere else. A bug in orch is an `InternalError`. Public functions raise no other
exceptions, and no exception reaches a terminal.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from engine.diagnostics import Diagnostic
    from engine.source import Place

__all__ = [
    "BUILTIN_MODES",
    "MODEL_MODES",
    "CompileError",
    "ConfigError",
    "Failure",
    "InputError",
    "InternalError",
    "JournalError",
    "OrchError",
    "UnreadableFile",
    "UsageError",
]

#: Failure modes every task can end with; a worker may not declare them.
BUILTIN_MODES = frozenset(
    {
        "timeout",
        "invalid_output",
        "crashed",
        "denied",
        "over_budget",
        "unmet_reference",
        "exhausted",
        "aborted",
    }
)

#: Failure modes of a call to a model.
MODEL_MODES = frozenset(
    {"timeout", "rate_limited", "unavailable", "invalid_output", "refused", "context_overflow"}
)


class OrchError(Exception):
    """Base of every exception this package raises on purpose."""


class CompileError(OrchError):
    """The program has errors.

    Attributes:
        diagnostics: What was found, in order of position; at least one is an error.
    """

    def __init__(self, diagnostics: list[Diagnostic]) -> None:
        self.diagnostics = diagnostics
        errors = [d for d in diagnostics if d.severity == "error"]
        first = errors[0]
        more = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
        super().__init__(f"{first.location}: {first.code} {first.message}{more}")


class InputError(OrchError):
    """The inputs or params given to a run do not fit the program.

    Attributes:
        problems: One sentence each, with the path of the value it is about.
        secrets: Names of the secrets that the program declares, where that is known: a problem
            can quote a value, and whoever shows it should look for theirs.
    """

    def __init__(self, problems: list[str], *, secrets: tuple[str, ...] = ()) -> None:
        self.problems = problems
        self.secrets = secrets
        super().__init__("; ".join(problems))


class UsageError(OrchError):
    """The caller asked for something that cannot be done, such as an orchestrator not there."""


class UnreadableFile(OrchError):
    """The file to be checked cannot be read: missing, a folder, no UTF-8, too large, forbidden.

    Attributes:
        path: As the user named it.
        reason: Half a sentence: `is a folder`, `does not exist`.
        help: What the user can do about it, or None.
    """

    def __init__(self, path: str, reason: str, *, help: str | None = None) -> None:
        self.path = path
        self.reason = reason
        self.help = help
        super().__init__(f"cannot read {path}: it {reason}")


class ConfigError(OrchError):
    """A configuration file cannot be read, or says something unknown. The message names the line.

    Attributes:
        help: What the user can do about it, or None.
    """

    def __init__(self, message: str, *, help: str | None = None) -> None:
        self.help = help
        super().__init__(message)


class JournalError(OrchError):
    """The journal cannot be read or written: missing, locked, read-only, full, damaged, newer.

    Attributes:
        help: What the user can do about it, or None.
        resumable: Whether the run it stopped can be resumed afterwards.
    """

    def __init__(self, message: str, *, help: str | None = None, resumable: bool = True) -> None:
        self.help = help
        self.resumable = resumable
        super().__init__(message)


class InternalError(OrchError):
    """A bug in the engine itself. The message names the journal that reproduces it."""


class Failure(OrchError):
    """How one call failed, and which task of a run that was. Frozen.

    Workers and models raise it; a run gives those of its failed tasks as values (`Run.failures`).

    Attributes:
        mode: A declared failure mode of the worker, or a built-in one.
        message: One or two sentences for the orchestrator and for a person; no stack trace.
        retryable: Whether the same call may succeed if it is made again.
        retry_after_ms: How long the other side asked to wait, in milliseconds.
        usage: What the failed call used anyway (`engine.events.Usage`), or None; a model
            whose answer was cut or refused has been paid for.
        died: The process that the call had for itself has died.
        schema_refused: A provider did not take the schema of the answer; it may take the request
            with the schema in the prompt.
        where: The setting that the failure is about, for whoever raises it: `run`, `run[0]`, or
            `url@120-131` with offsets in the file of the declaration; "" for none in particular.
        cause: What in the program it is about (`engine.runtime.causes.Cause`), or None; only the
            machine knows.
        task: The id of the task that failed; empty where a worker raises it.
        worker: The worker of that task.
        round: The round of that task; 0 where a worker raises it.
        key: The name of that task's place in its run.
        place: Where in the source it comes from, or None; `str()` is `file:line:column`.
        raised: The line of Python that raised it, such as `tools.py:12`; "" if there is none.
    """

    mode: str
    message: str
    retryable: bool
    retry_after_ms: int | None
    usage: Any
    died: bool
    schema_refused: bool
    task: str
    worker: str
    round: int
    key: str
    place: Place | None
    where: str
    cause: Any
    raised: str

    def __init__(
        self,
        mode: str,
        message: str = "",
        *,
        retryable: bool = False,
        retry_after_ms: int | None = None,
        usage: Any = None,
        died: bool = False,
        schema_refused: bool = False,
        task: str = "",
        worker: str = "",
        round: int = 0,
        key: str = "",
        place: Place | None = None,
        where: str = "",
        cause: Any = None,
        raised: str = "",
    ) -> None:
        self.__dict__.update(
            mode=mode,
            message=message,
            retryable=retryable,
            retry_after_ms=retry_after_ms,
            usage=usage,
            died=died,
            schema_refused=schema_refused,
            task=task,
            worker=worker,
            round=round,
            key=key,
            place=place,
            where=where,
            cause=cause,
            raised=raised,
        )
        super().__init__(f"{mode}: {message}" if message else mode)

    def __setattr__(self, name: str, value: Any) -> None:
        # What Python itself notes of an exception (`__traceback__`, `__notes__`) may change.
        if not name.startswith("__"):
            raise AttributeError(f"a Failure cannot be changed: `{name}`")
        super().__setattr__(name, value)

    def __delattr__(self, name: str) -> None:
        if not name.startswith("__"):
            raise AttributeError(f"a Failure cannot be changed: `{name}`")
        super().__delattr__(name)

    def replace(self, **changes: Any) -> Failure:
        """The same failure with other values for some of its fields."""
        kept = {name: getattr(self, name) for name in Failure.__annotations__}
        return Failure(**{**kept, **changes})

    def __reduce__(self) -> tuple[Any, ...]:
        # An exception is copied by setting its attributes, which a frozen one refuses.
        kept = {name: getattr(self, name) for name in Failure.__annotations__}
        return _failure_of, (kept,)

    def _values(self) -> tuple[object, ...]:
        return (
            self.mode, self.message, self.retryable, self.retry_after_ms,
            self.task, self.worker, self.round, self.key,
        )  # fmt: skip

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Failure) and self._values() == other._values()

    def __hash__(self) -> int:
        return hash(self._values())


def _failure_of(fields: Mapping[str, Any]) -> Failure:
    return Failure(**fields)
