"""Runs on a real Temporal server with 1, 2 and 4 `orch worker` processes: the runs of `embedded`.

Every run makes 26 calls: six decisions and five rounds of four tasks, each task with one kilobyte
of result that hardly compresses. Models and workers answer at once, so what is measured is the
server (`temporal server start-dev`, its SQLite database on disk), the SDK and the engine. Server
and hosts share this machine, so CPU time says more than throughput.
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
from pathlib import Path
from typing import Any

from temporalio.service import RPCError

from bench.scale import cluster as clusters
from engine.distributed.address import parse_address

ROOT = Path(__file__).resolve().parents[2]
ROUNDS, WIDTH = 5, 4
RESULT_CHARS = 1_000


def plans(rounds: int, width: int, size: int) -> list[dict[str, Any]]:
    """What the planner says: so many rounds of so many tasks, then the end."""
    said: list[dict[str, Any]] = [
        {
            "assessment": "go on",
            "tasks": [
                {
                    "id": f"t{number}_{index}",
                    "worker": "work",
                    "input": {"question": f"question {number} {index}", "size": size},
                }
                for index in range(width)
            ],
        }
        for number in range(rounds)
    ]
    return [*said, {"assessment": "done", "finish": {"text": "done"}}]


def measure(
    runs: int,
    hosts: int,
    blobs: bool = False,
    rounds: int = ROUNDS,
    width: int = WIDTH,
    size: int = RESULT_CHARS,
) -> dict[str, float]:
    """So many runs at once, served by so many processes.

    Args:
        blobs: Whether values over 4 KiB are kept by reference.
        rounds: How many rounds of `width` tasks each run has.
        size: Of each task's result, in characters.
    """
    base = ROOT / "bench" / ".work"
    base.mkdir(exist_ok=True)
    calls = rounds + 1 + rounds * width
    with tempfile.TemporaryDirectory(dir=base) as name, clusters.Cluster(Path(name)) as cluster:
        folder = Path(name)
        script = folder / "plan.json"
        script.write_text(json.dumps(plans(rounds, width, size)))
        models = {"planner": f"scripted/{script}"}
        arguments = [str(clusters.PROGRAMS / "cluster.orch"), "--model"]
        arguments += [f"planner=scripted/{script}"]
        store = {"blobs": str(folder / "blobs")} if blobs else {}
        if blobs:
            arguments += ["--blobs", store["blobs"]]
        clusters.until_up(cluster)
        clusters.until_serving(*(cluster.host(*arguments) for _ in range(hosts)))
        program = clusters.load(clusters.PROGRAMS / "cluster.orch", rounds=rounds + 1, width=width)
        address = parse_address(cluster.url(**store))
        try:
            return asyncio.run(_measured(cluster, address, program, models, runs, calls))
        except RPCError as error:
            ended = cluster.server.popen.poll()
            raise SystemExit(f"{error}; the server ({ended}): {cluster.server.said()}") from None


async def _measured(
    cluster: clusters.Cluster,
    address: Any,
    program: Any,
    models: dict[str, str],
    runs: int,
    calls: int,
) -> dict[str, float]:
    client = await clusters.client_of(cluster, address)

    async def one(number: int) -> tuple[float, Any]:
        began = time.perf_counter()
        run = await clusters.start(client, address, program, models, topic=f"topic {number}")
        handle = client.get_workflow_handle(f"orch-run-{run.run}")
        ending = await handle.result()
        took = time.perf_counter() - began
        assert ending.status == "finished", ending
        return took, handle

    if calls < 1_000:  # what is loaded once
        await asyncio.gather(*(one(-1 - n) for n in range(2 * len(cluster.hosts))))
    wall = time.perf_counter()
    server_s = cluster.server.cpu_s()
    hosts_s = sum(host.cpu_s() for host in cluster.hosts)
    size = clusters.database_bytes(cluster)
    done = await asyncio.gather(*(one(number) for number in range(runs)))
    wall = time.perf_counter() - wall
    each = runs * calls
    found = {
        "wall_s": wall,
        "calls_s": each / wall,
        "server_ms": (cluster.server.cpu_s() - server_s) / each * 1000,
        "hosts_ms": (sum(host.cpu_s() for host in cluster.hosts) - hosts_s) / each * 1000,
        "database_b": (clusters.database_bytes(cluster) - size) / each,
        "server_mib": cluster.server.resident_mib(),
        "host_mib": max(host.resident_mib() for host in cluster.hosts),
        "load": os.getloadavg()[0],
    }
    took = sorted(seconds for seconds, _ in done)
    found["p50_s"] = took[len(took) // 2]
    found["p99_s"] = took[int(len(took) * 0.99)]
    events, history, executions = await _history(client, [handle for _, handle in done[:20]])
    found["events"] = events / calls
    found["history_b"] = history / calls
    found["executions"] = executions
    return found


async def _history(client: Any, handles: list[Any]) -> tuple[float, float, float]:
    """Events and bytes of history a run, and in how many executions."""
    events = size = executions = 0
    for handle in handles:
        async for execution in client.list_workflows(f"WorkflowId = '{handle.id}'"):
            described = await client.get_workflow_handle(
                handle.id, run_id=execution.run_id
            ).describe()
            info = described.raw_description.workflow_execution_info
            events += info.history_length
            size += info.history_size_bytes
            executions += 1
    return events / len(handles), size / len(handles), executions / len(handles)


def _apart(*arguments: object) -> dict[str, float]:
    command = [sys.executable, "-m", "bench.scale", "--measure"]
    command += [json.dumps(["temporal", *arguments])]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise SystemExit(f"{arguments} failed:\n{done.stderr[-3000:]}")
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


_HEAD = ("hosts", "runs", "", "calls/s", "p50", "p99", "server", "hosts", "history", "database")
_WIDTHS = (6, 7, 8, 9, 9, 9, 10, 10, 10, 10)


def main(repeat: int = 3, most: int = 1_000) -> None:
    """Measure, and print a table."""
    print(f"\nRuns at once on Temporal, {ROUNDS + 1 + ROUNDS * WIDTH} calls each")
    print(f"(medians of {repeat}; one of 1,000 runs; CPU and bytes are for a call)\n")
    print("".join(name.rjust(width) for name, width in zip(_HEAD, _WIDTHS, strict=True)))
    for runs, hosts, blobs in (
        (1, 1, False),
        (1, 1, True),
        (100, 1, False),
        (100, 2, False),
        (100, 4, False),
        (100, 2, True),
        (1_000, 4, False),
    ):
        if runs > most:
            continue
        times = repeat if runs <= 100 else 1
        rows = [_apart(runs, hosts, blobs) for _ in range(times)]
        row = {key: statistics.median(r[key] for r in rows) for key in rows[0]}
        cells = (
            str(hosts),
            f"{runs:,}",
            "blobs" if blobs else "",
            f"{row['calls_s']:,.0f}",
            f"{row['p50_s']:,.1f} s",
            f"{row['p99_s']:,.1f} s",
            f"{row['server_ms']:.1f} ms",
            f"{row['hosts_ms']:.1f} ms",
            f"{row['history_b']:,.0f}",
            f"{row['database_b']:,.0f}",
        )
        print("".join(c.rjust(w) for c, w in zip(cells, _WIDTHS, strict=True)), flush=True)
        print(f"{'':6}{json.dumps(row)}", file=sys.stderr, flush=True)


def long(rounds: int = 20, width: int = 1_000) -> None:
    """One run of many calls, which has to continue as new."""
    row = _apart(1, 2, True, rounds, width, 50)
    calls = rounds + 1 + rounds * width
    print(f"\nOne run of {calls:,} calls ({rounds} rounds of {width:,} tasks), two hosts, blobs\n")
    print(
        f"  {row['wall_s']:,.0f} s, {row['calls_s']:,.0f} calls/s; CPU for a call: server "
        f"{row['server_ms']:.1f} ms, hosts {row['hosts_ms']:.1f} ms"
    )
    print(
        f"  {row['executions']:.0f} executions, {row['events'] * calls:,.0f} events and "
        f"{row['history_b'] * calls / 1e6:.1f} MB of history; a host held {row['host_mib']:.0f} MiB"
    )
