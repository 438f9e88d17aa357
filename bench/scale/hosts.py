"""Hosts in network namespaces of their own: one cut off, one killed, the server killed.

Six machines on one switch: the Temporal server, a client, two hosts that serve everything and two
of which each serves a few workers by name. While runs are in flight, one host's cable is pulled
for several seconds, another host is killed for good, and the server is killed and started again.
What really happened is counted outside: each call and each effect is a line in a file. In the end
every run has to have finished with the right outputs, no order may be there twice (the shop knows
it by its key), and nothing may be paid twice: where it is not known whether a `once` call
happened, the run asks, and the client answers as a person would, by looking into the file.
"""

from __future__ import annotations

import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from temporalio.service import RPCError, RPCStatusCode

from bench.scale import cluster as clusters
from bench.scale.network import Network, missing
from engine.distributed.address import Address, parse_address
from engine.distributed.remote import RemoteRun, list_runs
from engine.drive.answers import Reply
from engine.errors import JournalError
from engine.runtime.machine import fold
from engine.runtime.requests import task_key
from engine.runtime.state import Gate, RunState

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = clusters.PROGRAMS / "hosts.orch"
MACHINES = ("server", "client", "all1", "all2", "payer", "looker")
#: Of each round: two that look, one that counts with what the first saw, an order, a payment.
PER_ROUND = {"look": 2, "double": 1, "ship": 1, "pay": 1}
HEARTBEAT_S = 2


@dataclass
class Size:
    """How much of it.

    Attributes:
        pause_s: Half of how long each call takes.
        cut_s: How long a host is cut off at least.
        away_s: How long the server is away.
    """

    runs: int = 24
    rounds: int = 5
    pause_s: float = 0.2
    cut_s: float = 8.0
    away_s: float = 3.0

    @property
    def calls(self) -> int:
        """How many tasks there are altogether."""
        return self.runs * self.rounds * sum(PER_ROUND.values())


SMALL = Size(runs=5, rounds=3, pause_s=0.1, cut_s=3.0, away_s=0.5)


@dataclass
class Fault:
    """Something that was done to the machines.

    Attributes:
        at: When, in Unix seconds.
        over: When it was undone, or `at`.
        host: The process id of the host that had it, or None for the server.
    """

    name: str
    at: float
    over: float
    host: int | None = None


@dataclass
class Call:
    """One delivery of a call to a host, from a history."""

    key: str
    host: str = ""
    begun: float = 0.0
    ended: float = 0.0
    done: bool = False


@dataclass
class Story:
    """What came of it, for the report."""

    lost_runs: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    answers: list[tuple[float, str, str]] = field(default_factory=list)
    found: dict[str, Any] = field(default_factory=dict)


def plans(rounds: int) -> list[dict[str, Any]]:
    """What the planner says."""
    said: list[dict[str, Any]] = []
    for number in range(rounds):
        first = f"a{number}"
        tasks = [
            {"id": first, "worker": "look", "input": {"n": number}},
            {"id": f"b{number}", "worker": "look", "input": {"n": number + 100}},
            {
                "id": f"c{number}",
                "worker": "double",
                "input": {"n": {"$from": first, "at": "/n"}},
            },
            {"id": f"d{number}", "worker": "ship", "input": {"n": number}},
            {"id": f"e{number}", "worker": "pay", "input": {"n": number}},
        ]
        said.append({"assessment": "go on", "tasks": tasks})
    return [*said, {"assessment": "done", "finish": {"text": "done"}}]


def right_outputs(rounds: int) -> dict[str, dict[str, int]]:
    """What each task of a run has to give."""
    found = {}
    for n in range(rounds):
        results = {"a": n + 1, "b": n + 101, "c": 2 * (n + 1), "d": n, "e": n}
        found.update({f"{letter}{n}": {"n": value} for letter, value in results.items()})
    return found


# ---------------------------------------------------------------- inside the client's machine


class Scene:
    """The cluster, the log, and what is done to them.

    Args:
        network: The machines; they are there already.
    """

    def __init__(self, network: Network, folder: Path, size: Size) -> None:
        self.network, self.folder, self.size = network, folder, size
        self.faults: list[Fault] = []
        self.story = Story()
        self._stop = asyncio.Event()

    def lines(self, what: str | None = None) -> list[dict[str, Any]]:
        """The log, or its lines of one kind."""
        path = self.folder / "log.jsonl"
        text = path.read_text() if path.exists() else ""
        # A line is there whole or not at all, for each is one write at the end of the file.
        found = [json.loads(line) for line in text.splitlines()]
        return [line for line in found if what in (None, line["what"])]

    def in_flight(self, host: str) -> set[str]:
        """The keys of calls that a host has begun and not ended."""
        own = [line for line in self.lines() if line["host"] == host]
        ended = {line["key"] for line in own if line["what"] == "end"}
        return {line["key"] for line in own if line["what"] == "call"} - ended

    async def until(self, condition: Any) -> None:
        """Wait until something stands in the log."""
        while not condition():
            await asyncio.sleep(0.02)

    async def play(self) -> dict[str, Any]:
        """Everything, from the first process to the report."""
        (self.folder / "orders").mkdir()
        server = self.network.ip("server")
        with clusters.Cluster(self.folder, server, self.network.on("server")) as cluster:
            address = parse_address(cluster.url(heartbeat=f"{HEARTBEAT_S}s"))
            client = await clusters.client_of(cluster, address)
            hosts, models = self._hosts(cluster)
            await asyncio.to_thread(clusters.until_serving, *hosts.values())
            program = clusters.load(PROGRAM, rounds=self.size.rounds + 1)
            began = time.time()
            runs = [
                await clusters.start(client, address, program, models, number=number)
                for number in range(self.size.runs)
            ]
            person = asyncio.ensure_future(self._person(client, address, program))
            ends = [asyncio.ensure_future(_end(client, run)) for run in runs]
            await self._faults(cluster, hosts)
            statuses = await asyncio.gather(*ends)
            person.cancel()
            await asyncio.gather(person, return_exceptions=True)
            took = time.time() - began
            for run, status in zip(runs, statuses, strict=True):
                await self._check(run, status, program)
            histories = [await _history(client, run) for run in runs]
            return self._report(histories, took)

    def _hosts(
        self, cluster: clusters.Cluster
    ) -> tuple[dict[str, clusters.Process], dict[str, str]]:
        script = self.folder / "plan.json"
        script.write_text(json.dumps(plans(self.size.rounds)))
        models = {"planner": f"scripted/{script}"}
        serves = {"all1": None, "all2": None, "payer": "pay", "looker": "look,double"}
        hosts = {}
        for name, serve in serves.items():
            words = [str(PROGRAM), "--model", f"planner=scripted/{script}"]
            words += [] if serve is None else ["--serve", serve]
            settings = {"HOST": name, "SHARED": self.folder, "PAUSE_S": self.size.pause_s}
            env = ["env", *(f"ORCH_BENCH_{key}={value}" for key, value in settings.items())]
            hosts[name] = cluster.host(*words, prefix=[*self.network.on(name), *env], log=name)
        return hosts, models

    # ------------------------------------------------------------ the faults

    async def _faults(self, cluster: clusters.Cluster, hosts: dict[str, clusters.Process]) -> None:
        """One after the other, each while the host concerned has calls under way."""
        share = self.size.calls

        await self.until(lambda: len(self.lines("end")) > 0.1 * share and self.in_flight("all2"))
        self.network.cut("all2")
        at = time.time()
        # Longer than it takes until the others do what it was at: its reports come too late.
        await asyncio.sleep(self.size.cut_s)
        self.network.heal("all2")
        self.faults.append(
            Fault("a host cut off, and back", at, time.time(), hosts["all2"].popen.pid)
        )

        since = time.time()
        await self.until(lambda: self._ended("all2", since))
        await self.until(lambda: self.in_flight("all1"))
        hosts["all1"].kill()
        at = time.time()
        self.faults.append(Fault("a host killed for good", at, at, hosts["all1"].popen.pid))

        done = len(self.lines("end"))
        goal = min(done + 0.15 * share, 0.9 * share)
        await self.until(lambda: len(self.lines("end")) > goal and self.in_flight("all2"))
        cluster.server.kill()
        at = time.time()
        await asyncio.sleep(self.size.away_s)
        cluster.server.start()
        self.faults.append(Fault("the server killed, and started again", at, time.time()))

    def _ended(self, host: str, since: float) -> bool:
        return any(
            line["host"] == host and line["what"] == "end" and line["t"] > since
            for line in self.lines()
        )

    async def _person(self, client: Any, address: Address, program: Any) -> None:
        """Say of payments of unknown outcome what the log says of them."""
        while True:
            try:
                for summary in await list_runs(client, address, None, "waiting"):
                    run = RemoteRun(client, address, summary.run)
                    state = fold(program, await run.events())
                    for gate in list(state.gates.values())[:1]:
                        await run.answer(self._reply(state, gate))
            except (JournalError, RPCError, ValueError):
                pass  # the server is away, or somebody else was faster
            except Exception as error:
                self.story.wrong.append(f"an answer failed: {type(error).__name__}: {error}")
            await asyncio.sleep(0.3)

    def _reply(self, state: RunState, gate: Gate) -> Reply:
        assert gate.task is not None
        key = task_key(state, gate.task.key)
        paid = any(line["key"] == key for line in self.lines("effect"))
        self.story.answers.append((time.time(), key, "it was paid" if paid else "it was not paid"))
        if paid:
            return Reply("approve", gate=gate.key, output=dict(gate.task.resolved), by="bench")
        return Reply("not_done", gate=gate.key, by="bench")

    # ------------------------------------------------------------ what came of it

    async def _check(self, run: RemoteRun, status: str, program: Any) -> None:
        state = fold(program, await _patiently(run.events))
        if status != "finished":
            self.story.lost_runs.append(f"{run.run}: {status}: {state.reason}")
            return
        assert state.root is not None
        given = {name: task.output for name, task in state.root.tasks.items()}
        for name, output in right_outputs(self.size.rounds).items():
            if given.get(name) != output:
                self.story.wrong.append(f"{run.run} {name}: {given.get(name)}")
        self.story.found["asked again"] = self.story.found.get("asked again", 0) + state.lost

    def _report(self, histories: list[list[Call]], took: float) -> dict[str, Any]:
        size = self.size
        expected = {name: size.runs * size.rounds * each for name, each in PER_ROUND.items()}
        called, effects, repeated = (Counter[str]() for _ in range(3))
        for name in expected:
            keys = Counter(line["key"] for line in self.lines("call") if line["worker"] == name)
            called[name], repeated[name] = len(keys), sum(keys.values()) - len(keys)
            done = Counter(line["key"] for line in self.lines("effect") if line["worker"] == name)
            effects[name] = len(done)
            self.story.wrong += [self._twice(key) for key, n in done.items() if n > 1]
        for name in ("ship", "pay"):
            if effects[name] != expected[name]:
                self.story.wrong.append(f"{effects[name]} of {expected[name]} {name}")
        for name in ("look", "double"):
            if called[name] > expected[name]:
                self.story.wrong.append(f"{called[name]} of {expected[name]} {name}")
        return {
            "size": asdict(size),
            "took_s": took,
            "load": os.getloadavg()[0],
            "lost": self.story.lost_runs,
            "wrong": self.story.wrong,
            "tasks": expected,
            "effects": dict(effects),
            "repeated": dict(repeated),
            "asked_again": self.story.found.get("asked again", 0),
            "persons": len(self.story.answers),
            "faults": [self._recovery(fault, histories) for fault in self.faults],
        }

    def _twice(self, key: str) -> str:
        """What happened twice, where and when, beside what was done to the machines."""
        first = self.lines()[0]["t"]
        done = [
            (line["t"], f"{line['what']} on {line['host']}")
            for line in self.lines()
            if line["key"] == key
        ]
        did = [(fault.at, fault.name) for fault in self.faults]
        asked = [
            (at, f"a person said {said}") for at, whose, said in self.story.answers if whose == key
        ]
        told = [f"{at - first:.2f} s {words}" for at, words in sorted([*done, *did, *asked])]
        return f"twice: {key}: {'; '.join(told)}"

    def _recovery(self, fault: Fault, histories: list[list[Call]]) -> dict[str, Any]:
        """How long it took until what the fault had interrupted was done.

        A call is interrupted if its host had it when the fault came and its end was not reported
        before the fault was over. The standstill of a run is how long none of its calls ended,
        from the fault on.
        """
        back: list[float] = []
        still: list[float] = []
        for calls in histories:
            ends = sorted(call.ended for call in calls if call.done and call.ended > fault.at)
            if ends and any(call.begun < fault.at for call in calls):
                still.append(ends[0] - fault.at)
            for call in calls:
                mine = fault.host is None or call.host.split("@")[0] == str(fault.host)
                open_then = call.begun < fault.at < call.ended
                if mine and open_then:
                    again = [c.ended for c in calls if c.key == call.key and c.done]
                    back += [min(again) - fault.at] if again else []
        return {
            "name": fault.name,
            "away_s": fault.over - fault.at,
            "interrupted": len(back),
            "median_s": statistics.median(back) if back else 0.0,
            "last_s": max(back, default=0.0),
            "standstill_median_s": statistics.median(still) if still else 0.0,
            "standstill_last_s": max(still, default=0.0),
        }


async def _patiently(what: Any) -> Any:
    while True:
        try:
            return await what()
        except JournalError:
            await asyncio.sleep(0.2)


async def _end(client: Any, run: RemoteRun) -> str:
    """Wait for a run's end, however often the server is away."""
    while True:
        try:
            ending = await client.get_workflow_handle(f"orch-run-{run.run}").result()
            return str(ending.status)
        except RPCError as error:
            if error.status is RPCStatusCode.NOT_FOUND:
                return "not there any more"
            await asyncio.sleep(0.2)
        except Exception as error:
            return f"failed: {error}"


async def _history(client: Any, run: RemoteRun) -> list[Call]:
    """Every delivery of every call of a run."""
    found: dict[int, Call] = {}
    handle = client.get_workflow_handle(f"orch-run-{run.run}")
    async for event in handle.fetch_history_events():
        at = event.event_time.ToNanoseconds() / 1e9
        match event.WhichOneof("attributes"):
            case "activity_task_scheduled_event_attributes":
                name = event.activity_task_scheduled_event_attributes.activity_id
                found[event.event_id] = Call(name.split("+")[0])
            case "activity_task_started_event_attributes":
                started = event.activity_task_started_event_attributes
                found[started.scheduled_event_id].begun = at
                found[started.scheduled_event_id].host = started.identity
            case (
                "activity_task_completed_event_attributes"
                | "activity_task_failed_event_attributes"
                | "activity_task_timed_out_event_attributes"
                | "activity_task_canceled_event_attributes"
            ) as kind:
                call = found[getattr(event, kind).scheduled_event_id]
                call.ended, call.done = at, "completed" in kind
    return [call for call in found.values() if call.begun]


# ---------------------------------------------------------------- outside


def measure(size: Size) -> dict[str, Any]:
    """Build the machines, play, take them down.

    Raises:
        SystemExit: It cannot be done here, or has failed.
    """
    problem = missing()
    if problem is not None:
        raise SystemExit(problem)
    base = ROOT / "bench" / ".work"
    base.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=base) as folder, Network(MACHINES) as network:
        words = json.dumps(["hosts", network.tag, folder, asdict(size)])
        command = [*network.on("client"), sys.executable, "-m", "bench.scale", "--measure", words]
        done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
        if done.returncode != 0:
            for log in sorted(Path(folder).glob("*.log")):
                sys.stderr.write(f"--- {log.name}\n{log.read_text(errors='replace')[-1500:]}\n")
            raise SystemExit("the scenario has failed")
        found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
        return found


def inside(tag: str, folder: str, size: dict[str, Any]) -> dict[str, Any]:
    """The client's part, on its machine."""
    return asyncio.run(Scene(Network(MACHINES, tag), Path(folder), Size(**size)).play())


def main(*, small: bool = False, as_json: bool = False) -> None:
    """Play, and print what came of it."""
    found = measure(SMALL if small else Size())
    if as_json:
        print(json.dumps(found))
        return
    size = Size(**found["size"])
    print(f"\n{size.runs} runs of {size.rounds} rounds in flight on four hosts and a server, each")
    print(
        f"in a network of its own; a call takes {2 * size.pause_s:.1f} s; {found['took_s']:.0f} s\n"
    )
    print(f"  runs lost: {len(found['lost'])}; wrong or twice: {len(found['wrong'])}")
    for line in [*found["lost"], *found["wrong"]]:
        print(f"    {line}")
    for name, count in found["tasks"].items():
        did = f", {found['effects'][name]} effects" if name in ("ship", "pay") else ""
        print(f"  {name}: {count} tasks, {found['repeated'][name]} calls made again{did}")
    print(f"  a person was asked {found['persons']} times whether a payment had been made\n")
    print("fault                                 interrupted  done again: median  last  standstill")
    for fault in found["faults"]:
        print(
            f"{fault['name']:38}{fault['interrupted']:11}{fault['median_s']:18.1f} s"
            f"{fault['last_s']:5.1f} s{fault['standstill_last_s']:9.1f} s"
        )
    if found["lost"] or found["wrong"]:
        raise SystemExit(1)
