"""What can never happen in a program, each sentence with its proof, and what can.

For whoever reviews a program before it may run. A sentence is here only if the engine enforces it
or the linter proves it from the file (`engine.linter.taint`). All of them rest on `effect` and
`trust` as the file declares them. The proofs about text take hooks and `@from` away first: what
holds then holds whatever a verifier or a person lets pass.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import Literal, NamedTuple

import msgspec

from engine.doc.tables import code
from engine.linter.taint import Flow, Place, flow_of
from engine.sema.kinds.command import COMMAND
from engine.sema.kinds.http import HTTP
from engine.sema.kinds.python import PYTHON
from engine.sema.model import Hook, Orchestrator, Program, Verifier, Worker, reached
from engine.sema.trust import (
    bound_inputs,
    carries,
    clears,
    facts_of,
    shown,
    shown_sources,
    untrusted_inside,
    untrusted_params,
)

__all__ = ["Promises", "Sentence", "promises_of"]

Kind = Literal[
    "effects", "checked", "unreached", "no words", "bound", "once", "network", "hosts", "hidden",
    "denied", "secret", "text", "choice", "address", "sends",
]  # fmt: skip


class Sentence(NamedTuple):
    """One thing that can, or can never, happen.

    Attributes:
        kind: What it is about, for programs that check it.
        text: The sentence, in Markdown.
        proof: Why that is so; of what can happen, by which way.
        orchestrator: Where it holds, or "" for everywhere.
        worker: What it is about, or "".
        inputs: Inputs of the worker that it is about.
    """

    kind: Kind
    text: str
    proof: str
    orchestrator: str = ""
    worker: str = ""
    inputs: tuple[str, ...] = ()


class Promises(NamedTuple):
    """The sentences about a program.

    Attributes:
        never: What can never happen.
        may: What can happen.
        trusted: The workers whose text counts as trusted though they read it somewhere.
    """

    never: tuple[Sentence, ...]
    may: tuple[Sentence, ...]
    trusted: tuple[str, ...]


def promises_of(program: Program) -> Promises:
    """All sentences about a program that has no errors."""
    flow = flow_of(_unchecked(program))
    never = [*_effects(program)]
    may: list[Sentence] = []
    if flow.sources:
        never.append(_denied(program))
    for orchestrator in program.orchestrators.values():
        for worker in _called(program, orchestrator):
            if worker.changes_something:
                never += _checked(program, orchestrator, worker)
                never += _unreached(program, orchestrator, worker, flow)
                may += _reaches(program, orchestrator, worker, flow)
            elif worker.facts.sends_out and facts_of(program, worker).hears:
                may += _sends(program, orchestrator, worker, flow)
        never += _hidden(program, orchestrator)
    may += _free_code(program)
    for worker in program.workers.values():
        never += _of_worker(program, worker)
    if program.secrets:
        names = _listed(program.secrets)
        never.append(
            Sentence(
                "secret",
                f"{names} is in no prompt, message or log of this program.",
                "secrets may be used in the environment of code and in requests only (ORC803)",
            )
        )
    return Promises(tuple(never), tuple(may), tuple(_trusted(program)))


def _denied(program: Program) -> Sentence:
    """What the machine enforces for every program."""
    told = [
        one.name
        for one in program.workers.values()
        if one.facts.address and not one.changes_something
    ]
    verb = "talks" if len(told) == 1 else "talk"
    end = f", nor chooses whom {_listed(told)} {verb} to" if told else ""
    return Sentence(
        "denied",
        f"Untrusted text that nothing has let pass never starts an effect{end}.",
        "a task that it may have reached ends as `denied`",
    )


def _unchecked(program: Program) -> Program:
    """The same program with hooks that let everything pass, and without `@from`."""
    orchestrators = {
        name: msgspec.structs.replace(one, hooks=tuple(map(_letting_pass, one.hooks)))
        for name, one in program.orchestrators.items()
    }
    workers = {
        name: msgspec.structs.replace(one, sources=()) for name, one in program.workers.items()
    }
    return msgspec.structs.replace(program, orchestrators=orchestrators, workers=workers)


def _letting_pass(hook: Hook) -> Hook:
    # What is told to whoever repeats the work, or to the planner, is still text.
    tells = {hook.on_fail, hook.then} & {"revise", "deny"}
    return msgspec.structs.replace(hook, on_fail="revise" if tells else "warn", then="warn")


def _called(program: Program, orchestrator: Orchestrator) -> list[Worker]:
    """The workers that an orchestrator starts, those in plans included, and plans left out."""
    names = reached(program.workers, orchestrator.workers)
    found = [program.workers[name] for name in names if name in program.workers]
    return [worker for worker in found if worker.plan is None]


# ---------------------------------------------------------------- never


def _effects(program: Program) -> Iterator[Sentence]:
    names = [one.name for one in program.workers.values() if one.changes_something and not one.plan]
    proof = "`effect` of each worker"
    if not names:
        yield Sentence("effects", "Nothing in this program changes anything outside.", proof)
        return
    text = f"Nothing changes anything outside but {_listed(names)}."
    yield Sentence("effects", text, proof, inputs=tuple(names))


def _checked(program: Program, orchestrator: Orchestrator, worker: Worker) -> Iterator[Sentence]:
    """What a hook keeps from starting."""
    for hook in orchestrator.hooks:
        alone = msgspec.structs.replace(orchestrator, hooks=(hook,))
        if not clears(alone, "before_dispatch", worker.name, program.verifiers):
            continue
        which = "" if hook.when is None else ", where untrusted text may have reached it,"
        line = hook.span.begin_position.line
        yield Sentence(
            "checked",
            f"{code(orchestrator.name)} never starts {code(worker.name)}{which} before "
            f"{_who(program, hook)} has passed it.",
            f"the `before_dispatch` hook in line {line} (`on_fail = {hook.on_fail}`)",
            orchestrator.name,
            worker.name,
        )


def _who(program: Program, hook: Hook) -> str:
    """Who lets a task pass a hook."""

    def named(names: Iterable[str]) -> str:
        known = [program.verifiers[name] for name in names if name in program.verifiers]
        return " and ".join(_verifier(one) for one in known if one.skip_when is None)

    said = [named(hook.verifiers), named(hook.otherwise)]
    if "escalate" in (hook.on_fail, hook.then):
        said.append("a person who is asked then")
    return ", or else ".join(filter(None, said))


def _verifier(verifier: Verifier) -> str:
    person = "a person at " if verifier.facts.done_by == "person" else ""
    return f"{person}{code(verifier.name)}"


def _unreached(
    program: Program, orchestrator: Orchestrator, worker: Worker, flow: Flow
) -> Iterator[Sentence]:
    """That no untrusted text gets to an effect, or into some of its inputs."""
    own, name = orchestrator.name, worker.name
    if not _is_reached(program, orchestrator, worker, flow):
        proof = f"no type on a way to {code(own)} holds text"
        if not flow.sources:
            proof = "nothing is `trust = untrusted` or `@untrusted`"
        yield Sentence(
            "unreached", f"No untrusted text reaches {code(name)} in {code(own)}.", proof, own, name
        )
        return
    wordless = [one for one in _inputs(worker) if one not in facts_of(program, worker).hears]
    if wordless:
        yield Sentence(
            "no words",
            f"No text at all is in {_listed(wordless)} of {code(name)}.",
            "their types hold numbers, flags and choices only",
            own,
            name,
            tuple(wordless),
        )


def _is_reached(program: Program, orchestrator: Orchestrator, worker: Worker, flow: Flow) -> bool:
    """Whether untrusted text gets to a worker, as a task of its own or in one of a plan."""
    if flow.reaches(Place("loop", orchestrator.name)):
        return True
    starts = [
        name
        for name in orchestrator.workers
        if name in program.workers and worker.name in reached(program.workers, [name])
    ]
    return any(
        flow.reaches(Place(kind, orchestrator.name, name))
        for name in starts
        for kind in ("effect", "task")
    )


def _hidden(program: Program, orchestrator: Orchestrator) -> Iterator[Sentence]:
    """What a planner is not shown."""
    for name in orchestrator.workers:
        member = program.workers.get(name) or program.orchestrators.get(name)
        if member is None or shown(orchestrator, member) not in ("shape", "none"):
            continue
        if carries(member.output.schema, member.output.schema):
            yield Sentence(
                "hidden",
                f"The planner of {code(orchestrator.name)} never reads text of {code(name)}.",
                f"`show = {shown(orchestrator, member)}`",
                orchestrator.name,
                name,
            )


def _of_worker(program: Program, worker: Worker) -> Iterator[Sentence]:
    """What holds for a worker wherever it is called."""
    name = code(worker.name)
    strangers = [
        one.name
        for one in program.workers.values()
        if one.trust == "untrusted" and one.plan is None and one is not worker
    ]
    for one in worker.sources:
        at = ".".join(name for name in one.path if name != "*")
        others = [other for other in strangers if other not in {s.name for s in one.allowed}]
        end = f", never from another text of {_listed(others)}" if others else ""
        yield Sentence(
            "bound",
            f"{code(at)} of {name} always comes from {shown_sources(one.allowed)}{end}.",
            "`@from`; what the file writes or a person has approved counts, too",
            "",
            worker.name,
            (one.path[0],),
        )
    if worker.effect == "once" and worker.plan is None:
        text = f"{name} is never done again for a task unless a person says that it was not done."
        yield Sentence("once", text, "`effect = once`", "", worker.name)
    yield from _network(worker)


def _network(worker: Worker) -> Iterator[Sentence]:
    """Whom a worker cannot talk to."""
    name, network = code(worker.name), worker.facts.network
    if network == "none":
        text = f"{name} cannot reach the network."
        yield Sentence("network", text, "its `sandbox` has no `network`", "", worker.name)
    elif network == "hosts" or (worker.kind == HTTP.name and worker.facts.talks_to):
        proof = "`network` of its `sandbox`"
        if network != "hosts":
            proof = "`hosts` and `url`; a redirect leads only to hosts of this program"
        hosts = _listed(worker.facts.talks_to.split())
        text = f"{name} sends nothing to another host than {hosts}."
        yield Sentence("hosts", text, proof, "", worker.name)


# ---------------------------------------------------------------- what can happen


def _reaches(
    program: Program, orchestrator: Orchestrator, worker: Worker, flow: Flow
) -> Iterator[Sentence]:
    """The inputs of an effect that a stranger may have chosen, and what lets them pass."""
    if not _is_reached(program, orchestrator, worker, flow):
        return
    own, name = orchestrator.name, worker.name
    hears = facts_of(program, worker).hears
    left = [one for one in _inputs(worker) if one not in bound_inputs(worker)]
    text = [one for one in left if one in hears]
    choice = [one for one in left if one not in hears]
    way, source = _way(flow, own, name)
    is_open = clears(orchestrator, "before_dispatch", name, program.verifiers) or worker.sources
    if text and is_open:
        yield Sentence(
            "text",
            f"Text of {source} can be in {_listed(text)} of {code(name)}, once its checks have "
            "passed.",
            way,
            own,
            name,
            tuple(text),
        )
    elif not is_open:
        yield Sentence(
            "denied",
            f"Tasks of {code(name)} can end as `denied`: text of {source} can reach it, and "
            "nothing lets it pass.",
            way,
            own,
            name,
        )
    if choice and is_open:
        yield Sentence(
            "choice",
            f"A stranger can choose {_listed(choice)} of {code(name)}, if the checks pass it: "
            "numbers, flags and choices are not followed.",
            way,
            own,
            name,
            tuple(choice),
        )


def _sends(
    program: Program, orchestrator: Orchestrator, worker: Worker, flow: Flow
) -> Iterator[Sentence]:
    """What leaves with a read."""
    if not _is_reached(program, orchestrator, worker, flow):
        return
    to = code(worker.facts.talks_to) or "hosts of its choice"
    way, source = _way(flow, orchestrator.name, worker.name)
    yield Sentence(
        "sends",
        f"Text of {source} can decide what {code(worker.name)} sends to {to}.",
        way,
        orchestrator.name,
        worker.name,
    )


def _free_code(program: Program) -> Iterator[Sentence]:
    """The code whose file says nothing of the network."""
    names = [
        one.name
        for one in program.workers.values()
        if one.kind in (PYTHON.name, COMMAND.name) and one.facts.network == "unknown"
    ]
    if names:
        verb = "runs code that" if len(names) == 1 else "run code that"
        yield Sentence(
            "network",
            f"{_listed(names)} {verb} may reach any host, and files.",
            "no `sandbox` in the file",
            inputs=tuple(names),
        )


def _way(flow: Flow, orchestrator: str, worker: str) -> tuple[str, str]:
    """The way of text to a worker, in words, and whose it is."""
    places = [
        Place("loop", orchestrator),
        Place("effect", orchestrator, worker),
        Place("task", orchestrator, worker),
    ]
    known = [place for place in places if flow.reaches(place)]
    way = flow.way(known[0]) if known else list(flow.sources[:1])
    shown_way = " -> ".join(name for name, _ in groupby([*map(str, way), worker]))
    source = way[0]
    said = f"{source.kind} {code(source.name)}" if source.kind != "task" else code(source.name)
    return code(shown_way), said


def _trusted(program: Program) -> Iterator[str]:
    """The workers that may read somewhere, and whose text counts as trusted."""
    if any(True for _ in untrusted_params(program)):
        return
    for worker in program.workers.values():
        schema = worker.output.schema
        reads = worker.effect != "pure" and worker.plan is None and worker.facts.model is None
        marked = worker.trust == "untrusted" or untrusted_inside(worker.output.type)
        if reads and not marked and carries(schema, schema):
            yield worker.name


def _inputs(worker: Worker) -> list[str]:
    return list(worker.inputs.schema.get("properties", {}))


def _listed(names: Iterable[str]) -> str:
    shown_names = [code(name) for name in names]
    if len(shown_names) < 2:
        return "".join(shown_names)
    return f"{', '.join(shown_names[:-1])} and {shown_names[-1]}"
