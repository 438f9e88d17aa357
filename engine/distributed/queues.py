"""The names of task queues and workflows: a function of what the program declares.

Each worker, verifier and model has a queue of its own, so that a host can serve one of them and
no other, and so that a provider's rate limit holds over all hosts. Nothing here is configured
twice: a host that serves `search` and a run that calls `search` meet because both know its name.
"""

from __future__ import annotations

from engine.runtime.commands import StartCall
from engine.runtime.ports import ModelRequest

__all__ = [
    "DEFAULT_QUEUE",
    "WORKFLOW_TYPE",
    "model_queue",
    "queue_of",
    "run_of",
    "served_name",
    "worker_queue",
    "workflow_id",
]

DEFAULT_QUEUE = "orch"
WORKFLOW_TYPE = "orch.run"

_PREFIX = "orch-run-"


def workflow_id(run: str) -> str:
    """The id of the workflow that is a run."""
    return _PREFIX + run


def run_of(workflow: str) -> str:
    """The id of the run that a workflow is."""
    return workflow.removeprefix(_PREFIX)


def model_queue(queue: str, name: str) -> str:
    """Where calls of a declared model wait for a host."""
    return f"{queue}/model/{name}"


def worker_queue(queue: str, name: str) -> str:
    """Where calls of a worker or verifier wait for a host."""
    return f"{queue}/worker/{name}"


def queue_of(queue: str, command: StartCall) -> str:
    """Where an attempt waits for a host."""
    request = command.request
    if isinstance(request, ModelRequest):
        return model_queue(queue, request.model.name)
    return worker_queue(queue, request.worker.name)


def served_name(command: StartCall) -> str:
    """What a host has to serve to make an attempt, in words."""
    request = command.request
    if isinstance(request, ModelRequest):
        return f"model `{request.model.name}`"
    kind = "verifier" if hasattr(request.worker, "assertions") else "worker"
    return f"{kind} `{request.worker.name}`"
