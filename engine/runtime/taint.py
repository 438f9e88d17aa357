"""Taint: what came from outside must not reach an effect unlooked-at.

A task's output is tainted if its worker is untrusted or read something tainted. A planner that
has seen tainted text, or a goal made from it, makes tainted decisions. A tainted task of a `write`
or `once` worker starts only after a verifier or gate has let it pass. Values of literal-union,
int and bool type carry no taint: a stranger cannot write instructions in them. Which types and
which hooks are meant stands in `engine.sema.trust`; the linter tells before a run what may happen.

Everything here is a function of the folded state, so it is the same after a resume.
"""

from __future__ import annotations

from collections.abc import Mapping

from engine.runtime.state import Loop, Task
from engine.sema.jsonschema import subschema_at
from engine.sema.model import Orchestrator, Worker
from engine.sema.trust import carries, untrusted_fields, untrusted_inside

__all__ = ["loop_begins_tainted", "mark_output", "needs_clearance", "reads_taint"]


def loop_begins_tainted(loop: Loop) -> bool:
    """Whether an orchestrator's own inputs are tainted: then so is every decision it makes."""
    if loop.task is not None and reads_taint(loop.task):
        return True
    schema = loop.orchestrator.inputs.schema
    properties = schema.get("properties", {})
    fields = getattr(loop.orchestrator.inputs.type, "fields", ())
    return any(carries(properties.get(field.name), schema) for field in untrusted_fields(fields))


def reads_taint(task: Task) -> bool:
    """Whether a task's input holds tainted text: written by a tainted planner, or referred to."""
    schema = task.worker.inputs.schema
    properties = schema.get("properties", {})
    if task.decided_tainted and any(
        carries(properties.get(name, True), schema) for name in task.input
    ):
        return True
    for reference in task.references:
        producer = task.loop.tasks.get(reference.task)
        if producer is None or not producer.tainted:
            continue
        output = producer.worker.output.schema
        part = subschema_at(output, reference.at)
        if not isinstance(part, Mapping) or carries(part, part):
            return True
    return False


def mark_output(task: Task, *, verified: bool) -> None:
    """Set whether a finished task's output is tainted; a verifier that passed it cleans it."""
    worker = task.worker
    if isinstance(worker, Orchestrator):
        source = task.child is not None and task.child.tainted
    else:
        acting = task.acting
        outside = isinstance(acting, Worker) and acting.trust == "untrusted"
        outside = outside or worker.trust == "untrusted" or untrusted_inside(worker.output.type)
        source = outside or reads_taint(task)
    schema = worker.output.schema
    task.tainted = source and not verified and (task.failure is not None or carries(schema, schema))


def needs_clearance(task: Task) -> bool:
    """Whether a task may start only after a verifier or gate has let it pass."""
    worker = task.worker
    if not isinstance(worker, Worker) or worker.effect not in ("write", "once"):
        return False
    return (task.decided_tainted or reads_taint(task)) and not task.cleared
