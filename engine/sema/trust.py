"""The facts behind taint: which types can hold external text, and which hooks clean it.

The machine tracks taint through a run (`engine.runtime.taint`), the linter through the graph
(`engine.linter.taint`). Both use this module, so they cannot disagree. It knows which types can
hold text that someone else chose, where a contract declares that they do, and which hooks let
nothing pass unchecked. What can be proved about types is in `engine.sema.types.words`, and is
exported here too.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from engine.sema.looks import Looks, looks_at
from engine.sema.model import (
    EVERY_INPUT,
    AllowedSource,
    Hook,
    Orchestrator,
    Program,
    Show,
    Verifier,
    Worker,
    fallback_chain,
)
from engine.sema.types.definitions import (
    NULL,
    Array,
    Constant,
    Constrained,
    Field,
    Named,
    Optional,
    Record,
    Scalar,
    Type,
    Union,
    strip,
)
from engine.sema.types.words import carries, carries_at, may_hand_over
from engine.sema.when import looks_if_tainted

__all__ = [
    "SOURCE_WORDS",
    "Facts",
    "bound_inputs",
    "carries",
    "carries_at",
    "clears",
    "clears_start",
    "facts_of",
    "inputs_not_seen",
    "is_anchored",
    "is_marked",
    "may_hand_over",
    "shown",
    "shown_sources",
    "untrusted_fields",
    "untrusted_inside",
    "untrusted_params",
]


#: The sources of `@from` other than workers, in words.
SOURCE_WORDS = {"request": "the request", "person": "a person"}


class Facts(NamedTuple):
    """What taint has to know of a worker or a sub-orchestrator.

    Attributes:
        source: What it gives comes from outside, whatever it was given.
        speaks: Its output can hold words.
        hears: The inputs that can hold words.
        address: Those of them that decide whom it talks to, or one that replaces it, and that no
            `@from` binds: a read that takes a stranger's address from one is a way out.
    """

    source: bool
    speaks: bool
    hears: frozenset[str]
    address: frozenset[str]


def facts_of(program: Program, worker: Worker | Orchestrator, *, older: bool = False) -> Facts:
    """The facts of a worker; those that replace it have facts of their own.

    `older` is as for `carries`.
    """
    output, inputs = worker.output.schema, worker.inputs.schema
    outside = isinstance(worker, Worker) and worker.trust == "untrusted"
    hears = frozenset(
        name
        for name, field in inputs.get("properties", {}).items()
        if carries(field, inputs, older=older)
    )
    return Facts(
        source=outside
        or untrusted_inside(worker.output.type)
        or any(True for _ in untrusted_params(program)),
        speaks=carries(output, output, older=older),
        hears=hears,
        address=hears & _address(program, worker) if isinstance(worker, Worker) else frozenset(),
    )


def _address(program: Program, worker: Worker) -> frozenset[str]:
    """The inputs that decide whom a worker or its replacement talks to, without those bound."""
    found: set[str] = set()
    for name in fallback_chain(program.workers, worker.name):
        address = program.workers[name].facts.address
        found.update(worker.inputs.schema["properties"] if address == EVERY_INPUT else address)
    return frozenset(found - bound_inputs(worker))


def bound_inputs(worker: Worker) -> frozenset[str]:
    """The inputs of a worker that have an `@from` as a whole."""
    return frozenset(one.path[0] for one in worker.sources if len(one.path) == 1)


def shown(orchestrator: Orchestrator, worker: Worker | Orchestrator) -> Show:
    """What the planner of an orchestrator sees of what a worker gives."""
    limit = orchestrator.limits.get(worker.name)
    if limit is not None and limit.show is not None:
        return limit.show
    own = worker.show if isinstance(worker, Worker) else None
    return own or orchestrator.policy.context.show


def shown_sources(allowed: Sequence[AllowedSource]) -> str:
    """What `@from` names, in words: the request, `contacts` or `mails.sender`."""
    named = [SOURCE_WORDS.get(one.name) or f"`{'.'.join([one.name, *one.at])}`" for one in allowed]
    return " or ".join([", ".join(named[:-1]), named[-1]] if len(named) > 1 else named)


def untrusted_params(program: Program) -> Iterator[str]:
    """The params that hold a stranger's words: any template and expression may print them."""
    for name, param in program.params.items():
        schema = param.contract.schema
        if untrusted_inside(param.contract.type) and carries(schema, schema):
            yield name


def untrusted_fields(fields: tuple[Field, ...]) -> Iterator[Field]:
    """The fields that are marked `@untrusted`, or hold one that is."""
    return (field for field in fields if field.untrusted or untrusted_inside(field.type))


def is_marked(type_: Type) -> bool:
    """Whether a type as a whole is marked `@untrusted`."""
    for _ in range(64):  # an alias of itself has no end
        match type_:
            case Constrained(untrusted=True):
                return True
            case Named(definition=definition):
                type_ = definition.type
            case Optional(item=inner) | Constrained(item=inner):
                type_ = inner
            case _:
                return False
    return True


@functools.lru_cache(maxsize=512)
def untrusted_inside(type_: Type) -> bool:
    """Whether a type, or a field anywhere in it, is marked `@untrusted`."""
    seen: set[int] = set()
    todo: list[Type] = [type_]
    while todo:
        current = todo.pop()
        match current:
            case Named(definition=definition):
                if id(definition) not in seen:
                    seen.add(id(definition))
                    todo.append(definition.type)
            case Record(fields=fields):
                if any(field.untrusted for field in fields):
                    return True
                todo += [field.type for field in fields]
            case Constrained(untrusted=True):
                return True
            case Array(item=inner) | Optional(item=inner) | Constrained(item=inner):
                todo.append(inner)
            case Union(options=options):
                todo += options
    return False


def clears(
    orchestrator: Orchestrator,
    point: str,
    worker: str,
    verifiers: Mapping[str, Verifier],
    *,
    always: bool = False,
) -> bool:
    """Whether nothing tainted passes a dispatch hook of a worker without a verifier's or a
    person's yes.

    A hook that warns, or warns in the end, lets pass what it does not like; verifiers that may
    all be skipped may not look at all, and neither may a hook whose `when` does not ask for taint.
    Where all of `else` are skipped the no of `with` counts, so `else` weakens nothing.

    Args:
        always: Whether only hooks count that look at each task, tainted or not.
    """
    return any(
        hook.point == point
        and hook.worker == worker
        and not (always and hook.when is not None)
        and _is_firm(hook, verifiers)
        for hook in orchestrator.hooks
    )


def clears_start(
    orchestrator: Orchestrator, worker: Worker | Orchestrator, verifiers: Mapping[str, Verifier]
) -> bool:
    """Whether no tainted task of a worker starts unless verifiers have looked at what matters.

    That is each input that can hold text, and some input at all: strangers may have decided that
    the task runs.
    """
    seen = [*_seen_before(orchestrator, worker, verifiers)]
    steers = any(looks.whole or looks.parts for looks in seen)
    return steers and not inputs_not_seen(orchestrator, worker, verifiers)


def inputs_not_seen(
    orchestrator: Orchestrator,
    worker: Worker | Orchestrator,
    verifiers: Mapping[str, Verifier],
    *,
    words: bool = True,
) -> list[str]:
    """The inputs that no hook before a worker is sure to look at.

    Args:
        words: Whether those are meant that can hold text, or the others.
    """
    schema = worker.inputs.schema
    fields = schema.get("properties", {})
    left = [name for name, field in fields.items() if carries(field, schema) is words]
    for seen in _seen_before(orchestrator, worker, verifiers):
        left = [] if seen.whole else [name for name in left if name not in seen.parts]
    return left


def _seen_before(
    orchestrator: Orchestrator, worker: Worker | Orchestrator, verifiers: Mapping[str, Verifier]
) -> Iterator[Looks]:
    inputs = frozenset(worker.inputs.schema.get("properties", {}))
    for hook in orchestrator.hooks:
        if hook.point == "before_dispatch" and hook.worker == worker.name:
            yield from _seen_by(hook, verifiers, inputs)


def _seen_by(
    hook: Hook, verifiers: Mapping[str, Verifier], inputs: frozenset[str]
) -> Iterator[Looks]:
    """What has been looked at for certain once a hook has let pass a tainted task.

    That is what both its `with` and its `else` look at, for either may have decided.
    """
    if not _is_firm(hook, verifiers):
        return
    asked = [_seen(hook.verifiers, verifiers, inputs)]
    if hook.otherwise:
        asked.append(_seen(hook.otherwise, verifiers, inputs))
    yield Looks(
        all(looks.whole for looks in asked), frozenset.intersection(*(one.parts for one in asked))
    )


def _seen(
    names: tuple[str, ...], verifiers: Mapping[str, Verifier], inputs: frozenset[str]
) -> Looks:
    known = [verifiers[name] for name in names if name in verifiers]
    seen = [looks_at(one, inputs) for one in known if one.skip_when is None]
    return Looks(any(one.whole for one in seen), frozenset().union(*(one.parts for one in seen)))


def is_anchored(worker: Worker) -> bool:
    """Whether an input of each task has a value that `@from` speaks of: then other inputs, and the
    decision, may be a stranger's."""
    fields = getattr(worker.inputs.type, "fields", ())
    return any(_always_given(fields, one.path) for one in worker.sources)


def _always_given(fields: tuple[Field, ...], path: tuple[str, ...]) -> bool:
    """Whether a path leads to a value in each input; a list may be empty."""
    field = next((field for field in fields if field.name == path[0]), None)
    if field is None or not field.required:
        return False
    inner = strip(field.type)
    if len(path) > 1:
        return isinstance(inner, Record) and _always_given(inner.fields, path[1:])
    return isinstance(inner, Scalar | Constant) and inner is not NULL


def _is_firm(hook: Hook, verifiers: Mapping[str, Verifier]) -> bool:
    if hook.on_fail == "warn" or (hook.on_fail == "revise" and hook.then == "warn"):
        return False
    if not looks_if_tainted(hook):
        return False
    known = [verifiers[name] for name in hook.verifiers if name in verifiers]
    return any(verifier.skip_when is None for verifier in known)
