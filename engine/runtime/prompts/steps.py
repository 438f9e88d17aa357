"""The words of a prompt about a step: as many for 10,000 items as for 20.

A step is at most `STEP_TOKENS` long, so the next prompt does not grow with the number of items. No
item is listed. The bound holds for every tokenizer: a foreign byte is taken for a token of its own,
and so are a digit and each character of the step's id, which the planner chose. Of our own words,
which are English and names of the program, three bytes are taken for one.

Counts, fields, numbers and literals are words of the program. What workers wrote (messages of
failures, labels, outputs) is between tags, as that of tasks is.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

from engine.runtime.prompts.safe_text import UNTRUSTED, fenced, line, safe
from engine.runtime.shown import figures_shown, given_shown, show_of, why_shown
from engine.runtime.state import Step, Task
from engine.runtime.steps.summary import (
    Counts,
    FailureKind,
    Numbers,
    Summary,
    kind,
    preview_of,
    summary_of,
)
from engine.sema.model import Worker

__all__ = ["STEP_TOKENS", "figures", "skipped", "step_line", "step_view"]

_encode = msgspec.json.Encoder().encode

#: The most that a step takes in a prompt, in tokens.
STEP_TOKENS = 400
#: Of these, what is kept for the words of workers, so in bytes; they get what facts leave, too.
FOREIGN_TOKENS = 170
#: Of that, what failures leave for the outputs.
_OUTPUT_BYTES = 60
#: How many bytes of our own words are taken for a token.
_BYTES_PER_TOKEN = 3
#: How many kinds of failures are shown with what they said, and how many are counted.
_MOST_MESSAGES = 3
_MOST_KINDS = 5
#: The longest name of a worker or of a mode that is written whole, in characters.
_MAX_NAME = 40
#: A longer id of a step is written twice only, in characters.
_LONG_ID = 12
#: A shorter one is a token or two wherever it is, and may be a part of other words.
_SHORT_ID = 3
#: What the notes on what is cut take, at most, in tokens.
_NOTES_TOKENS = 25

#: What the items of a step are called.
_ITEMS = {"each": "items", "reduce": "calls", "repeat": "passes"}


def step_view(step: Step, preview_bytes: int) -> str:
    """What a step brought: counts, failures by kind, figures, the beginning of its outputs."""
    if step.status == "skipped":
        return skipped(step)
    found = summary_of(step)
    of = "" if len(step.id) > _LONG_ID else f' step="{step.id}"'
    about = f"{of}{_worker_of(step)}{_trust(step)}"
    lines = [f"step {step.id} ({_what(step)}){_ended(step)}: {_told(found)}"]
    refer = _how_to_refer(step, found)
    tags = 2 * fenced("failure", "", about)
    room = STEP_TOKENS - _NOTES_TOKENS - _tokens("\n".join([*lines, *refer, tags]), step.id)
    facts, room = _within(room, min(FOREIGN_TOKENS, room), _facts(step, found), step.id)
    lines += facts
    left = max(0, room)
    messages = _messages(step, found, left if found.counts.done == 0 else left - _OUTPUT_BYTES)
    if messages:
        left -= len(messages.encode())
        lines.append(fenced("failure", messages, about))
    lines += _output(step, min(preview_bytes, left), found, about)
    lines += refer
    return "\n".join(lines)


def skipped(entry: Task | Step) -> str:
    """A task or step that was not needed."""
    when = entry.when if isinstance(entry, Task) else entry.spec.when
    test = "its `when` did not hold, or " if when is not None else ""
    what = "step" if isinstance(entry, Step) else "task"
    who = _what(entry) if isinstance(entry, Step) else entry.worker.name
    return f"{what} {entry.id} ({who}) was skipped: {test}what it needs was skipped"


def step_line(step: Step) -> str:
    """A step in one line, for a shortened record."""
    head = f"- {step.id} ({_what(step)}, round {step.round})"
    if step.status == "skipped":
        return f"{head}: skipped"
    found = summary_of(step)
    kinds = _kinds(step, found.failures)
    failed = "" if step.failure is None else f", mode {_name(step.failure.mode)}"
    return f"{head}: {step.status}{failed}, {_told(found)}" + (f" ({kinds})" if kinds else "")


# ---------------------------------------------------------------- our own words


def _name(text: str) -> str:
    return text if len(text) <= _MAX_NAME else text[: _MAX_NAME - 3] + "..."


def _what(step: Step) -> str:
    of = "" if step.worker is None else f" of {_name(step.worker.name)}"
    return f"{kind(step)}{of}"


def _worker_of(step: Step) -> str:
    return "" if step.worker is None else f' worker="{_name(step.worker.name)}"'


def _trust(step: Step) -> str:
    worker = step.worker
    outside = isinstance(worker, Worker) and worker.trust == "untrusted"
    return UNTRUSTED if outside or step.tainted else ""


def _ended(step: Step) -> str:
    return "" if step.failure is None else f" failed, mode {_name(step.failure.mode)}"


def _told(found: Summary) -> str:
    counts = found.counts
    if not counts.total:
        return "nothing was selected" if found.kind == "each" else "nothing was run"
    return f"{counts.done} of {counts.total} {_ITEMS[found.kind]} done{_rest(counts)}"


def _rest(counts: Counts) -> str:
    parts = {
        "failed": counts.failed - counts.dropped,
        "not started": counts.dropped,
        "skipped": counts.skipped,
        "running": counts.running,
        "waiting": counts.waiting,
    }
    return "".join(f", {number} {word}" for word, number in parts.items() if number)


def _kinds(step: Step, failures: Sequence[FailureKind]) -> str:
    """`crashed 29 (first r[0])`, and so on."""
    words = [
        f"{_name(one.mode)} {one.count} (first {_item(step, one.first)})"
        for one in failures[:_MOST_KINDS]
    ]
    more = len(failures) - _MOST_KINDS
    return ", ".join(words) + (f" and {more} more modes" if more > 0 else "")


def _item(step: Step, name: str) -> str:
    """The id of an item; only its number where the id of the step is long."""
    return name.removeprefix(step.id) if len(step.id) > _LONG_ID else name


def _facts(step: Step, found: Summary) -> list[str]:
    facts = []
    if found.failures:
        facts.append(f"failed: {_kinds(step, found.failures)}")
    if figures_shown(step):
        facts += figures(found)
    if found.kind == "each" and found.counts.done:
        facts.append(f"each output: {found.shape}")
    return facts


def figures(found: Summary) -> list[str]:
    """The figures of a step's outputs, a field each."""
    lines = []
    for name, counted in found.literals.items():
        values = ", ".join(f"{value} {number}" for value, number in counted.items())
        lines.append(f"{name or 'outputs'}: {values}")
    for name, numbers in found.numbers.items():
        lines.append(f"{name or 'outputs'}: {_range(numbers)}")
    return lines


def _range(numbers: Numbers) -> str:
    least, mean, most = (_number(n) for n in (numbers.least, numbers.mean, numbers.most))
    return f"{least} to {most}, mean {mean}"


def _number(value: int | float) -> str:
    """A number in at most a dozen characters."""
    if isinstance(value, int) and abs(value) < 10**9:
        return str(value)
    try:
        return format(float(value), ".4g")
    except OverflowError:
        return "over 1e308" if value > 0 else "under -1e308"


def _how_to_refer(step: Step, found: Summary) -> list[str]:
    name = step.id
    if step.failure is not None or not found.counts.total:
        many = found.kind == "each" and found.counts.total
        return [f'Its failures are the view `failures` of "{name}".'] if many else []
    if found.kind != "each":
        return [f'Refer to its output as "{name}".']
    return [
        f'Refer to "{name}" (its outputs, in source order; also `pairs` and `failures`), '
        f"or to one: {_one(step)}."
    ]


def _one(step: Step) -> str:
    """The id of an item that has an output."""
    name = next((task.id for task in step.items.values() if task.status == "done"), "")
    return f"the id and `{_item(step, name)}`" if len(step.id) > _LONG_ID else f'"{name}"'


def _tokens(text: str, id: str) -> int:
    """At most how many tokens our own words are.

    Args:
        id: The id of the step that they are about.
    """
    named = text.count(id) * len(id) if len(id) > _SHORT_ID else 0
    rest = text.replace(id, "") if named else text
    digits = sum(character.isdigit() for character in rest)
    beyond = len(rest.encode()) - sum(character.isascii() for character in rest)
    plain = max(0, len(rest) - digits)
    return named + digits + beyond + -(-plain // _BYTES_PER_TOKEN)


def _within(room: int, kept: int, facts: Iterable[str], id: str) -> tuple[list[str], int]:
    """The facts that there is room for, whole, and the room that they leave.

    Args:
        room: In tokens.
        kept: What of it is not for facts.
        id: The id of the step that they are about.
    """
    shown = []
    for fact in facts:
        text = line(fact)
        left = room - _tokens(text, id) - 1
        if left >= kept:
            shown.append(text)
            room = left
    return shown, room


# ---------------------------------------------------------------- words of workers


def _messages(step: Step, found: Summary, left: int) -> str:
    """The first failure of each kind, a line each; of a step without items, its own."""
    if not why_shown(step):
        return ""
    said = [(one.first, one.label, one.message) for one in found.failures[:_MOST_MESSAGES]]
    own = step.failure
    if own is not None and (not said or found.kind != "each"):
        said = [(step.id, "", own.message)]
    lines = []
    for first, label, message in said:
        text = line(message)
        if text:
            about = f" {line(label)}" if label else ""
            lines.append(f"{_item(step, first)}{about}: {text}")
    return "\n".join(_cut(text, most) for text, most in _shares(lines, left))


def _shares(lines: Sequence[str], left: int) -> list[tuple[str, int]]:
    """How long each line may be, in bytes: the short ones are whole, the long ones share."""
    sizes = [len(text.encode()) + 1 for text in lines]
    most = dict.fromkeys(range(len(lines)), 0)
    for done, index in enumerate(sorted(most, key=sizes.__getitem__)):
        most[index] = min(sizes[index], max(0, left) // (len(lines) - done))
        left -= most[index]
    return [(text, most[index] - 1) for index, text in enumerate(lines) if most[index] > 1]


def _output(step: Step, left: int, found: Summary, about: str) -> list[str]:
    if step.status == "done" and found.kind == "each" and not found.counts.done:
        return []
    if step.status != "done" and step.partial is None:
        return []
    show = show_of(step)
    if show == "none" or (show == "shape" and step.status != "done"):
        return []
    if show == "shape":
        return [fenced("shape", _cut(safe(_shape(step, left)), left), about)]
    text, whole = preview_of(step, left)
    tag = "output" if step.status == "done" else "partial"
    shown = [fenced(tag, _cut(safe(text), left), about)]
    if found.kind == "each" and found.counts.done > max(whole, 1):
        first = f"the first {whole} of" if whole > 1 else "the first of"
        shown.append(f"({first} {found.counts.done} outputs)")
    elif whole == 0 and len(text.encode()) >= left:
        shown.append("(cut here)")
    return shown


def _shape(step: Step, left: int) -> str:
    """The shape of what a step gave, in at most about `left` bytes."""
    return _encode(given_shown(step, left)).decode()


def _cut(text: str, most: int) -> str:
    data = text.encode()
    if len(data) <= most:
        return text
    return data[: max(0, most - 3)].decode(errors="ignore") + "..."
