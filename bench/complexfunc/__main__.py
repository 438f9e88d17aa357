"""`python -m bench.complexfunc`: downloads the data, plays every goal in every mode, reports.

Ends with 1 if anything differs from the record, or if the engine and an independent validator
disagree about a call.
"""

from __future__ import annotations

import argparse
import asyncio
import time
from pathlib import Path

from jsonschema import Draft202012Validator

import engine
from bench.complexfunc import data, program
from bench.complexfunc.play import Played, play, violations
from bench.complexfunc.replay import MODES, Mode
from bench.plot import Bars, page
from bench.report import DOCS, put, table

WORK = Path(__file__).resolve().parents[1] / ".work" / "complexfunc"

MODE_WORDS = {
    "rounds": "in rounds, a call each",
    "references": "in one round, with references",
    "stream": "in one round, as a token stream",
    "plans": "in one round, as a plan",
}

#: Decisions in `rounds` take a round each, and one finishes.
MOST_CALLS = 16


def load(path: Path, mode: Mode) -> engine.Workflow:
    rounds, width = (MOST_CALLS + 1, 1) if mode == "rounds" else (2, MOST_CALLS)
    return engine.load(path, params={"rounds": rounds, "width": width})


async def play_all(
    path: Path, goals: dict[int, data.Goal], mode: Mode
) -> tuple[dict[int, Played], float]:
    workflow = load(path, mode)
    began = time.perf_counter()
    played = {number: await play(workflow, goal, mode) for number, goal in goals.items()}
    return played, time.perf_counter() - began


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.complexfunc", description=__doc__)
    parser.add_argument("--goals", type=int, help="only the first so many")
    parser.add_argument("--docs", action="store_true", help="write the tables and plot anew")
    arguments = parser.parse_args()
    all_goals, apis = data.read(data.fetch(WORK))
    goals = dict(enumerate(all_goals[: arguments.goals]))
    calls = sum(len(goal.output) for goal in goals.values())
    references = data.count_references(list(goals.values()))
    print(
        f"{len(goals)} goals, {calls} recorded calls of {len(apis)} APIs, {references} references"
    )

    # Found without the engine: what it must report, no more and no less.
    schemas = {api.name: Draft202012Validator(api.schema()) for api in apis}
    expected = {n: found for n, goal in goals.items() if (found := violations(goal, schemas))}
    print(f"\nCalls that break the API's own schema, by jsonschema ({len(expected)} goals):")
    for number, found in expected.items():
        for label, problems in found.items():
            name = _call(goals[number], label).name
            print(f"  goal {number}, {label} = {name}")
            for problem in problems:
                print(f"      {problem}")

    strict = {
        s: program.write(WORK / f"strict{s:d}", apis, all_goals, steps=s) for s in (False, True)
    }
    widened = {
        place
        for number, found in expected.items()
        for label in found
        for place in _places(goals[number], label, apis)
    }
    loose = {
        steps: program.write(
            WORK / f"widened{steps:d}", apis, all_goals, widened=widened, steps=steps
        )
        for steps in (False, True)
    }
    broken = {number: goals[number] for number in expected}
    wrong = 0
    rows: list[list[object]] = []
    refused: list[list[object]] = []
    starts: list[float] = []
    for mode in MODES:
        steps = mode == "plans"
        played, took_s = asyncio.run(play_all(strict[steps], goals, mode))
        again, _ = asyncio.run(play_all(loose[steps], broken, mode))
        wrong += _report(mode, goals, played, again, expected, took_s)
        final = {**played, **again}
        rows.append(_row(mode, played, final))
        if mode == "stream":
            starts = [share for p in final.values() for share in p.starts]
        if mode == "references":
            refused = [
                [f"{number}, `{label}`", f"`{_call(goals[number], label).name}`", problem]
                for number, result in played.items()
                for label, problem in result.reported.items()
            ]
    if arguments.docs:
        _write_docs(rows, refused, starts)
    raise SystemExit(1 if wrong else 0)


def _call(goal: data.Goal, label: str) -> data.Call:
    return next(call for call in goal.output if call.label == label)


def _places(goal: data.Goal, label: str, apis: list[data.Api]) -> set[program.Place]:
    """The parameters that a violating call breaks."""
    call = _call(goal, label)
    schema = next(api for api in apis if api.name == call.name).schema()
    found: set[program.Place] = set()
    for error in Draft202012Validator(schema).iter_errors(data.resolved(goal, call)):
        if error.path:
            found.add((call.name, str(error.path[0])))
        else:
            found |= {(call.name, p) for p in call.arguments if p not in schema["properties"]}
    return found


def _report(
    mode: Mode,
    goals: dict[int, data.Goal],
    played: dict[int, Played],
    again: dict[int, Played],
    expected: dict[int, dict[str, list[str]]],
    took_s: float,
) -> int:
    """Print what came out of one mode; how much of it is wrong."""
    wrong = 0
    final = {**played, **again}
    same = sum(not p.faults and not p.reported for p in final.values())
    calls = sum(p.calls for p in final.values())
    references = sum(p.references for p in final.values())
    print(f"\n{mode}: {same} of {len(goals)} goals as recorded ({took_s:.1f} s)")
    print(f"  {calls} calls dispatched, {references} references resolved", end="")
    print(f", {sum(p.early for p in final.values())} tasks started before their decision had ended")
    if mode == "plans":
        with_steps = sum(bool(p.steps) for p in final.values())
        print(f"  {with_steps} goals have {sum(p.steps for p in final.values())} steps")
    print(f"  {sum(bool(p.reported) for p in played.values())} goals refused by their contracts:")
    for number, result in played.items():
        for label, problem in result.reported.items():
            print(f"  goal {number}, {label}: {problem}")
        if set(result.reported) != set(expected.get(number, {})):
            wrong += 1
            print(f"  goal {number}: jsonschema finds {sorted(expected.get(number, {}))}")
    for number, result in final.items():
        for fault in result.faults:
            wrong += 1
            print(f"  goal {number}: {fault}")
        if number in again and result.reported:
            wrong += 1
            print(f"  goal {number}, widened: {result.reported}")
    return wrong


def _row(mode: Mode, played: dict[int, Played], final: dict[int, Played]) -> list[object]:
    same = sum(not p.faults and not p.reported for p in final.values())
    return [
        MODE_WORDS[mode],
        f"{same} of {len(final)}",
        sum(p.calls for p in final.values()),
        sum(p.references for p in final.values()),
        sum(bool(p.reported) for p in played.values()),
        sum(p.early for p in final.values()),
        sum(bool(p.steps) for p in final.values()),
    ]


def _write_docs(rows: list[list[object]], refused: list[list[object]], starts: list[float]) -> None:
    document = DOCS / "explanation" / "complexfuncbench.md"
    head = (
        "played",
        "goals as recorded",
        "calls dispatched",
        "references resolved",
        "goals with a refused call",
        "tasks started before the decision had ended",
        "goals with an `each`",
    )
    put(document, "result", table(head, rows))
    put(document, "refused", table(("goal", "API", "what the engine says"), refused))
    tenths = [0] * 11
    for share in starts:
        tenths[10 if share >= 1 else int(share * 10)] += 1
    chart = Bars(
        "Calls by how much of their decision had been written when they started",
        [*(f"{10 * n}-{10 * n + 10} %" for n in range(10)), "all"],
        ["as a token stream"],
        [[count] for count in tenths],
        percent=False,
        colour=2,
    )
    (DOCS / "images" / "complexfuncbench.svg").write_text(page([chart], width=760))


if __name__ == "__main__":
    main()
