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
    "queue_problem",
    "run_of",
    "served_name",
    "worker_queue",
    "workflow_id",
]

DEFAULT_QUEUE = "orch"
WORKFLOW_TYPE = "orch.run"

_PREFIX = "orch-run-"
#: Temporal takes names up to 1,000 bytes, and those of workers and models are put behind.
_LONGEST_NAME = 400


def workflow_id(run: str) -> str:
    """The id of the workflow that is a run."""
    return _PREFIX + run


def run_of(workflow: str) -> str:
    """The id of the run that a workflow is."""
    return workflow.removeprefix(_PREFIX)


def queue_problem(queue: str) -> str | None:
    """Why a queue cannot be called so, in words; None if it can."""
    if len(queue.encode()) > _LONGEST_NAME:
        return (
            f"the name of a queue has at most {_LONGEST_NAME} bytes, this one {len(queue.encode())}"
        )
    if queue.startswith("/_sys/"):
        return "queues whose names begin with `/_sys/` are the server's own"
    # The server finds runs by a query in which quotes and backslashes have no sure meaning.
    if not queue.isprintable() or set(queue) & set('"\\'):
        return f'a queue cannot be called {queue!r}: leave out ", \\ and control characters'
    return None


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
