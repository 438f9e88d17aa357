"""Diagnostics as text for a person: the source line, carets under the range, help, a summary.

Layout of one finding (colour only where the caller says so; no library is needed for it):

    error[ORC302]: `Finding` has no field `qoute`; did you mean `quote`?
      --> report.orch:62:14
       |
    62 |     {{ f.qoute }}
       |          ^^^^^
       = help: write `quote`

Columns on the screen are not characters: a tab fills up to the next stop of four, an East Asian
wide character takes two cells, a combining mark none. Control characters of the source are never
sent to the terminal; they show as a replacement mark.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Sequence

from engine.diagnostics.diagnostic import Diagnostic
from engine.source import Position, Span

__all__ = ["excerpt", "render", "render_one", "summary"]

_TAB = 4
#: A range of more lines than this is shown by its ends only.
_MAX_LINES = 5
_MIN_WINDOW = 40

_RESET = "\x1b[0m"
_BOLD = "\x1b[1m"
_BLUE = "\x1b[1;34m"
_COLOURS = {"error": "\x1b[1;31m", "warning": "\x1b[1;33m", "info": "\x1b[1;36m"}


def render(
    found: Sequence[Diagnostic],
    *,
    color: bool = False,
    width: int = 100,
    marked: Callable[[Diagnostic], bool] = lambda _: False,
) -> str:
    """All findings, one blank line between them; the empty string for none.

    Args:
        found: What to show, in the order to show it.
        color: Whether to write ANSI colours.
        width: Screen columns that a source line may take before it is clipped.
        marked: Which findings get a `[*]`, for what can be fixed.
    """
    return "\n".join(
        render_one(item, color=color, width=width, mark=" [*]" if marked(item) else "")
        for item in found
    )


def render_one(item: Diagnostic, *, color: bool = False, width: int = 100, mark: str = "") -> str:
    """One finding, with a line end after its last line."""
    paint = _Paint(color)
    tone = _COLOURS[item.severity]
    spans = [item.span, *(place.span for place in item.related)]
    gutter = len(str(max(span.end_position.line for span in spans)))
    lines = [
        paint(tone, f"{item.severity}[{item.code}]{mark}")
        + paint(_BOLD, f": {_clean(item.message)}")
    ]
    lines += _excerpt(item.span, "^", tone, gutter, paint, width)
    margin = " " * gutter
    for place in item.related:
        lines.append(
            f"{margin} {paint(_BLUE, '=')} {paint(_BOLD, 'note')}: {_clean(place.message)}"
        )
        lines += _excerpt(place.span, "-", _BLUE, gutter, paint, width)
    notes = [("help", item.help)] if item.help else []
    if item.fix is not None and not item.help:  # a help line says what the fix does, in its words
        unsafe = "" if item.fix.safety == "safe" else " (may change the meaning)"
        notes.append(("fix", item.fix.title + unsafe))
    for word, text in notes:
        first, *rest = text.splitlines() or [""]
        lines.append(f"{margin} {paint(_BLUE, '=')} {paint(_BOLD, word)}: {_clean(first)}")
        lines += [f"{margin}   {' ' * len(word)}  {_clean(line)}" for line in rest]
    return "\n".join(lines) + "\n"


def summary(found: Sequence[Diagnostic], files: int, *, color: bool = False) -> str:
    """One line on the whole: `2 errors and 1 warning in 3 files`, or that all is well.

    Args:
        found: Every finding.
        files: How many files were read.
        color: Whether to write ANSI colours.
    """
    paint = _Paint(color)
    where = f"{files} file{'s' if files != 1 else ''}"
    parts: list[str] = []
    for severity, word, plural in (
        ("error", "error", "errors"),
        ("warning", "warning", "warnings"),
        ("info", "note", "notes"),
    ):
        count = sum(1 for item in found if item.severity == severity)
        if count:
            parts.append(paint(_COLOURS[severity], f"{count} {word if count == 1 else plural}"))
    if not parts:
        return f"no problems found in {where}"
    listed = parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"
    return f"{listed} in {where}"


def excerpt(span: Span, *, color: bool = False, width: int = 100) -> str:
    """The `-->` line and the marked source lines of a range, for what is not a finding of the
    linter.

    Args:
        span: The range.
        color: Whether to write ANSI colours.
        width: Screen columns that a source line may take before it is clipped.
    """
    gutter = len(str(span.end_position.line))
    return "\n".join(_excerpt(span, "^", _COLOURS["error"], gutter, _Paint(color), width))


class _Paint:
    """Wraps text in an ANSI style, or leaves it alone."""

    def __init__(self, on: bool) -> None:
        self.on = on

    def __call__(self, style: str, text: str) -> str:
        return f"{style}{text}{_RESET}" if self.on and text else text


def _excerpt(span: Span, mark: str, tone: str, gutter: int, paint: _Paint, width: int) -> list[str]:
    """The `-->` line and the source lines of a range, marked."""
    begin, end = span.begin_position, span.end_position
    if end.line > begin.line and end.column == 1:
        # A range that ends right after a line's end belongs to that line.
        last = span.source.line(end.line - 1)
        end = Position(end.line - 1, len(last) + 1)
    margin = " " * gutter
    bar = paint(_BLUE, "|")
    place = f"{_clean(span.source.path)}:{begin.line}:{begin.column}"
    lines = [f"{margin}{paint(_BLUE, '-->')} {place}", f"{margin} {bar}"]

    def numbered(number: int, text: str) -> str:
        return f"{paint(_BLUE, str(number).rjust(gutter))} {bar} {text}".rstrip()

    room = max(_MIN_WINDOW, width - gutter - 3)
    if begin.line == end.line:
        text, marks = _marked(span.source.line(begin.line), begin.column, end.column, mark, room)
        lines.append(numbered(begin.line, text))
        pad = len(marks) - len(marks.lstrip())
        lines.append(f"{margin} {bar} {marks[:pad]}{paint(tone, marks[pad:])}")
        return lines

    side = paint(tone, "|")
    shown = list(range(begin.line, end.line + 1))
    if len(shown) > _MAX_LINES:
        shown = [*shown[: _MAX_LINES - 2], 0, *shown[-1:]]
    for number in shown:
        if number == 0:
            lines.append(f"{paint(_BLUE, '...')}{' ' * gutter}{side}")
            continue
        text, _ = _marked(span.source.line(number), 1, 1, mark, room - 2)
        lead = paint(tone, "/") if number == begin.line else side
        lines.append(numbered(number, f"{lead} {text}"))
    cells = sum(width for _, width in _cells(span.source.line(end.line)[: end.column - 1]))
    tail = "_" * min(max(cells, 1), room - 3) + mark
    lines.append(f"{margin} {bar} {paint(tone, '|' + tail)}")
    return lines


def _cells(text: str) -> list[tuple[str, int]]:
    """What each character shows as, and how many screen cells that takes."""
    result: list[tuple[str, int]] = []
    at = 0
    for char in text:
        if char == "\t":
            width = _TAB - at % _TAB
            shown = " " * width
        elif unicodedata.category(char) in ("Cc", "Cf", "Cs", "Zl", "Zp"):
            shown, width = "\N{REPLACEMENT CHARACTER}", 1
        elif unicodedata.combining(char) or unicodedata.category(char) == "Mn":
            shown, width = char, 0
        else:
            shown, width = char, 2 if unicodedata.east_asian_width(char) in "WF" else 1
        result.append((shown, width))
        at += width
    return result


def _marked(text: str, begin: int, end: int, mark: str, room: int) -> tuple[str, str]:
    """A line clipped to `room` cells around `[begin, end)` (1-based), and the marks under it."""
    if len(text) > 8 * room:
        # A line of a megabyte is not measured to its end for the sake of a window.
        skipped = max(0, begin - 1 - 4 * room)
        text = "…" * bool(skipped) + text[skipped : skipped + 8 * room]
        begin, end = begin - skipped + bool(skipped), end - skipped + bool(skipped)
    cells = _cells(text)
    first, last = begin - 1, max(begin, end - 1)
    total = sum(width for _, width in cells)
    low, high = 0, len(cells)
    head = tail = ""
    if total > room:
        low, high = _window([width for _, width in cells], first, room - 2)
        head = "…" if low else ""
        tail = "…" if high < len(cells) else ""
    shown = head + "".join(char for char, _ in cells[low:high]) + tail
    before = len(head) + sum(width for _, width in cells[low:first])
    under = sum(width for _, width in cells[first : min(last, high)])
    return shown.rstrip(), " " * before + mark * max(under, 1)


def _window(widths: list[int], focus: int, room: int) -> tuple[int, int]:
    """Bounds `[low, high)` of what is shown: a third of the room before `focus`, the rest after."""
    focus = min(focus, len(widths))
    low, used = focus, 0
    while low > 0 and used + widths[low - 1] <= room // 3:
        low -= 1
        used += widths[low]
    high = focus
    while high < len(widths) and used + widths[high] <= room:
        used += widths[high]
        high += 1
    while low > 0 and used + widths[low - 1] <= room:
        low -= 1
        used += widths[low]
    return low, high


def _clean(text: str) -> str:
    """The text without characters that a terminal would obey."""
    if text.isprintable():
        return text
    return "".join(shown for shown, _ in _cells(text.replace("\n", " ")))
