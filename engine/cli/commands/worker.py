"""`orch worker`: serve a cluster with what files declare."""

from __future__ import annotations

import asyncio
import logging
import signal
from urllib.parse import quote

import click

from engine.cli.end_report import note
from engine.cli.exit_codes import Exit
from engine.cli.format_values import one_line
from engine.cli.options import pairs
from engine.cli.output import warn
from engine.cli.signals import Loop
from engine.workers.output import reserved_stdout

__all__ = ["command"]


@click.command("worker")
@click.argument("files", metavar="FILE...", nargs=-1, required=True)
@click.option(
    "--address",
    metavar="HOST:PORT",
    envvar="TEMPORAL_ADDRESS",
    show_envvar=True,
    default="127.0.0.1:7233",
    show_default=True,
    help="The Temporal server.",
)
@click.option(
    "--namespace",
    metavar="NAME",
    envvar="TEMPORAL_NAMESPACE",
    show_envvar=True,
    default="default",
    show_default=True,
    help="Its namespace.",
)
@click.option(
    "--queue", metavar="NAME", default="orch", show_default=True, help="The task queue to serve."
)
@click.option(
    "--serve",
    "names",
    metavar="NAME,NAME",
    help="Only these workers, verifiers and models; no runs are driven.",
)
@click.option(
    "--only",
    type=click.Choice(["workflows", "calls"]),
    help="Only drive runs, or only make calls.",
)
@click.option(
    "--model",
    "models",
    multiple=True,
    metavar="NAME=ID",
    callback=pairs,
    help="Replace a declared model, on this host.",
)
@click.option("--blobs", metavar="DIR", help="Keep values over 4 KiB here; hosts share the folder.")
@click.option(
    "--receipts",
    metavar="FILE",
    default=".orch/receipts.db",
    show_default=True,
    help="The record of finished calls, so that none is made twice.",
)
@click.option(
    "--max-concurrent",
    type=click.IntRange(min=1),
    default=32,
    show_default=True,
    metavar="N",
    help="Maximum concurrent calls per worker or model.",
)
@click.option(
    "--drain",
    type=click.FloatRange(min=0),
    default=30.0,
    show_default=True,
    metavar="SECONDS",
    help="How long calls may continue after SIGTERM.",
)
@click.option("-q", "--quiet", is_flag=True, help="Print only errors.")
def command(
    files: tuple[str, ...],
    address: str,
    namespace: str,
    queue: str,
    names: str | None,
    only: str | None,
    models: dict[str, str],
    blobs: str | None,
    receipts: str,
    max_concurrent: int,
    drain: float,
    quiet: bool,
) -> int:
    """Serve runs on a Temporal cluster: drive them, and make the calls that FILEs declare.

    By default it serves everything; with --serve only these names. Runs come from `orch run --on`.
    On SIGTERM or Ctrl-C the host stops taking work, lets running calls finish, and leaves the rest
    to other hosts.

    Exit codes: 0 stopped; 2 a name that no file declares; 3 a file has errors, or the server
    cannot be reached.
    """
    if names is not None and only == "workflows":
        raise click.UsageError("--serve names calls, and --only workflows serves none.")
    # temporalio costs 450 ms to import.
    from engine.distributed.address import parse_address
    from engine.distributed.host import Serving, serve

    place = parse_address(f"temporal://{address}/{quote(namespace)}?queue={quote(queue)}")
    if blobs is not None:
        place = parse_address(
            f"temporal://{address}/{quote(namespace)}?queue={quote(queue)}&blobs={quote(blobs)}"
        )
    serving = Serving(
        files=files,
        names=None if names is None else tuple(filter(None, names.split(","))),
        workflows=names is None and only != "calls",
        calls=only != "workflows",
        models=models,
        receipts=receipts,
        max_concurrent=max_concurrent,
        drain_s=drain,
    )

    async def work() -> None:
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, stop.set)

        def ready(served: list[str], lacking: list[str]) -> None:
            if not quiet:
                note(f"serving {', '.join(served)} for {address}, queue `{queue}`")
            for name in lacking:
                warn(f"secret {name} is not set here: this host refuses calls that use it")

        await serve(place, serving, stop, ready)
        if not quiet:
            note("stopped")

    _tell_problems()
    # A call that hangs in a thread is given up with the process.
    with reserved_stdout(), asyncio.Runner(loop_factory=Loop) as runner:
        runner.run(work())
    return Exit.OK


class _Lines(logging.Handler):
    """What the SDK has to complain about, a line each."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write one line to standard error."""
        words = record.getMessage()
        if record.exc_info and record.exc_info[1] is not None:
            words += f": {record.exc_info[1]}"
        note(f"temporal: {one_line(words, 400)}")


def _tell_problems() -> None:
    log = logging.getLogger("temporalio")
    log.addHandler(_Lines(logging.ERROR))
    log.propagate = False
