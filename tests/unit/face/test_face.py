"""The public face: names, signatures, fields and types are pinned here, and used as users do."""

from __future__ import annotations

import asyncio
import copy
import dataclasses
import importlib.util
import inspect
import pickle
import subprocess
import sys
import traceback
from pathlib import Path
from types import ModuleType

import msgspec
import pytest

import engine
import orch
from orch import events

HERE = Path(__file__).parent
ROOT = HERE.parents[2]
PROGRAM = HERE / "shout.orch"

NAMES = [
    "Change",
    "CompileError",
    "Diagnostic",
    "Divergence",
    "Event",
    "Failure",
    "Gate",
    "GateItem",
    "InputError",
    "InternalError",
    "JournalError",
    "MemoryJournal",
    "OrchError",
    "PolicyState",
    "Replay",
    "Reply",
    "Run",
    "RunHandle",
    "RunInfo",
    "Scripted",
    "Source",
    "SqliteJournal",
    "StepFailures",
    "StepReport",
    "TaskReport",
    "UnreadableFile",
    "Usage",
    "UsageError",
    "Workflow",
    "__version__",
    "acancel",
    "aresume",
    "arun_tests",
    "atell",
    "cancel",
    "format_text",
    "gates",
    "lint",
    "load",
    "replay",
    "resume",
    "run_tests",
    "runs",
    "start_resume",
    "tell",
]

FIELDS = {
    "Run": "id status output partial bound reason place escalated rounds usage failures gates "
    "warnings tainted tainted_parts journal",
    "Failure": "mode message retryable retry_after_ms usage died schema_refused task worker round "
    "key place where cause raised",
    "Usage": "input_tokens output_tokens cached_tokens cost_micro_usd estimated cache_write_tokens "
    "reasoning_tokens",
    "Gate": "run workflow key kind orchestrator message options task worker input plan opened_ms "
    "timeout_ms offers step count items sources changes why",
    "GateItem": "item task label input message parent sources",
    "Source": "path kind task worker at tainted way",
    "TaskReport": "id key worker round status attempts input output partial failure duration_ms "
    "step item label sources tainted",
    "StepReport": "id key kind worker round status total known done failed not_started skipped "
    "running waiting failures output partial failure duration_ms",
    "StepFailures": "mode count first label message",
    "RunInfo": "id status workflow orchestrator started_ms ended_ms reason bound parent parent_seq"
    " labels",
    "Replay": "run status events divergence file changed changed_files changes file_divergence "
    "matters_from skipped",
}

STARTING = (
    "(self, orchestrator=None, /, *, models=None, journal=None, record=None, labels=None,"
    " input=None, **inputs)"
)
RESUMING = "(run, *, journal='.orch', models=None, reply=None)"
CANCELLING = "(run, *, journal='.orch', reason='cancelled')"
SIGNATURES = {
    "Workflow.run": STARTING,
    "Workflow.arun": STARTING,
    "Workflow.stream": STARTING,
    "Workflow.start": STARTING,
    "RunHandle.cancel": "(self, *, reason='cancelled')",
    "RunHandle.events": "(self)",
    "RunHandle.result": "(self)",
    "RunHandle.interrupt": "(self)",
    "Run.report": "(self, *, details=True, items=False)",
    "load": "(path, *, params=None)",
    "lint": "(path)",
    "resume": RESUMING,
    "aresume": RESUMING,
    "start_resume": RESUMING,
    "cancel": CANCELLING,
    "acancel": CANCELLING,
    "runs": "(journal='.orch', *, status=None, limit=20, labels=None)",
    "gates": "(journal='.orch', *, run=None)",
    "replay": "(run='last', *, journal='.orch', file=None)",
}
SAY_HELLO = [{"finish": "HELLO"}]
ASKING = [
    {"tasks": [{"id": "p", "worker": "pay", "input": {"text": "ann"}}]},
    {"finish": "ANN"},
]


def models(*decisions: object) -> dict[str, object]:
    return {"planner": orch.Scripted(list(decisions))}


@pytest.fixture(scope="module")
def workflow() -> orch.Workflow:
    return orch.load(PROGRAM)


def application() -> ModuleType:
    spec = importlib.util.spec_from_file_location("application", HERE / "application.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


# ---------------------------------------------------------------- pins


def test_the_names():
    assert sorted(orch.__all__) == sorted(NAMES)
    assert orch.__all__ == engine.__all__
    assert {*NAMES, "events", "kinds"} <= set(dir(orch))
    assert all(getattr(orch, name) is not None for name in NAMES)


def fields_of(record: type) -> list[str]:
    if issubclass(record, msgspec.Struct):
        return list(record.__struct_fields__)
    if dataclasses.is_dataclass(record):
        return [field.name for field in dataclasses.fields(record) if field.name[0] != "_"]
    return list(record.__annotations__)


@pytest.mark.parametrize("name", FIELDS)
def test_the_fields_of_records_and_that_they_are_described(name):
    record = getattr(orch, name)
    assert fields_of(record) == FIELDS[name].split()
    described = record.__doc__
    assert [field for field in FIELDS[name].split() if f"{field}: " not in described] == []


@pytest.mark.parametrize("name", FIELDS)
def test_records_are_frozen_and_slotted(name, workflow):
    run = workflow.run(text="", models=models(*ASKING))
    found = {
        "Run": run,
        "Failure": orch.Failure("silent", "nothing"),
        "Usage": run.usage,
        "Gate": run.gates[0],
        "GateItem": orch.GateItem(item="0", task="r[0]", label="", input={}),
        "Source": orch.Source(path="/x", kind="planner"),
        "TaskReport": run.tasks[0],
        "StepReport": orch.StepReport(
            id="r", key="r", kind="each", worker="w", round=1, status="done"
        ),
        "StepFailures": orch.StepFailures(mode="crashed", count=1, first="r[0]"),
        "RunInfo": orch.runs(run.journal)[0],
        "Replay": orch.replay(run.id, journal=run.journal, file=PROGRAM),
    }[name]
    with pytest.raises(AttributeError):
        setattr(found, FIELDS[name].split()[0], "x")
    if name != "Failure":  # an exception always has a `__dict__`
        assert not hasattr(found, "__dict__")


def test_the_events_are_those_of_the_union():
    union = {kind.__name__ for kind in events.Event.__args__}
    assert union <= set(events.__all__)


@pytest.mark.parametrize("name", SIGNATURES)
def test_the_signatures(name):
    value = orch
    for part in name.split("."):
        value = getattr(value, part)
    plain = [
        p.replace(annotation=inspect.Parameter.empty)
        for p in inspect.signature(value).parameters.values()
    ]
    assert str(inspect.Signature(plain)) == SIGNATURES[name]


def test_the_modules_are_there_without_an_import_of_their_own():
    code = "import orch; print(orch.events.CallFinished.__name__, orch.kinds.Row.__name__)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout == "CallFinished Row\n", done.stderr


def test_the_application_runs(tmp_path, capsys):
    runs = application().main(PROGRAM, tmp_path)
    assert [run.status for run in runs] == [
        "finished", "finished", "waiting", "finished", "cancelled"
    ]  # fmt: skip
    said = capsys.readouterr().out
    assert "b of upper: silent, there is nothing to shout" in said
    assert "Pay ann? yes, no" in said


# ---------------------------------------------------------------- failures


def test_a_failure_is_raised_and_given_as_a_value(workflow):
    plan = {"tasks": [{"id": "b", "worker": "upper", "input": {"text": ""}}]}
    run = workflow.run(text="x", models=models(plan, *SAY_HELLO))
    expected = orch.Failure(
        "silent",
        "there is nothing to shout",
        task="b",
        worker="upper",
        round=1,
        key="round 1 / decision 1 / task b",
    )
    assert run.failures == (expected,)
    assert run.tasks[0].failure == expected
    assert {expected: 1}[run.failures[0]] == 1


def test_failures_are_copied_and_sent_to_other_processes(workflow):
    plan = {"tasks": [{"id": "b", "worker": "upper", "input": {"text": ""}}]}
    run = workflow.run(text="x", models=models(plan, *SAY_HELLO))
    assert run.failures[0].place is not None
    raised = orch.Failure("m", "why", retryable=True, retry_after_ms=5, where="run[0]")
    for failure in (raised, *run.failures):
        for again in (pickle.loads(pickle.dumps(failure)), copy.deepcopy(failure)):
            assert (again, str(again)) == (failure, str(failure))
            assert (again.where, again.place) == (failure.where, failure.place)
    assert pickle.loads(pickle.dumps(run.tasks)) == run.tasks


def test_python_may_note_things_on_a_frozen_failure():
    def fail():
        try:
            raise KeyError("a")
        except KeyError as error:
            raise orch.Failure("silent") from error

    with pytest.raises(orch.Failure) as raised:
        fail()
    raised.value.add_note("seen")
    assert "seen" in "".join(traceback.format_exception(raised.value))
    assert raised.value.with_traceback(None).__traceback__ is None


# ---------------------------------------------------------------- streams and handles


def test_a_stream_ends_with_the_run(workflow, tmp_path):
    async def follow():
        stream = workflow.stream(text="x", models=models(*SAY_HELLO), record=tmp_path / "said")
        return [item async for item in stream]

    *told, run = asyncio.run(follow())
    assert [type(event).__name__ for event in told] == [
        "RunStarted", "CallStarted", "CallFinished", "RunEnded"
    ]  # fmt: skip
    assert (type(run), run.output) == (orch.Run, "HELLO")
    assert list((tmp_path / "said").iterdir())


def test_leaving_a_stream_interrupts_a_run_that_can_be_resumed(workflow, tmp_path):
    async def leave():
        stream = workflow.stream(text="x", models={"planner": Never()}, journal=tmp_path)
        async for item in stream:
            if isinstance(item, events.CallStarted):
                break
        await stream.aclose()

    asyncio.run(leave())
    (info,) = orch.runs(tmp_path)
    assert info.status == "interrupted"
    assert orch.resume(info.id, journal=tmp_path, models=models(*SAY_HELLO)).output == "HELLO"


class Never:
    """A model that does not answer."""

    async def complete(self, request):
        await asyncio.Event().wait()

    async def close(self):
        pass


@pytest.mark.parametrize("where", ["memory", "folder"])
def test_a_run_has_a_name_before_it_ends_and_can_be_cancelled(workflow, where, tmp_path):
    async def use():
        journal = tmp_path if where == "folder" else None
        handle = await workflow.start(text="x", models={"planner": Never()}, journal=journal)
        seen = []

        async def read():
            seen.extend([event async for event in handle.events()])

        readers = [asyncio.create_task(read()) for _ in range(2)]
        if where == "folder":
            assert [(i.id, i.status) for i in orch.runs(tmp_path)] == [(handle.id, "running")]
        run = await handle.cancel(reason="not today")
        await asyncio.gather(*readers)
        assert (run.id, run.status, run.reason) == (handle.id, "cancelled", "not today")
        assert (await handle.result()) == run == (await handle.cancel())
        kinds = [type(event).__name__ for event in seen]
        assert (kinds.count("RunStarted"), kinds.count("RunEnded")) == (2, 2)

    asyncio.run(use())


def test_what_cannot_start_has_no_handle(workflow):
    with pytest.raises(orch.InputError):
        asyncio.run(workflow.start(models=models(*SAY_HELLO)))
    with pytest.raises(orch.UsageError, match="no orchestrator `other`"):
        asyncio.run(workflow.start("other", text="x"))


def test_cancelling_the_wait_for_a_result_does_not_end_the_run(workflow):
    async def use():
        handle = await workflow.start(text="x", models={"planner": Never()})
        waiting = asyncio.create_task(handle.result())
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        return (await handle.cancel()).status

    assert asyncio.run(use()) == "cancelled"


def test_a_handle_to_a_run_that_has_ended_has_its_result(workflow, tmp_path):
    run = workflow.run(text="x", models=models(*SAY_HELLO), journal=tmp_path)

    async def use():
        handle = await orch.start_resume("last", journal=tmp_path)
        return handle.id, [e async for e in handle.events()], await handle.result()

    assert asyncio.run(use()) == (run.id, [], run)


# ---------------------------------------------------------------- over a journal


def test_runs_and_gates_of_a_journal(workflow, tmp_path):
    done = workflow.run(text="x", models=models(*SAY_HELLO), journal=tmp_path)
    asks = workflow.run(text="y", models=models(*ASKING), journal=tmp_path)
    assert [info.id for info in orch.runs(tmp_path)] == [asks.id, done.id]
    assert [info.id for info in orch.runs(tmp_path, status="waiting")] == [asks.id]
    assert [info.id for info in orch.runs(tmp_path, limit=1)] == [asks.id]
    for wrong in ({"status": "bogus"}, {"limit": 0}, {"limit": -3}):
        with pytest.raises(orch.UsageError, match=r"no status 'bogus'; there are|at least 1"):
            orch.runs(tmp_path, **wrong)
    (gate,) = orch.gates(tmp_path)
    assert (gate.run, gate.kind, gate.message) == (asks.id, "approval", "Pay ann?")
    assert (gate.options, gate.input) == (("yes", "no"), {"text": "ann"})
    assert (gate,) == tuple(orch.gates(tmp_path, run=asks.id)) == asks.gates
    assert orch.gates(tmp_path, run=done.id) == []
    cancelled = orch.cancel(asks.id, journal=tmp_path, reason="over")
    assert (cancelled.status, cancelled.reason) == ("cancelled", "over")
    assert orch.gates(tmp_path) == []
    with pytest.raises(orch.UsageError, match="ended already"):
        orch.cancel(asks.id, journal=tmp_path)


@pytest.mark.parametrize("run", ["last", "20261130-000000-0123456789", "zz"])
@pytest.mark.parametrize("function", [orch.resume, orch.cancel, orch.replay])
def test_a_run_that_there_is_not_is_a_usage_error(function, run, tmp_path):
    for journal in (orch.MemoryJournal(), tmp_path):
        with pytest.raises(orch.UsageError, match="no run in "):
            function(run, journal=journal)


def test_replay_says_where_a_changed_file_does_not_fit(workflow, tmp_path):
    run = workflow.run(text="x", models=models(*SAY_HELLO), journal=tmp_path / "runs")
    same = orch.replay(journal=tmp_path / "runs")
    assert (same.run, same.changed, same.divergence) == (run.id, False, None)
    changed = tmp_path / "shout.orch"
    changed.write_text(PROGRAM.read_text().replace("Shout:", "Whisper:"))
    (tmp_path / "shouting.py").write_text((HERE / "shouting.py").read_text())
    other = orch.replay(run.id, journal=tmp_path / "runs", file=changed)
    assert other.changed
    assert other.divergence is None
    assert other.file_divergence.kind == "request"
    assert [(change.kind, change.name) for change in other.changes] == [("orchestrator", "shout")]
    assert other.matters_from == other.file_divergence.seq


def test_a_run_driven_by_another_process_is_cancelled(tmp_path):
    program = tmp_path / "p.orch"
    program.write_text(
        'orch 1\nmodel m { id = "python/slow:decide" }\n'
        'worker w() -> string via python { call = "slow:w" }\n'
        "orchestrator o() -> string {\n"
        '  model = m  goal = "g"  workers = [w]  policy { max_rounds = 2 }\n}\n'
    )
    (tmp_path / "slow.py").write_text(
        "import asyncio\ndef w(): return ''\nasync def decide(state):\n"
        "    print('asked', flush=True)\n    await asyncio.Event().wait()\n"
    )
    app = f"import orch; orch.load({str(program)!r}).run(journal={str(tmp_path / 'runs')!r})"
    with subprocess.Popen(
        [sys.executable, "-c", app], stdout=subprocess.PIPE, text=True, cwd=ROOT
    ) as process:
        try:
            assert process.stdout.readline() == "asked\n"
            run = orch.cancel("last", journal=tmp_path / "runs", reason="from outside")
            assert (run.status, run.reason) == ("cancelled", "from outside")
            assert process.wait(60) == 0
        finally:
            process.kill()


def test_importing_orch_loads_neither_models_nor_the_runtime():
    code = (
        "import sys, orch; print([m for m in ('litellm', 'httpx', 'jinja2', 'lark', 'msgspec', "
        "'networkx', 'engine.api') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert done.stdout == "[]\n", done.stderr
