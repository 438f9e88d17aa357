"""The workflow as a whole, run by the engine on environments made by hand: both orchestrators."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

import engine

FILE = Path(__file__).parent.parent / "dependency_audit.orch"
BOTH = pytest.mark.parametrize("orchestrator", ["dependency_audit", "planned_audit"])


def audit(orchestrator: str, **given: Any) -> engine.Run:
    return engine.load(str(FILE)).run(orchestrator, **given)


def orch(*arguments: str, code: int = 0) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "orch", *arguments], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == code, done.stderr
    return done.stdout


@BOTH
def test_the_report_on_an_environment_is_that_of_the_tools(troubled, tools, orchestrator):
    run = audit(orchestrator, environment=str(troubled))
    assert run.status == "finished", run.reason
    assert run.output == tools.report(troubled)
    assert run.rounds == 2
    assert run.failures == ()


@BOTH
def test_the_packages_that_most_others_need_are_compared_by_content(fake, orchestrator):
    fake.install("needed", "License: MIT", "Requires-Python: >=3.8")
    fake.install("user", "License: MIT", "Requires-Python: >=3.8", "Requires-Dist: needed")
    for name in ("needed", "user"):
        text = (fake.site / f"{name}.py").read_text()
        (fake.site / f"{name}.py").write_text(text.replace("NAME", "MANE"))
    run = audit(orchestrator, environment=str(fake), hashed=1)
    assert run.status == "finished", run.reason
    assert [(c["package"], c["check"]) for c in run.output["claims"]] == [
        ("needed", "file_changed")
    ]


@BOTH
def test_a_package_that_cannot_be_read_is_named(fake, orchestrator):
    for number in range(10):
        fake.install(f"p{number}", "License: MIT", "Requires-Python: >=3.8")
    (fake.site / "p3-1.0.dist-info" / "METADATA").write_bytes(b"Name: p3\nAuthor: \xff\n")
    (fake.site / "p5-1.0.dist-info" / "RECORD").write_bytes(b"\xff,,\n")
    run = audit(orchestrator, environment=str(fake))
    assert run.status == "finished", run.reason
    assert run.output["not_audited"] == [
        "p3-1.0 (unreadable: `p3-1.0.dist-info/METADATA` is not UTF-8.)",
        "p5-1.0 (unreadable: `p5-1.0.dist-info/RECORD` is not UTF-8.)",
    ]
    assert len(run.output["audited"]) == 8


@BOTH
def test_an_environment_without_packages(fake, orchestrator):
    run = audit(orchestrator, environment=str(fake))
    assert run.status == "finished", run.reason
    assert run.output["summary"] == "Audited 0 installed packages: no claims."


@BOTH
def test_a_folder_without_packages_is_aborted_with_the_reason(tmp_path, orchestrator):
    run = audit(orchestrator, environment=str(tmp_path / "absent"))
    assert run.status == "aborted"
    assert "There are no installed packages in" in run.reason


def test_this_environment_is_audited_by_default():
    run = audit("planned_audit")
    assert run.status == "finished", run.reason
    assert run.output["installed"] > 20
    assert len(run.output["audited"]) == run.output["installed"]


def test_a_planted_claim_is_refused_and_dropped(troubled, tools):
    """What a model claims in the planner's place is held to the metadata."""
    report = tools.report(troubled)
    true = report["claims"]
    false = true[0] | {"package": "fine", "file": "fine-1.0.dist-info/METADATA", "line": 1}
    replies: list[Any] = [
        {"assessment": "", "finish": report | {"claims": [*true, false]}},
        {"assessment": "", "finish": report | {"claims": true}},
    ]
    run = audit(
        "dependency_audit", environment=str(troubled), models={"planner": engine.Scripted(replies)}
    )
    assert run.status == "finished", run.reason
    assert run.rounds == 2
    assert run.output["claims"] == true


# ---------------------------------------------------------------- resumed by item


def broken(fake: Any) -> None:
    """More packages are broken than a step tolerates."""
    for number in range(10):
        fake.install(f"p{number}", "License: MIT", "Requires-Python: >=3.8")
    for number in (3, 7):
        (fake.site / f"p{number}-1.0.dist-info" / "METADATA").write_bytes(b"\xff\n")


@BOTH
def test_after_a_repair_only_what_failed_is_audited_again(fake, tmp_path, orchestrator):
    broken(fake)
    journal = ("--journal", str(tmp_path / "journal"))
    orch("run", str(FILE), orchestrator, "-i", f"environment={fake}", *journal, code=6)
    for number in (3, 7):
        text = f"Name: p{number}\nLicense: MIT\nRequires-Python: >=3.8\n"
        (fake.site / f"p{number}-1.0.dist-info" / "METADATA").write_text(text)
    report = json.loads(orch("resume", "last", "--retry-failed", *journal))
    assert report["audited"] == [f"p{number}-1.0" for number in range(10)]
    assert report["not_audited"] == []
    started = [
        line
        for line in orch("show", "last", "--events", *journal).splitlines()
        if "the start of" in line and "audits[" in line
    ]
    for number in range(10):
        count = sum(f"audits[{number}]" in line for line in started)
        assert count == (2 if number in (3, 7) else 1), (number, started)


def test_a_run_that_is_killed_continues_by_package(fake, tmp_path):
    """Killed when the first audits are told; what has ended then is not done again."""
    for number in range(120):
        fake.install(f"p{number:03}", "License: MIT", "Requires-Python: >=3.8")
    journal = ("--journal", str(tmp_path / "journal"))
    command = [
        sys.executable,
        "-m",
        "orch",
        "run",
        str(FILE),
        "dependency_audit",
        "-i",
        f"environment={fake}",
    ]
    with subprocess.Popen(
        [*command, *journal], stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True
    ) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if "audits audit_metadata" in line and "ended" in line:
                process.send_signal(signal.SIGKILL)
                break
    events = orch("show", "last", "--events", *journal)
    ended = set(re.findall(r"the result of .* / task (audits\[\d+\])", events))
    assert 0 < len(ended) < 120
    report = json.loads(orch("resume", "last", *journal))
    assert report["audited"] == [f"p{number:03}-1.0" for number in range(120)]
    started = Counter(
        re.findall(
            r"the start of .* / task (audits\[\d+\])", orch("show", "last", "--events", *journal)
        )
    )
    assert len(started) == 120
    assert {started[name] for name in ended} == {1}


def test_the_file_lints_and_its_tests_pass():
    assert "no problems found" in orch("lint", str(FILE))
    assert "2 passed" in orch("test", str(FILE))


@BOTH
def test_a_run_stays_within_its_bound(troubled, orchestrator):
    (checked,) = json.loads(orch("lint", str(FILE), "--bounds", "--format", "json"))
    run = audit(orchestrator, environment=str(troubled))
    (bound,) = [one for one in checked["orchestrators"] if one["name"] == orchestrator]
    assert run.report()["dispatches"] <= bound["total"]["tasks"]
