"""`python -m bench.safety`: plays suites of AgentDojo with this build and with an earlier one.

The first run makes an environment in `bench/.work/safety` with the package, which is not needed for
anything else, and puts the earlier build there. `--suite slack` plays a suite whose program is
written from the declarations alone; `--generated` plays the others so, too.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import venv
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from bench.safety import cpu, report
from bench.safety.declared import SUITES
from bench.safety.dialect import bare, earlier

ROOT = Path(__file__).resolve().parents[2]
WORK = ROOT / "bench" / ".work" / "safety"
OVERLAY = WORK / "overlay"
PACKAGE = "agentdojo==0.1.35"
EARLIER = "f90d422"

#: What a program is made into, and whether the earlier build plays it.
BUILDS: dict[str, tuple[Callable[[str], str], bool]] = {
    "now": (lambda text: text, False),
    "bare": (bare, False),
    "taint": (lambda text: earlier(text, asked=False), True),
    "person": (lambda text: earlier(text, asked=True), True),
}


def environment() -> Path:
    """The Python of an environment with the package and with what orch needs."""
    python = WORK / "venv" / ("Scripts" if os.name == "nt" else "bin") / "python"
    marker = WORK / "venv" / f".{PACKAGE}"
    if not marker.exists():
        print(f"Installing {PACKAGE} (once)", flush=True)
        venv.create(WORK / "venv", with_pip=True, clear=True)
        install = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*install, PACKAGE, "--editable", str(ROOT)], check=True)
        marker.touch()
    return python


def checkout(given: Path | None) -> Path:
    """The earlier build: a folder that is given, or what git has."""
    if given is not None:
        return given.resolve()
    folder = WORK / EARLIER
    if not folder.exists():
        folder.mkdir(parents=True)
        archive = subprocess.run(
            ["git", "-C", str(ROOT), "archive", EARLIER], capture_output=True, check=True
        )
        subprocess.run(["tar", "-x", "-C", str(folder)], input=archive.stdout, check=True)
    return folder


def program_text(python: Path, suite: str, *, generated: bool) -> str:
    """The program of a suite: completed by hand, or written from the declarations."""
    by_hand = Path(__file__).with_name(f"{suite}.orch")
    if by_hand.exists() and not generated:
        return by_hand.read_text()
    command = [str(python), "-m", "bench.safety.program", suite]
    return subprocess.run(
        command, cwd=ROOT, env=_with(ROOT), capture_output=True, text=True, check=True
    ).stdout


def overlay() -> None:
    """Put this folder where an earlier build finds it as its own benchmark."""
    shutil.rmtree(OVERLAY, ignore_errors=True)
    (OVERLAY / "bench").mkdir(parents=True)
    shutil.copy(ROOT / "bench" / "__init__.py", OVERLAY / "bench")
    shutil.copytree(Path(__file__).parent, OVERLAY / "bench" / "safety")


def _with(build: Path) -> dict[str, str]:
    """An environment in which a build is imported."""
    paths = [str(build)] if build == ROOT else [str(OVERLAY), str(build)]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}


def play(
    python: Path, root: Path, job: tuple[str, str], text: str, parts: list[str]
) -> list[dict[str, Any]]:
    """The rows of one suite with one program by the build in `root`."""
    build, suite = job
    folder = WORK / "programs" / build
    folder.mkdir(parents=True, exist_ok=True)
    program = folder / f"{suite}.orch"
    program.write_text(text)
    command = [str(python), "-m", "bench.safety.measure", suite, str(program), *parts]
    done = subprocess.run(
        command, cwd=folder, env=_with(root), capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise SystemExit(f"{' '.join(command)} failed:\n{done.stderr[-3000:]}")
    rows = done.stdout.splitlines()
    program.with_suffix(".jsonl").write_text("\n".join(rows))
    return [json.loads(row) for row in rows]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.safety", description=__doc__)
    parser.add_argument("--suite", action="append", choices=list(SUITES), help="which suites")
    parser.add_argument("--build", action="append", choices=list(BUILDS), help="which builds")
    parser.add_argument("--against", type=Path, help=f"a checkout of {EARLIER}")
    parser.add_argument("--parts", nargs="+", default=["honest", "attacks"])
    parser.add_argument("--every", type=int, default=1, help="only each so many attacks")
    parser.add_argument("--sample", type=int, default=7, help="the same, for the other builds")
    parser.add_argument("--generated", action="store_true", help="no program completed by hand")
    parser.add_argument("--cpu", type=int, metavar="PAIRS", help="CPU of a dispatch instead")
    parser.add_argument("--docs", action="store_true", help="write the tables anew")
    arguments = parser.parse_args()
    WORK.mkdir(parents=True, exist_ok=True)
    python = environment()
    if arguments.cpu:
        found = cpu.rows(python, ROOT, checkout(arguments.against), arguments.cpu)
        print(found)
        if arguments.docs:
            report.write_cpu(found)
        return
    suites = arguments.suite or ["workspace", "banking"]
    texts = {one: program_text(python, one, generated=arguments.generated) for one in suites}
    overlay()
    jobs = [(build, suite) for build in arguments.build or BUILDS for suite in suites]

    def one(job: tuple[str, str]) -> list[dict[str, Any]]:
        build, suite = job
        made, is_earlier = BUILDS[build]
        root = checkout(arguments.against) if is_earlier else ROOT
        every = arguments.every if build == "now" else max(arguments.every, arguments.sample)
        parts = [*arguments.parts, "--every", str(every)]
        return play(python, root, job, made(texts[suite]), parts)

    with ThreadPoolExecutor(2) as pool:
        found = zip(jobs, pool.map(one, jobs), strict=True)
        measured: report.Measured = {}
        for (build, suite), rows in found:
            measured[build, suite] = rows
            print(f"\n{suite}, {report.BUILDS[build]}\n{report.words(rows)}", flush=True)
    print(f"\n{report.honest(measured)}\n\n{report.attacks(measured)}")
    if arguments.docs:
        report.write(measured)


if __name__ == "__main__":
    main()
