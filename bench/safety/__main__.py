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
from pathlib import Path
from typing import Any

from bench.safety import cpu, report
from bench.safety.declared import SUITES
from bench.safety.dialect import bare, earlier

ROOT = Path(__file__).resolve().parents[2]
WORK = ROOT / "bench" / ".work" / "safety"
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


def _with(build: Path) -> dict[str, str]:
    """An environment in which a build is imported, and this folder as its benchmark."""
    overlay = WORK / "overlay"
    if build != ROOT:
        shutil.rmtree(overlay, ignore_errors=True)
        (overlay / "bench").mkdir(parents=True)
        shutil.copy(ROOT / "bench" / "__init__.py", overlay / "bench")
        shutil.copytree(Path(__file__).parent, overlay / "bench" / "safety")
    paths = [str(build)] if build == ROOT else [str(overlay), str(build)]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}


def play(
    python: Path, build: Path, suite: str, text: str, parts: list[str]
) -> list[dict[str, Any]]:
    """The rows of one suite with one program by one build."""
    folder = WORK / "programs"
    folder.mkdir(exist_ok=True)
    program = folder / f"{suite}.orch"
    program.write_text(text)
    command = [str(python), "-m", "bench.safety.measure", suite, str(program)]
    command += parts
    done = subprocess.run(
        command, cwd=folder, env=_with(build), capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise SystemExit(f"{' '.join(command)} failed:\n{done.stderr[-3000:]}")
    return [json.loads(line) for line in done.stdout.splitlines()]


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
    measured: report.Measured = {}
    for suite in arguments.suite or ["workspace", "banking"]:
        text = program_text(python, suite, generated=arguments.generated)
        for build in arguments.build or BUILDS:
            made, is_earlier = BUILDS[build]
            root = checkout(arguments.against) if is_earlier else ROOT
            every = arguments.every if build == "now" else max(arguments.every, arguments.sample)
            parts = [*arguments.parts, "--every", str(every)]
            measured[build, suite] = play(python, root, suite, made(text), parts)
            print(f"\n{suite}, {report.BUILDS[build]}", flush=True)
            print(report.words(measured[build, suite]), flush=True)
    print(f"\n{report.honest(measured)}\n\n{report.attacks(measured)}")
    if arguments.docs:
        report.write(measured)


if __name__ == "__main__":
    main()
