"""What `orch lint` prints: findings in four formats, counts, what was fixed, and what could be.

Findings, diffs and counts are the result and go to standard output, with their summary; what is
said about a rewritten text, which is the result then, goes to standard error.
"""

from __future__ import annotations

import difflib
import os
import sys
from collections import Counter
from collections.abc import Sequence
from io import StringIO

from engine.cli.output import echo, screen_width, use_color
from engine.diagnostics import RULES, Diagnostic, render_github, render_json, render_terminal
from engine.linter.fixing import applicable

__all__ = ["count_by_rule", "diff", "fixed_summary", "show", "show_fixes", "summarize"]


def show(
    found: Sequence[Diagnostic],
    style: str,
    color: str,
    *,
    checked: int,
    hidden: int = 0,
    unsafe: bool = False,
    quiet: bool = False,
    aside: bool = False,
    fixed: str = "",
) -> None:
    """Print findings.

    Args:
        found: What to print, in order.
        style: `text`, `json`, `github` or `sarif`.
        color: What `--color` says.
        checked: How many files were read.
        hidden: How many errors are not among the findings, though they keep a program from running.
        unsafe: Whether unsafe fixes are offered too.
        quiet: Whether to leave out everything but the findings.
        aside: Whether to print to standard error.
        fixed: What was fixed before, in half a sentence.
    """
    if style == "json":
        echo(render_json.render(found), nl=False, err=aside)
    elif style == "github":
        echo(render_github.render(found), nl=False, err=aside)
    elif style == "sarif":
        # 2 ms, and text output does not need it.
        from engine.diagnostics import render_sarif

        echo(render_sarif.render(found, os.getcwd()), nl=False, err=aside)
    else:
        stream = sys.stderr if aside else sys.stdout
        painted = use_color(stream, color)
        if found:
            text = render_terminal.render(
                found,
                color=painted,
                width=screen_width(stream),
                marked=lambda item: applicable(item, unsafe=unsafe),
            )
            echo(text, painted=True, err=aside)
        if checked and not quiet:
            summarize(found, color, checked=checked, hidden=hidden, aside=aside, fixed=fixed)
            for line in _hints(found, unsafe):
                echo(line, err=aside)


def summarize(
    found: Sequence[Diagnostic],
    color: str,
    *,
    checked: int,
    hidden: int,
    aside: bool = False,
    fixed: str = "",
) -> None:
    """One line on the whole, with what was left out of it that matters."""
    painted = use_color(sys.stderr if aside else sys.stdout, color)
    line = render_terminal.summary(found, checked, color=painted)
    if fixed:
        line = f"{fixed}; {line}"
    if hidden:
        line += f"; {_count(hidden, 'error')} not shown, which `orch run` will not ignore"
    echo(line, painted=True, err=aside)


def _hints(found: Sequence[Diagnostic], unsafe: bool) -> list[str]:
    """What the reader can do about all that."""
    lines = []
    safe = sum(applicable(item) for item in found)
    more = sum(applicable(item, unsafe=True) for item in found) - safe
    if unsafe and safe + more:
        lines.append(f"[*] {safe + more} fixable with --fix --unsafe-fixes")
    elif safe:
        beside = f" ({more} more with --unsafe-fixes)" if more else ""
        lines.append(f"[*] {safe} fixable with --fix{beside}")
    elif more:
        lines.append(f"{more} fixable with --fix --unsafe-fixes")
    if found:
        lines.append(f"`orch explain {found[0].code}` says more about a rule")
    return lines


def count_by_rule(found: Sequence[Diagnostic], unsafe: bool) -> None:
    """How often each rule was broken, the most frequent first; `[*]` where all can be fixed."""
    fixable = Counter(item.code for item in found if applicable(item, unsafe=unsafe))
    for code, count in Counter(item.code for item in found).most_common():
        mark = "[*]" if fixable[code] == count else "   "
        echo(f"{count:>6}  {code}  {mark}  {RULES[code].name}")


def diff(name: str, before: str, after: str) -> str:
    """A unified diff of one file."""
    lines: list[str] = []
    old, new = (StringIO(text, newline="\n").readlines() for text in (before, after))
    for line in difflib.unified_diff(old, new, name, name):
        lines.append(line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n")
    return "".join(lines)


def fixed_summary(applied: Sequence[Diagnostic], *, would: bool) -> str:
    """`fixed 3 problems in 2 files`."""
    files = len({item.span.source.path for item in applied})
    verb = "would fix" if would else "fixed"
    return f"{verb} {_count(len(applied), 'problem')} in {_count(files, 'file')}"


def show_fixes(applied: Sequence[Diagnostic], *, aside: bool) -> None:
    """What was fixed in which file, by rule."""
    by_file: dict[str, Counter[str]] = {}
    for item in applied:
        by_file.setdefault(item.span.source.path, Counter())[item.code] += 1
    for path, counts in sorted(by_file.items()):
        echo(f"{path}:", err=aside)
        for code, count in counts.most_common():
            echo(f"{count:>6} x {code} {RULES[code].name}", err=aside)


def _count(number: int, word: str) -> str:
    return f"{number} {word}{'' if number == 1 else 's'}"
