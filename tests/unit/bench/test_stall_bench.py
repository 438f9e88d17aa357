"""Recorded runs become rounds, and shares of alarms are those that can be counted by hand."""

from __future__ import annotations

import json
import sys

import pytest

from bench.stall import __main__ as command
from bench.stall import figures
from bench.stall.figures import Point
from bench.stall.recorded import load


def ledger(*, progress=True, loop=False):
    said = {"is_progress_being_made": {"answer": progress}, "is_in_loop": {"answer": loop}}
    return {"role": "Orchestrator (thought)", "content": f"Updated Ledger:\n{json.dumps(said)}"}


def recorded(folder, number, *, step=6, rounds=3):
    history = [{"role": "human", "content": "Where is the museum?"}, ledger()]
    for place in range(rounds):
        history += [
            {"role": "Orchestrator (-> WebSurfer)", "content": f"Look at page {place}"},
            {"role": "Orchestrator (thought)", "content": "Next speaker WebSurfer"},
            {"role": "WebSurfer", "content": f"Page {place}"},
            ledger(progress=place < 1),
        ]
    history.append({"role": "Orchestrator (-> FileSurfer)", "content": "Open the file"})
    text = {"question": "Where is the museum?", "mistake_step": str(step), "history": history}
    (folder / f"{number}.json").write_text(json.dumps(text))


def test_an_instruction_and_its_answer_are_a_round(tmp_path):
    recorded(tmp_path, 2, step=8)
    (run,) = load(tmp_path, "all")
    assert run.goal == "Where is the museum?"
    assert [(one.number, one.agent, one.answer, one.late) for one in run.rounds] == [
        (1, "WebSurfer", "Page 0", False),
        (2, "WebSurfer", "Page 1", True),
        (3, "WebSurfer", "Page 2", True),
        (4, "FileSurfer", None, True),
    ]
    assert run.ledgers == [(False, False), (False, False), (True, True), (True, True)]


def test_files_of_the_other_parity_are_not_opened(tmp_path):
    recorded(tmp_path, 2)
    (tmp_path / "3.json").write_text("not JSON")
    assert [run.name for run in load(tmp_path, "even")] == ["2"]
    with pytest.raises(ValueError, match="Expecting value"):
        load(tmp_path, "odd")


POINTS = [
    Point("a", 1, late=False, score=0.1),
    Point("a", 2, late=False, score=0.6),
    Point("a", 3, late=True, score=0.7),
    Point("b", 1, late=False, score=0.2),
    Point("b", 2, late=True, score=0.9),
    Point("b", 3, late=True, score=0.3),
]


def test_shares_areas_and_chance():
    said = figures.shares(POINTS, lambda point: point.score > 0.5)
    assert said == pytest.approx((1 / 3, 2 / 3, 1 / 2))
    assert figures.area(POINTS) == pytest.approx(8 / 9)
    assert figures.threshold_for(POINTS, 0.4) == 0.2
    assert figures.at(POINTS, 0.4).after == 1
    timed = figures.timed(POINTS, lambda point: point.score > 0.5)
    assert timed == pytest.approx((1 / 3, 2 / 3, 1 / 2))
    low, high = figures.interval(POINTS, figures.area)
    assert 0 <= low <= 8 / 9 <= high <= 1


def test_so_many_rounds_in_a_row():
    assert [point.score for point in figures.in_a_row(POINTS, 0.5, 1)] == [0, 1, 1, 0, 1, 0]
    assert [point.score for point in figures.in_a_row(POINTS, 0.5, 2)] == [0, 0, 1, 0, 0, 0]
    across = [POINTS[2], POINTS[4]._replace(number=1)]  # two runs are not in a row
    assert [point.score for point in figures.in_a_row(across, 0.5, 2)] == [0, 0]


def test_the_command_says_what_it_measured(tmp_path, capsys, monkeypatch):
    for number in (2, 4):
        recorded(tmp_path, number)
    monkeypatch.setattr(sys, "argv", ["bench.stall", "--data", str(tmp_path)])
    command.main()
    said = capsys.readouterr().out
    assert said.startswith("2 runs, 8 rounds, 2 of them before the labelled step.")
    assert "| stall detection |" in said
    assert "the runs' own ledgers" in said
