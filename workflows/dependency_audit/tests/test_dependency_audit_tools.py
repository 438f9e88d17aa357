"""What each tool claims of packages made by hand, and what the verifier says of reports."""

from __future__ import annotations

import os
import re
from typing import Any

import pytest

from engine.errors import Failure

TROUBLES = {
    ("future", "python_excluded", "Requires-Python: >=3.12"),
    ("grown", "file_changed", "grown.py,sha256=..."),
    ("here", "script_shared", "run-it = here:main"),
    ("lost", "file_missing", "lost.py,sha256=..."),
    ("needy", "requirement_missing", "Requires-Dist: absent>=2"),
    ("needy", "requirement_unmet", "Requires-Dist: old>=2,<3"),
    ("no-license", "no_license", None),
    ("silent", "no_requires_python", None),
    ("there", "script_shared", "run-it = there:main"),
    ("twice", "duplicate", "Name: twice"),
    ("unclear", "unclear_license", "License: UNKNOWN"),
    ("unrecorded", "no_record", None),
}


def told(report: dict[str, Any]) -> set[tuple[str, str, str | None]]:
    """Each claim by package, check and quoted line; hashes left out."""
    return {
        (
            claim["package"],
            claim["check"],
            claim["evidence"] and re.sub(r"sha256=.*", "sha256=...", claim["evidence"]),
        )
        for claim in report["claims"]
    }


def test_each_trouble_is_one_claim(troubled, tools):
    report = tools.report(troubled)
    assert told(report) == TROUBLES
    assert len(report["claims"]) == len(TROUBLES) + 1  # both folders of `twice`
    assert report["installed"] == len(report["audited"]) == 14
    order = ["high", "medium", "low"]
    ranks = [order.index(claim["severity"]) for claim in report["claims"]]
    assert ranks == sorted(ranks)


def test_a_claim_quotes_the_line_it_names(troubled, tools):
    for claim in tools.report(troubled)["claims"]:
        if claim["line"] is not None:
            lines = (troubled.site / claim["file"]).read_text().split("\n")
            assert lines[claim["line"] - 1] == claim["evidence"]


def test_a_field_after_a_licence_with_paragraphs_counts(fake, tools):
    fake.install("lengthy", "License: MIT", "        ", "        Text.", "Requires-Python: >=3.8")
    assert tools.report(fake)["claims"] == []


def test_contents_are_compared_on_request(fake, tools):
    folder = fake.install("swapped", "License: MIT").name
    (fake.site / "swapped.py").write_text("NAME = 'SWAPPED'\n")
    of_package = {"site": str(fake.site), "folder": folder, "name": "swapped", "version": "1.0"}
    assert tools.audit_files(**of_package)["claims"] == []
    (claim,) = tools.audit_files(**of_package, hashes=True)["claims"]
    assert claim["claim"] == ("`swapped.py` has another content: its sha256 is not that of RECORD.")


def test_only_metadata_of_the_environment_is_read(fake, tools):
    fake.install("fine")
    (fake.root / "secret.dist-info").mkdir()
    (fake.root / "secret.dist-info" / "METADATA").write_text("Name: secret\n")
    for folder in ("../../../secret.dist-info", "/etc", "..", "fine.py"):
        with pytest.raises(Failure) as failed:
            tools.audit_metadata(str(fake.site), folder, "x", "1", "3.11")
        assert failed.value.mode == "unreadable"


def test_what_is_not_a_regular_file_is_not_opened(fake, tools):
    folder = fake.install("odd", record=False)
    os.mkfifo(fake.site / "pipe")
    (folder / "RECORD").write_text("pipe,sha256=abc,\n")
    of_package = {"folder": folder.name, "name": "odd", "version": "1.0"}
    (claim,) = tools.audit_files(str(fake.site), **of_package, hashes=True)["claims"]
    assert claim["check"] == "file_changed"


def test_the_running_environment_is_the_default(tools):
    names = {one["name"] for one in tools.environment()["distributions"]}
    assert {"packaging", "pytest"} <= names


def test_a_folder_without_packages_is_refused(tmp_path, tools):
    with pytest.raises(Failure) as failed:
        tools.environment(str(tmp_path))
    assert failed.value.mode == "no_environment"


# ---------------------------------------------------------------- the verifier


def verdict(tools: Any, report: dict[str, Any], environment: Any) -> dict[str, Any]:
    return dict(tools.claims_proved(report, f"Audit the Python environment `{environment}`."))


def test_the_verifier_proves_each_claim(troubled, tools):
    assert verdict(tools, tools.report(troubled), troubled) == {"ok": True, "feedback": ""}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"line": 1}, "line 1 reads `Metadata-Version: 2.4`, not `Requires-Dist: old>=1`."),
        ({"line": 99}, "has 10 lines, and the claim names line 99."),
        ({"evidence": "Requires-Dist: gone"}, "line 6 reads `Requires-Dist: old>=1`"),
        ({"file": "gone-1.0.dist-info/METADATA"}, "is not the metadata of fine 1.0."),
        ({"version": "9"}, "is not the metadata of fine 9."),
        ({"file": "fine-1.0.dist-info/../../x"}, "is not a file of a `.dist-info` folder."),
        ({}, "`old` 1.0 meets it."),
        ({"check": "requirement_missing"}, "`old` is installed, as 1.0."),
        ({"check": "unclear_license"}, "the metadata says `MIT`."),
        ({"check": "python_excluded"}, "line 6 is not `Requires-Python`."),
        ({"check": "duplicate"}, "it is installed once."),
        ({"check": "file_missing"}, "RECORD lists no file there."),
        ({"check": "script_shared"}, "no other package has a script"),
        ({"check": "no_license"}, "a claim about what is absent has no line."),
        ({"check": "no_license", "line": None}, "the metadata says `MIT`."),
        ({"check": "no_requires_python", "line": None}, "the metadata says `>=3.8`."),
        (
            {"check": "no_record", "line": None, "file": "fine-1.0.dist-info/RECORD"},
            "there is a RECORD.",
        ),
    ],
)
def test_the_verifier_refuses_a_claim_that_is_not_true(troubled, tools, change, said):
    planted = {
        "package": "fine",
        "version": "1.0",
        "check": "requirement_unmet",
        "field": "Requires-Dist",
        "file": "fine-1.0.dist-info/METADATA",
        "line": 6,
        "evidence": "Requires-Dist: old>=1",
        "claim": "It requires `old>=1`, and 0.9 is installed.",
        "severity": "high",
    }
    report = tools.report(troubled)
    report["claims"].insert(3, planted | change)
    found = verdict(tools, report, troubled)
    assert found["ok"] is False
    (line,) = found["feedback"].splitlines()
    assert line.startswith("Claim 4 on fine: ")
    assert said in line


def test_the_verifier_refuses_a_report_on_another_environment(troubled, new_environment, tools):
    other = new_environment("other")
    other.install("fine")
    found = verdict(tools, tools.report(troubled), other)
    assert found["ok"] is False
    assert "not on" in found["feedback"]
