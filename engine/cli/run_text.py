"""A run's report (`engine.runtime.report`) as text for people."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from engine.cli.format_values import age, compact, count, duration, one_line, pretty, totals
from engine.cli.gate_text import items, origin_lines, shown_lines
from engine.cli.source_text import source_texts, tainted_text
from engine.cli.step_lines import counts_text, failures_text
from engine.labels import label_text
from engine.printable import printable

__all__ = ["run_text", "task_text"]


def run_text(report: Mapping[str, Any], *, full: bool, width: int, only: int | None = None) -> str:
    """The whole run, or one round of it.

    Args:
        report: `run_report(state, details=True)` with what `orch show` adds.
        full: Whether to show values whole.
        width: Columns to use.
        only: The number of the one round to show; the head and the end are left out then.
    """
    story = _Story(full, max(width, 60))
    lines: list[str] = []
    if only is None:
        lines += story.head(report)
    for one in report.get("history", ()):
        if lines:
            lines.append("")
        lines += story.round(one, 0)
    if only is None:
        lines += ["", *story.end(report)]
    return "\n".join(lines)


def task_text(task: Mapping[str, Any], width: int) -> str:
    """One task with its whole values, or one step with its items, a line each."""
    if "kind" in task:
        lines = _Story(False, max(width, 60)).step(task, 0)
    else:
        lines = _Story(True, 100).task(task, 0)
    return "\n".join([f"round {task['round']}", *lines])


def bar_text(counts: Mapping[str, Any]) -> str:
    """A bar for a step that is not over: `  [#####-----]`; "" for one that is."""
    if not counts["total"] or not (counts["running"] or counts["waiting"]):
        return ""
    over = counts["done"] + counts["failed"] + counts["skipped"]
    full = _BAR_CELLS * over // counts["total"]
    return f"  [{'#' * full}{'-' * (_BAR_CELLS - full)}]"


_BAR_CELLS = 20


def figures_text(step: Mapping[str, Any]) -> Iterator[str]:
    """The figures of a step's outputs, a field a line."""
    for name, counted in step["literals"].items():
        values = ", ".join(f"{value} {number}" for value, number in counted.items())
        yield one_line(f"{name or 'outputs'}: {values}")
    for name, found in step["numbers"].items():
        least, mean, most = (f"{found[part]:.6g}" for part in ("least", "mean", "most"))
        yield one_line(f"{name or 'outputs'}: {least} to {most}, mean {mean}")


def verdicts_text(one: Mapping[str, Any]) -> Iterator[str]:
    """The verdicts of a round; in one with steps, those that say the same are counted."""
    counted: dict[tuple[str, str, bool, str], int] = {}
    for number, verdict in enumerate(one["verdicts"]):
        said = f": {one_line(verdict['feedback'])}" if verdict["feedback"] else ""
        alone = "" if one["steps"] else str(number)
        key = (alone, f"{verdict['verifier']} ({verdict['hook']})", verdict["ok"], said)
        counted[key] = counted.get(key, 0) + 1
    for (_, who, ok, said), times in counted.items():
        many = f", {times} times" if times > 1 else ""
        yield f"{who}: {'passed' if ok else 'not passed'}{many}{said}"


_SAID = {
    "approve": "approved by {who}",
    "reject": "rejected by {who}",
    "not_done": "{who} says that it was not done",
    "timeout": "no answer in time",
}


class _Story:
    def __init__(self, full: bool, width: int) -> None:
        self._full = full
        self._width = width

    def head(self, report: Mapping[str, Any]) -> Iterator[str]:
        started = datetime.fromisoformat(report["started"])
        models = ", ".join(f"{name} = {id}" for name, id in report.get("models", {}).items())
        status = ": ".join(
            part for part in (report["status"], report["bound"], one_line(report["reason"])) if part
        )
        local = time.strftime("%Y-%m-%d %H:%M:%S", started.astimezone().timetuple())
        yield f"run {report['run']}"
        yield f"  status        {status}"
        yield f"  workflow      {one_line(report['workflow'])}"
        yield f"  orchestrator  {report.get('orchestrator', '?')}"
        yield f"  started       {local} ({age(int(started.timestamp() * 1000))})"
        if report.get("labels"):
            yield f"  labels        {label_text(report['labels'])}"
        if report.get("parent"):
            yield f"  fork of       {report['parent']}, from its event {report['parent_seq']} on"
        if report.get("upgrades"):
            yield f"  program       its own was changed {count(report['upgrades'], 'time')}"
        if models:
            yield f"  models        {one_line(models, self._width)}"
        if report["params"]:
            yield f"  params        {self._short(report['params'], 16)}"
        yield from self._value("  goal          ", report.get("goal") or "", 16)
        yield from self._value("  input         ", report.get("input"), 16)

    def round(self, one: Mapping[str, Any], depth: int) -> Iterator[str]:
        margin = "  " * depth
        asked = f" ({count(one['decisions'], 'decision')} asked for)"
        yield f"{margin}round {one['round']}{asked if one['decisions'] > 1 else ''}"
        for note in one["notes"]:
            who = one_line(note["by"]) or "a person"
            yield from self._value(f"{margin}  {who} says: ", note["note"], len(margin) + 4)
        for said in one["feedback"]:
            yield from self._value(f"{margin}  told: ", said, len(margin) + 4)
        for number, why in enumerate(one["rejected"], 1):
            yield f"{margin}  decision {number} was not accepted: {one_line(why, 1000)}"
        if one["assessment"]:
            yield from self._value(f"{margin}  plan: ", one["assessment"], len(margin) + 4)
        if one["proposed"] is not None:
            who = one_line(one["edited_by"]) or "a person"
            yield f"{margin}  {who} replaced the plan, which was:"
            for spec in one["proposed"]:
                yield from self._spec(spec, margin)
        for spec in one["not_started"]:
            yield from self._spec(spec, margin, ": not started")
        yield from self.entries(one, depth + 1)
        if one["finish"] is not None:
            yield from self._value(f"{margin}  finish: ", one["finish"], len(margin) + 4)
        for line in verdicts_text(one):
            yield f"{margin}  {line}"
        for answer in one["answers"]:
            yield from self.answer(answer, margin)

    def answer(self, answer: Mapping[str, Any], margin: str) -> Iterator[str]:
        """What a person answered to a gate, and what they were shown."""
        who = one_line(answer["by"]) or "a person"
        said = _SAID[answer["answer"]].format(who=who)
        if answer["chosen"] is not None:
            said += f", of its items {one_line(', '.join(answer['chosen']), 60)}"
        note = f": {one_line(answer['note'])}" if answer["note"] else ""
        yield f"{margin}  {said}{note}"
        yield from self._value(f"{margin}    asked: ", answer["message"], len(margin) + 6)
        for line in [*shown_lines(answer), *origin_lines(answer), *items(answer)]:
            yield f"{margin}      {line}"
        if answer["edit"] is not None:
            yield from self._value(f"{margin}    changed to: ", answer["edit"], len(margin) + 6)

    def entries(self, one: Mapping[str, Any], depth: int) -> Iterator[str]:
        """The tasks and steps of a round, a plan worker or a pass, in their order."""
        entries = [*one["tasks"]]
        for step in one["steps"]:
            entries.insert(step["position"], step)
        for entry in entries:
            yield from self.step(entry, depth) if "kind" in entry else self.task(entry, depth)

    def step(self, step: Mapping[str, Any], depth: int) -> Iterator[str]:
        """A step in a few lines; its items, where the report has them, a line each."""
        margin = "  " * depth
        worker = "" if step["worker"] is None else f" {step['worker']}"
        ms = "" if step["ms"] is None else f" in {duration(step['ms'])}"
        words = (
            "" if step["status"] == "skipped" else ", " + counts_text(step["kind"], step["counts"])
        )
        kinds = failures_text(step["failures"])
        kinds = f" ({kinds})" if kinds else ""
        how = f"{step['kind']}, {step['status']}{ms}{words}{kinds}"
        yield f"{margin}{step['id']}{worker}: {how}{bar_text(step['counts'])}"
        for one in step["failures"]:
            label = f" ({one_line(one['label'])})" if one["label"] else ""
            said = f": {one_line(one['message'], 1000)}" if one["message"] else ""
            yield f"{margin}  first {one['mode']}, {one['first']}{label}{said}"
        if "failure" in step:
            failure = step["failure"]
            said = f": {one_line(failure['message'], 1000)}" if failure["message"] else ""
            yield f"{margin}  {failure['mode']}{said}{_at(failure)}"
        for line in figures_text(step):
            yield f"{margin}  {line}"
        if step.get("first_outputs"):
            label = f"{margin}  first outputs: "
            yield from self._value(label, step["first_outputs"], len(margin) + 4)
        elif "output" in step:
            yield from self._value(f"{margin}  output: ", step["output"], len(margin) + 4)
        for number, inside in enumerate(step.get("passes", ())):
            yield f"{margin}  pass {number}"
            yield from self.entries(inside, depth + 2)
        for item in step.get("items", ()):
            yield from self.item(item, depth + 1)

    def item(self, task: Mapping[str, Any], depth: int) -> Iterator[str]:
        """An item of a step in one line, and what happened inside it."""
        margin = "  " * depth
        label = f" ({one_line(task['label'])})" if task["label"] else ""
        words = [task["status"]]
        if task["ms"] is not None:
            words.append(f"in {duration(task['ms'])}")
        if task["attempts"] > 1:
            words.append(f"after {task['attempts']} attempts")
        head = f"{margin}{task['id']}{label}: {' '.join(words)}"
        if "failure" in task:
            failure = task["failure"]
            said = f": {one_line(failure['message'], 400)}" if failure["message"] else ""
            yield f"{head}, {failure['mode']}{said}"
        elif "output" in task:
            yield f"{head}: {self._short(task['output'], len(head) + 2)}"
        else:
            yield f"{head}, input {self._short(task['input'], len(head) + 8)}"
        yield from self._nested(task, depth)

    def _nested(self, task: Mapping[str, Any], depth: int) -> Iterator[str]:
        for one in task.get("rounds", ()):
            yield from self.round(one, depth + 1)
        if "plan" in task:
            yield from self.entries(task["plan"], depth + 1)

    def _spec(self, spec: Mapping[str, Any], margin: str, state: str = "") -> Iterator[str]:
        """A task or step of a decision that was not started as it is."""
        yield f"{margin}    {spec['id']} {spec['worker']}{state}"
        for name, value in spec.items():
            if name not in ("id", "worker"):
                yield from self._value(f"{margin}      {name}: ", value, len(margin) + 8)

    def task(self, task: Mapping[str, Any], depth: int) -> Iterator[str]:
        margin = "  " * depth
        words = [task["status"]]
        if task["ms"] is not None:
            words.append(f"in {duration(task['ms'])}")
        if task["attempts"] > 1:
            words.append(f"after {task['attempts']} attempts")
        label = f" ({one_line(task['label'])})" if task.get("label") else ""
        yield f"{margin}{task['id']}{label} {task['worker']}: {' '.join(words)}"
        yield from self._value(f"{margin}  input: ", task["input"], len(margin) + 4)
        if self._full or any(source["tainted"] for source in task["sources"]):
            shown = task["sources"]
            if not self._full:
                shown = [source for source in shown if source["tainted"]]
            for line in source_texts(shown):
                yield f"{margin}  {line}"
        yield from self._nested(task, depth)
        if "failure" in task:
            failure = task["failure"]
            said = f": {one_line(failure['message'], 1000)}" if failure["message"] else ""
            yield f"{margin}  {failure['mode']}{said}{_at(failure)}"
        elif "output" in task:
            yield from self._value(f"{margin}  output: ", task["output"], len(margin) + 4)

    def end(self, report: Mapping[str, Any]) -> Iterator[str]:
        finished = report["output"] is not None or report["status"] == "finished"
        result = report["output"] if finished else report["partial"]
        for warning in report["warnings"]:
            yield f"warning: {one_line(warning)}"
        for wait in report.get("waiting", ()):
            asked = f", as {wait['model'] or 'it'} asked" if wait["asked"] else ""
            met = f"{wait['mode']}: {one_line(wait['message'], 400)}"
            yield f"{wait['call']} waits {duration(wait['ms'])}{asked}, to try again: {met}"
        for gate in report["gates"]:
            what = f" about {gate['task']} {gate['worker']}" if gate["task"] else ""
            yield f"waits for a person{what}: {one_line(gate['message'], 1000)}"
        if report["lost"]:
            again = count(report["suspects"], "suspect")
            alone = f"; re-ran {again} one at a time" if report["suspects"] else ""
            yield f"cut off when a process stopped: {count(report['lost'], 'call')}{alone}"
        if finished or result is not None:
            yield from self._value("result: " if finished else "partial result: ", result, 2)
        if report["tainted"]:
            yield tainted_text(report)
        usage = report["usage"]
        said = totals(report)
        if usage is not None and (usage["input_tokens"] or usage["output_tokens"]):
            said += f" ({usage['input_tokens']} tokens in, {usage['output_tokens']} out"
            if usage["cached_tokens"]:
                said += f", {usage['cached_tokens']} cached"
            if usage["cache_write_tokens"]:
                said += f", {usage['cache_write_tokens']} written to a cache"
            if usage["reasoning_tokens"]:
                said += f", {usage['reasoning_tokens']} of reasoning"
            said += ", in part estimated)" if usage["estimated"] else ")"
        yield f"totals: {said}"

    def _value(self, label: str, value: Any, indent: int) -> Iterator[str]:
        """A value after its label: in one line, or whole in as many as it takes."""
        if not self._full:
            yield label + self._short(value, len(label))
            return
        lines = printable(pretty(value)).split("\n")
        if len(lines) == 1:
            yield label + lines[0]
            return
        yield label.rstrip()
        yield from (" " * indent + line for line in lines)

    def _short(self, value: Any, used: int) -> str:
        return compact(value, max(40, self._width - used))


def _at(failure: Mapping[str, Any]) -> str:
    """Where a failure comes from, to be put after its words: in the program, and in Python."""
    place = failure["place"]
    words = []
    if place is not None:
        start = place["range"]["start"]
        words.append(f"{printable(place['file'])}:{start['line']}:{start['column']}")
    if failure.get("raised"):
        words.append(printable(failure["raised"]))
    return f" ({', '.join(words)})" if words else ""
