"""What the README shows is true: its program checks, its commands and its links exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from engine.graph import collect
from engine.graph.svg import to_svg
from engine.linter import lint
from engine.sema.check import check_file

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_program_in_the_readme_has_no_errors(tmp_path):
    (program,) = re.findall(r"```orch\n(.*?)```", README, re.S)
    path = tmp_path / "readme.orch"
    path.write_text(program, encoding="utf-8")

    assert [str(d) for d in lint(str(path)) if d.severity == "error"] == []
    assert len([line for line in program.splitlines() if line.strip()]) <= 18


@pytest.mark.parametrize("target", re.findall(r"\]\(([^):#]+)\)", README))
def test_links_lead_somewhere(target):
    assert (ROOT / target).exists()


@pytest.mark.parametrize("target", re.findall(r"^    make ([a-z-]+)$", README, re.M))
def test_make_targets_exist(target):
    assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(encoding="utf-8"), re.M)


def test_the_picture_is_that_of_the_workflow():
    """After a change: orch graph FILE --format svg -o docs/images/repo_review.svg."""
    program = check_file(str(ROOT / "workflows" / "repo_review" / "repo_review.orch")).program
    assert program is not None

    picture = (ROOT / "docs" / "images" / "repo_review.svg").read_text(encoding="utf-8")
    assert picture == to_svg(collect(program), f"The workflow {program.entry}")
