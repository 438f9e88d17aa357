"""How open gates are told: the question, what it is about, and the commands that answer it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from engine import clock
from engine.cli.end_report import note
from engine.cli.format_values import compact, count, duration, one_line
from engine.cli.journals import command_line
from engine.cli.plan_text import entry_texts, estimate_text
from engine.cli.source_text import source_texts
from engine.cli.task_names import typed
from engine.runtime.questions import gate_reports
from engine.runtime.state import RunState

__all__ = [
    "about",
    "answers",
    "entry_lines",
    "items",
    "left_ms",
    "origin_lines",
    "shown_lines",
    "tell_questions",
]

#: How many entries of a plan, or items, are listed.
_LISTED = 20
#: How many sources of an input, and how many changes, are listed.
_MOST_LINES = 8


def left_ms(gate: Mapping[str, Any], now_ms: int | None = None) -> int | None:
    """How long a gate (of `gate_reports`) still waits, in milliseconds; None means forever."""
    if gate["timeout_ms"] is None or gate["opened_ms"] is None:
        return None
    now_ms = clock.wall_ms() if now_ms is None else now_ms
    left = int(gate["opened_ms"] + gate["timeout_ms"] - now_ms)
    return min(max(0, left), int(gate["timeout_ms"]))  # also where a clock was set back


def shown_lines(gate: Mapping[str, Any]) -> Iterator[str]:
    """What a gate is about: the task with its input, the step, or the plan."""
    plan = gate.get("plan")
    if plan is not None:
        yield estimate_text(plan["estimate"])
        yield from entry_lines(gate)
    if gate["task"] is not None:
        yield f"task {gate['task']}, {gate['worker']} {compact(gate['input'], 200)}"
    if gate.get("step") is not None:
        yield f"{count(gate['count'], 'item')} of {gate['step']}, {gate['worker']}"


def about(gate: Mapping[str, Any]) -> str:
    """What a gate is about, without the entries of a plan, and the time that is left."""
    parts = list(shown_lines(gate))[:1]
    if gate["options"]:
        parts.append("options: " + ", ".join(one_line(option, 60) for option in gate["options"]))
    left = left_ms(gate)
    if left is not None:
        parts.append(f"{duration(left)} left" if left else "its time is up")
    return "; ".join(parts)


def entry_lines(gate: Mapping[str, Any]) -> Iterator[str]:
    """The entries of the plan that a gate asks about, one a line; none if it asks about another.

    The steps inside a plan worker are below its entry.
    """
    tasks = (gate.get("plan") or {}).get("tasks", ())
    yield from entry_texts(tasks[:_LISTED])
    if len(tasks) > _LISTED:
        yield f"and {len(tasks) - _LISTED} more; `orch gates --format json` lists all"


def origin_lines(gate: Mapping[str, Any]) -> Iterator[str]:
    """Why a gate asks, where the input that it asks about came from, and what differs from what
    was asked before about the same."""
    # An answer in the journal of an earlier version has no `why`.
    yield from (one_line(f"because {reason}", 600) for reason in gate.get("why", ()))
    yield from source_texts(gate["sources"], _MOST_LINES)
    if gate["changes"] is not None:
        yield from _change_lines(gate["changes"])


def _change_lines(changes: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    if not changes:
        yield "the same was asked before"
    for change in changes[:_MOST_LINES]:
        at = change["at"][1:] or "all of it"
        was, now = (compact(json.dumps(change[name]), 60) for name in ("was", "now"))
        if change["is"] == "changed":
            yield one_line(f"since last asked: {at} was {was}, now {now}", 200)
        else:
            value = now if change["is"] == "added" else was
            yield one_line(f"since last asked: {at} {change['is']}, {value}", 200)
    if len(changes) > _MOST_LINES:
        more = len(changes) - _MOST_LINES
        yield f"and {more} more changes; `orch gates --format json` lists up to 50"


def items(gate: Mapping[str, Any], most: int = 20) -> Iterator[str]:
    """The items that a gate of a step lists, a line each."""
    listed = gate.get("items") or []
    for item in listed[:most]:
        label = f" {one_line(item['label'], 60)}" if item["label"] else ""
        asked = f"  {one_line(item['message'], 160)}" if item["message"] else ""
        there = item.get("parent")
        known = f"  (there: {there['outcome']}, event {there['event']})" if there else ""
        parts = dict.fromkeys(one["path"][1:] for one in item["sources"] if one["tainted"])
        strange = one_line(f"  ! {', '.join(parts)}", 80) if parts else ""
        yield f"{item['item']}{label}{asked}  {compact(item['input'], 120)}{strange}{known}"
    if gate.get("count", 0) > most:
        yield f"and {gate['count'] - most} more; `orch gates --format json` lists up to 1,000"


def answers(
    gate: Mapping[str, Any], gates: Sequence[Mapping[str, Any]], run: str, directory: str
) -> Iterator[tuple[str, str]]:
    """The command lines that answer a gate, each with what it says.

    Args:
        gates: All open gates of the run: with more than one, the commands name theirs.
    """
    which = _which(gate, gates)
    if left_ms(gate) == 0:
        yield command_line("resume", run, directory), "its time is up: resume as the file says"
        return
    if gate["kind"] == "outcome":
        if gate["offers"]:
            yield command_line("approve", run, directory, *which), "take what it gave"
        elif some := _offered(gate):
            given = [*which, "--items", ",".join(some)]
            yield command_line("approve", run, directory, *given), "take what these gave"
        given = [*which, "--output", "FILE.json"]
        yield command_line("approve", run, directory, *given), "it was done, with this output"
        yield command_line("approve", run, directory, *which, "--not-done"), "start it again"
        yield command_line("reject", run, directory, *which), "it failed; do not start it again"
        return
    yield command_line("approve", run, directory, *which), "continue"
    if gate.get("plan") is not None and gate["kind"] == "approval":
        given = [*which, "--edit", "FILE.json"]
        yield command_line("approve", run, directory, *given), "run this plan instead"
    if gate.get("count", 0) > 1:
        first = gate["items"][0]["item"]
        some = [*which, "--items", first]
        yield command_line("approve", run, directory, *some), "these items, and refuse the others"
    if gate["kind"] == "escalation":
        given = [*which, "--output", "FILE.json"]
        yield command_line("approve", run, directory, *given), "finish with this result"
    yield command_line("reject", run, directory, *which, "--note", "WHY"), "refuse"


def _offered(gate: Mapping[str, Any]) -> list[str]:
    """The items whose outputs in a fork's parent may be taken, as far as they are listed."""
    listed = gate.get("items") or ()
    return [one["item"] for one in listed[:_LISTED] if (one.get("parent") or {}).get("offers")]


def _which(gate: Mapping[str, Any], gates: Sequence[Mapping[str, Any]]) -> list[str]:
    """The options that name a gate: none if it is the only one, its task if that is enough."""
    alone = sum(other["task"] == gate["task"] for other in gates) == 1
    if gate.get("step") is not None and len(gates) > 1:
        return ["--gate", gate["key"]]
    if gate["task"] is not None and alone and (len(gates) > 1 or gate["kind"] == "outcome"):
        return ["--task", typed(gate["task"])]
    return ["--gate", gate["key"]] if len(gates) > 1 else []


def tell_questions(state: RunState, directory: str | None) -> None:
    """Say on standard error what a run waits for, and how to answer.

    Args:
        directory: The journal's folder; None where the run is kept in memory only.
    """
    gates = gate_reports(state)
    for gate in gates:
        note(f"gate {gate['key']}: {one_line(gate['message'], 400)}")
        said = about(gate)
        if said:
            note(f"  {said}")
        for line in [*origin_lines(gate), *entry_lines(gate), *items(gate)]:
            note(f"    {line}")
        if directory is None:
            continue
        lines = list(answers(gate, gates, state.run, directory))
        width = max(len(line) for line, _ in lines)
        for line, means in lines:
            note(f"  {line.ljust(width)}  # {means}")
    if directory is None:
        note("the run has no journal, so this gate cannot be answered")
