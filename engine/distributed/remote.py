"""Runs on a cluster seen from outside: started, followed, answered, called off.

Whoever looks at a run reads its events and folds them with the very same code as a run on one
machine; nothing of what the workflow holds is read in another way. What a cluster does not have
(a host that drives runs, a run of that id) is said in a sentence, not waited for in silence,
except by `follow`, which says what it waits for and continues.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from typing import TypeVar

import msgspec
from temporalio.api.enums.v1 import PendingActivityState, TaskQueueType
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import DescribeTaskQueueRequest
from temporalio.client import (
    Client,
    WorkflowExecution,
    WorkflowExecutionDescription,
    WorkflowExecutionStatus,
    WorkflowFailureError,
    WorkflowQueryFailedError,
    WorkflowUpdateFailedError,
)
from temporalio.common import WorkflowIDReusePolicy
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError, RPCStatusCode

from engine import clock
from engine.distributed.address import Address
from engine.distributed.calls import activity_id
from engine.distributed.messages import NOT_TAKEN, Page, RunOrder
from engine.distributed.payloads import LIMIT_BYTES
from engine.distributed.queues import (
    WORKFLOW_TYPE,
    queue_of,
    run_of,
    served_name,
    workflow_id,
)
from engine.drive.answers import Reply
from engine.drive.driver import Observer
from engine.drive.telling import Words
from engine.errors import InternalError, JournalError, UsageError
from engine.events import Event, RunStarted, RunStatus, decode_event
from engine.journal import RunRecord, RunSummary
from engine.runtime.machine import step
from engine.runtime.notes import NotTaken
from engine.runtime.state import RunState

__all__ = ["RemoteRun", "find_runs", "list_runs", "start_run"]

_T = TypeVar("_T")

#: How long a host may take to answer a question about a run.
_ANSWER = timedelta(seconds=15)
#: How often a run is looked at while it is followed, in seconds: often at first, when it is
#: likely to move, then less.
_SHORTEST_S, _LONGEST_S = 0.05, 1.0
#: After how long without news it is asked what a run waits for, in seconds.
_QUIET_S = 3.0
#: A poll lasts a minute; who has not polled for longer is gone.
_POLLED_S = 75.0
#: How long a server may be away while a run is followed, in seconds.
_AWAY_S = 120.0
#: What a server says that is away, or on its way down or up.
_PASSING = frozenset(
    {
        RPCStatusCode.UNAVAILABLE,
        RPCStatusCode.DEADLINE_EXCEEDED,
        RPCStatusCode.CANCELLED,
        RPCStatusCode.UNKNOWN,
        RPCStatusCode.INTERNAL,
        RPCStatusCode.RESOURCE_EXHAUSTED,
    }
)
#: From this attempt on a step of the workflow counts as stuck.
_STUCK = 4


async def start_run(
    client: Client, address: Address, record: RunRecord, began: RunStarted
) -> RemoteRun:
    """Start a run.

    Raises:
        UsageError: It is too large to travel.
        JournalError: The cluster does not take it.
    """
    order = RunOrder(began, address.terms)
    if address.blobs is None:
        size = len(msgspec.json.encode(record)) + len(msgspec.json.encode(order))
        if size > LIMIT_BYTES:
            raise UsageError(
                f"program and input are {size:,} bytes, more than a cluster carries without a "
                f"blob store ({LIMIT_BYTES:,}): give one with blobs=DIR"
            )
    names = RunSummary.__struct_fields__
    summary = RunSummary(**{name: getattr(record, name) for name in names})
    try:
        await client.start_workflow(
            WORKFLOW_TYPE,
            args=[record, order],
            id=workflow_id(record.run),
            task_queue=address.queue,
            memo={"orch": summary},
            id_reuse_policy=WorkflowIDReusePolicy.REJECT_DUPLICATE,
        )
    except RPCError as error:
        raise _said_by_the_server(error) from None
    return RemoteRun(client, address, record.run)


async def list_runs(
    client: Client, address: Address, limit: int | None = None, status: RunStatus | None = None
) -> list[RunSummary]:
    """The runs of a queue, latest first.

    Raises:
        JournalError: The cluster does not say.
    """
    found: dict[str, RunSummary] = {}
    since = None
    async for execution in _executions(client, address):
        summary = await _summary(execution)
        if status is None or summary.status == status:
            found[summary.run] = summary
            began = min(
                execution.start_time, datetime.fromtimestamp(summary.started_ms / 1000, UTC)
            )
            since = began if since is None else min(since, began)
            if limit is not None and len(found) >= limit:
                break
    if limit is not None and since is not None:
        # The cluster lists what is open first, however old: these began later than some of it.
        async for execution in _executions(client, address, since):
            summary = await _summary(execution)
            if status is None or summary.status == status:
                found[summary.run] = summary
    return sorted(found.values(), key=lambda summary: -summary.started_ms)[:limit]


async def find_runs(client: Client, address: Address, begin: str) -> list[str]:
    """The ids of runs that begin so.

    Raises:
        JournalError: The cluster does not say.
    """
    try:
        await client.get_workflow_handle(workflow_id(begin)).describe()
        return [begin]
    except RPCError as error:
        if error.status is not RPCStatusCode.NOT_FOUND:
            raise _said_by_the_server(error) from None
    runs = [run_of(execution.id) async for execution in _executions(client, address)]
    return sorted(run for run in runs if run.startswith(begin))


async def _executions(
    client: Client, address: Address, since: datetime | None = None
) -> AsyncIterator[WorkflowExecution]:
    queue = address.queue.replace("'", "''")
    query = (
        f"WorkflowType = '{WORKFLOW_TYPE}' AND TaskQueue = '{queue}' "
        "AND ExecutionStatus != 'ContinuedAsNew'"
    )
    if since is not None:
        query += f" AND StartTime >= '{since.isoformat()}'"
    try:
        async for execution in client.list_workflows(query):
            yield execution
    except RPCError as error:
        raise _said_by_the_server(error) from None


async def _summary(execution: WorkflowExecution) -> RunSummary:
    """What is known of a run without asking its workflow."""
    summary = await execution.memo_value("orch", None)
    if not isinstance(summary, RunSummary):
        summary = RunSummary(
            run=run_of(execution.id),
            workflow="?",
            orchestrator="?",
            started_ms=int(execution.start_time.timestamp() * 1000),
        )
    alive = execution.status is WorkflowExecutionStatus.RUNNING
    if not alive and summary.status in ("running", "waiting"):
        said = "" if execution.status is None else execution.status.name.lower().replace("_", " ")
        return msgspec.structs.replace(
            summary, status="running", live=False, reason=f"its workflow is {said}"
        )
    return msgspec.structs.replace(summary, live=alive and summary.status == "running")


class RemoteRun:
    """One run on a cluster.

    Args:
        client: Connected to the cluster.
        address: Where it is.
        run: The run's id.
    """

    def __init__(self, client: Client, address: Address, run: str) -> None:
        self.run = run
        self._client = client
        self._address = address
        self._handle = client.get_workflow_handle(workflow_id(run))

    # ------------------------------------------------------------ reading

    async def summary(self) -> RunSummary:
        """What is known of it without asking a host.

        Raises:
            JournalError: There is no such run, or the cluster does not say.
        """
        return await _summary(await self._describe())

    async def record(self) -> RunRecord:
        """The run as it was entered, with its present status.

        Raises:
            JournalError: No host drives runs there, or there is no such run.
        """
        summary = await self.summary()
        record = await self._ask("record", RunRecord)
        known = {name: getattr(summary, name) for name in RunSummary.__struct_fields__}
        return msgspec.structs.replace(record, **known)

    async def events(self, first: int = 0) -> list[Event]:
        """The events from a position on.

        Raises:
            JournalError: No host drives runs there, or there is no such run.
        """
        found: list[Event] = []
        while True:
            page = await self._ask("page", Page, first + len(found))
            found += [decode_event(bytes(body)) for body in page.events]
            if first + len(found) >= page.total:
                return found

    async def _ask(self, question: str, kind: type[_T], *arguments: int) -> _T:
        try:
            answer: _T = await self._handle.query(
                question, args=arguments, result_type=kind, rpc_timeout=_ANSWER
            )
            return answer
        except WorkflowQueryFailedError as error:
            raise JournalError(f"run {self.run} cannot be read: {error}") from None
        except RPCError as error:
            if error.status is RPCStatusCode.NOT_FOUND:
                raise self._not_there() from None
            if error.status is RPCStatusCode.UNAVAILABLE:
                raise _said_by_the_server(error) from None
            # A question goes to a host that drives runs, and the server waits for one.
            queue = self._address.queue
            raise _NoAnswer(
                f"no host that drives runs answers on queue `{queue}`, so run {self.run} cannot "
                "be read",
                by_host=True,
                help=f"orch worker FILE --address {self._address.host} --only workflows",
            ) from None

    async def _describe(self) -> WorkflowExecutionDescription:
        try:
            return await self._handle.describe()
        except RPCError as error:
            if error.status is RPCStatusCode.NOT_FOUND:
                raise self._not_there() from None
            raise _said_by_the_server(error) from None

    def _not_there(self) -> JournalError:
        where = f"{self._address.host}/{self._address.namespace}"
        return JournalError(f"there is no run {self.run} at {where}")

    # ------------------------------------------------------------ speaking

    async def answer(self, reply: Reply) -> None:
        """Answer a gate; returns when the answer is in the journal.

        Raises:
            UsageError: The gate is not open (any more), or the reply does not fit it.
            JournalError: The cluster does not take it.
        """
        await self._update("answer", reply)

    async def tell(self, words: Words) -> None:
        """Give a note to a planner; returns when it is in the journal.

        Raises:
            NotTaken: The run takes no note any more.
            UsageError: There is no such task.
            JournalError: The cluster does not take it.
        """
        await self._update("tell", words)

    async def cancel(self, reason: str) -> None:
        """Ask for the run to end as `cancelled`.

        Raises:
            UsageError: It has ended already.
            JournalError: The cluster does not take it.
        """
        await self._update("cancel", reason)

    async def _update(self, name: str, argument: Reply | Words | str) -> None:
        await self._settled()
        try:
            await self._handle.execute_update(name, argument)
        except WorkflowUpdateFailedError as error:
            cause = error.cause
            said = cause.message if isinstance(cause, ApplicationError) else str(cause)
            late = isinstance(cause, ApplicationError) and cause.type == NOT_TAKEN
            raise (NotTaken if late else UsageError)(said) from None
        except RPCError as error:
            if error.status is RPCStatusCode.NOT_FOUND:
                raise UsageError(f"run {self.run} has ended already") from None
            raise _said_by_the_server(error) from None

    async def _settled(self) -> None:
        """Wait until the step of the run that is due has been taken, if its host was lost.

        A new host may have reported the gate already, from a step that is not taken yet. An update
        that comes with that step is then accepted after it, but replayed before it: the SDK's order
            differs (sdk-python issue 1591), and no host could resume the run.

        Raises:
            JournalError: There is no such run, or the cluster does not say.
        """
        seen = None
        while True:
            due = (await self._describe()).raw_description.pending_workflow_task
            name = due.original_scheduled_time.ToNanoseconds()
            if not name or (seen is not None and name != seen):
                return  # Nothing is due, or another step is: this one has been taken.
            seen = name
            await asyncio.sleep(_SHORTEST_S)

    # ------------------------------------------------------------ following

    async def follow(
        self,
        state: RunState,
        seen: int,
        observers: list[Observer],
        tell: Callable[[str], None],
    ) -> RunState:
        """Read along until the run has ended or waits for a person.

        Args:
            state: Folded from the first `seen` events; it is stepped on.
            observers: Told of each event after those.
            tell: Told what the run waits for, if it is a host.

        Raises:
            JournalError: The cluster is gone, or the run was stopped there.
            InternalError: The workflow failed.
        """
        ended = asyncio.ensure_future(self._ending())
        told: set[str] = set()
        quiet_s, pause_s = 0.0, _SHORTEST_S
        try:
            while True:
                over = ended.done()
                news = await self._news(seen, tell, told)
                for event in news:
                    step(state, event)
                    for observer in observers:
                        observer(event, state)
                seen += len(news)
                if state.ended or (
                    state.status == "waiting" and not over and await self._is_open()
                ):
                    return state
                if over and not news:
                    raise ended.result() or JournalError(f"run {self.run} ended without an end")
                if news:
                    quiet_s, pause_s = 0.0, _SHORTEST_S
                elif quiet_s >= _QUIET_S:
                    quiet_s = 0.0
                    await self._tell_what_is_missing(state, tell, told)
                await asyncio.wait([ended], timeout=pause_s)
                quiet_s += pause_s
                pause_s = min(2 * pause_s, _LONGEST_S)
        finally:
            ended.cancel()

    async def _is_open(self) -> bool:
        """Whether its workflow is still there to be answered: it may have been terminated."""
        return (await self._describe()).status is WorkflowExecutionStatus.RUNNING

    async def _news(self, seen: int, tell: Callable[[str], None], told: set[str]) -> list[Event]:
        """The events after those that were seen; waits for a host that can tell them.

        Raises:
            JournalError: The run is not there, or the cluster has been away for too long.
        """
        queue = self._address.queue
        waited_s = away_s = 0.0
        while True:
            began = asyncio.get_running_loop().time()
            away = False
            missing = "its host to answer"
            try:
                # Asked in any case: who polls is a matter of clocks, and they may differ.
                if not await self._served(queue, TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW):
                    missing = f"a host that drives runs on queue `{queue}`"
                return await self.events(seen)
            except _NoAnswer as error:
                if not error.by_host:
                    away, missing = True, "the server to answer"
                    if away_s > _AWAY_S:
                        raise
            if waited_s >= _QUIET_S:
                _tell_once(f"waiting for {missing}", tell, told)
            await asyncio.sleep(_LONGEST_S)
            took_s = asyncio.get_running_loop().time() - began
            waited_s += took_s
            away_s = away_s + took_s if away else 0.0

    async def _ending(self) -> Exception | None:
        """Wait for the workflow's end; the exception to raise if it is not an end of the run."""
        while True:
            try:
                await self._handle.result()
            except WorkflowFailureError as failure:
                cause = failure.cause
                if isinstance(cause, ApplicationError):
                    if cause.type == "internal":
                        return InternalError(
                            f"the workflow of run {self.run} failed: {cause.message}"
                        )
                    return JournalError(f"run {self.run} cannot continue: {cause.message}")
                return JournalError(f"run {self.run} was stopped on the cluster: {cause}")
            except RPCError as error:
                if error.status not in _PASSING:
                    return _said_by_the_server(error)
                await asyncio.sleep(_LONGEST_S)
                continue
            return None

    async def _tell_what_is_missing(
        self, state: RunState, tell: Callable[[str], None], told: set[str]
    ) -> None:
        """Say which calls wait for a host that is not there, each once."""
        described = (await self._describe()).raw_description
        if described.pending_workflow_task.attempt >= _STUCK:
            _tell_once(
                "a step of the run fails on its hosts again and again; their logs say why",
                tell,
                told,
            )
        waiting = {
            pending.activity_id
            for pending in described.pending_activities
            if pending.state == PendingActivityState.PENDING_ACTIVITY_STATE_SCHEDULED
        }
        for call in state.calls.values():
            command = call.command
            if command is None:
                continue
            first = activity_id(call.key, call.attempt, 0)
            if not any(one == first or one.startswith(f"{first}+") for one in waiting):
                continue
            queue = queue_of(self._address.queue, command)
            if not await self._served(queue, TaskQueueType.TASK_QUEUE_TYPE_ACTIVITY):
                _tell_once(
                    f"waiting for a host that serves {served_name(command)} on queue `{queue}`",
                    tell,
                    told,
                )

    async def _served(self, queue: str, kind: TaskQueueType.ValueType) -> bool:
        """Whether any host polls a queue."""
        try:
            answer = await self._client.workflow_service.describe_task_queue(
                DescribeTaskQueueRequest(
                    namespace=self._address.namespace,
                    task_queue=TaskQueue(name=queue),
                    task_queue_type=kind,
                )
            )
        except RPCError as error:
            raise _said_by_the_server(error) from None
        now = datetime.fromtimestamp(clock.wall_s(), UTC)
        return any(
            (now - poller.last_access_time.ToDatetime(UTC)).total_seconds() < _POLLED_S
            for poller in answer.pollers
        )


def _tell_once(line: str, tell: Callable[[str], None], told: set[str]) -> None:
    if line not in told:
        told.add(line)
        tell(line)


class _NoAnswer(JournalError):
    """A server or a host is away, and may come back.

    Attributes:
        by_host: Whether it is the host that does not answer.
    """

    def __init__(self, message: str, *, by_host: bool, help: str | None = None) -> None:
        self.by_host = by_host
        super().__init__(message, help=help)


def _said_by_the_server(error: RPCError) -> JournalError:
    words = " ".join(error.message.split())[:300]
    message = f"the Temporal server did not do it: {words or error.status.name}"
    if error.status in _PASSING:
        return _NoAnswer(message, by_host=False)
    return JournalError(message)
