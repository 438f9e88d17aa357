"""`orch lint`: check files without running anything.

Which files to check, which findings to keep, how to show them, and the exit code stand here;
what is wrong with a program is said by `engine.linter`, what it can take at most by
`engine.bounds`.
"""

from __future__ import annotations

import json
import sys
from collections import Counter

import click

from engine.bounds import Bound, as_data, as_text, bounds_of
from engine.cli.exits import Exit
from engine.cli.files import orch_files
from engine.cli.options import color_option, format_option, param_option
from engine.cli.output import error, report, screen_width, use_color
from engine.diagnostics import (
    RULES,
    Diagnostic,
    render_github,
    render_json,
    render_terminal,
    sort_diagnostics,
)
from engine.errors import UnreadableFile
from engine.linter import lint_result
from engine.sema.check import CheckResult, check_file
from engine.sema.loader import MAX_FILE_BYTES, DiskReader, OverlayReader
from engine.sema.suggest import closest

__all__ = ["command"]


def _codes(
    ctx: click.Context, option: click.Parameter, given: tuple[str, ...]
) -> frozenset[str] | None:
    """The rules named by codes, beginnings of codes (`ORC3`) or names; None if none are given."""
    if not given:
        return None
    names = {rule.name: code for code, rule in RULES.items()}
    chosen: set[str] = set()
    for item in ",".join(given).split(","):
        word = item.strip()
        if not word:
            continue
        found = [code for code in RULES if code.startswith(word.upper())]
        if word in names:
            found = [names[word]]
        if not found:
            near = closest(word.upper(), RULES) or closest(word, names)
            hint = f" Did you mean '{near}'?" if near else " `orch explain` lists the rules."
            raise click.BadParameter(f"there is no rule '{word}'.{hint}", ctx, option)
        chosen.update(found)
    return frozenset(chosen)


@click.command("lint")
@click.argument("paths", nargs=-1, required=True, metavar="FILE...")
@format_option("How to show the findings.", "github")
@click.option("--strict", is_flag=True, help="Make warnings count as errors for the exit code.")
@param_option
@click.option(
    "--select",
    multiple=True,
    metavar="CODES",
    callback=_codes,
    help="Only these rules: ORC3,ORC401",
)
@click.option("--ignore", multiple=True, metavar="CODES", callback=_codes, help="Not these rules.")
@click.option(
    "--bounds", is_flag=True, help="Print what each orchestrator can take at most instead."
)
@click.option("--statistics", is_flag=True, help="Count the findings by rule instead.")
@click.option(
    "--stdin-filename",
    metavar="PATH",
    default="stdin.orch",
    help="What the text read from - is called, and where its imports are looked up.",
)
@color_option
def command(
    paths: tuple[str, ...],
    style: str,
    strict: bool,
    params: dict[str, str],
    select: frozenset[str] | None,
    ignore: frozenset[str] | None,
    bounds: bool,
    statistics: bool,
    stdin_filename: str,
    color: str,
) -> int:
    """Check files, or all *.orch files of folders, without running anything.

    FILE may be - for the standard input.

    Exit codes: 0 clean, or only warnings; 1 errors; 2 usage; 3 something cannot be read.
    """
    if statistics and (style != "text" or bounds):
        raise click.UsageError("--statistics goes with --format text only, without --bounds.")
    if bounds and style not in ("text", "json"):
        raise click.UsageError("--bounds goes with --format text or json.")
    files, unreadable = orch_files(paths)
    found: list[Diagnostic] = []
    checked = 0
    bounded: dict[str, list[Bound]] = {}
    for path in files:
        try:
            result = _check(path, params, stdin_filename)
            found += lint_result(result)
            checked += 1
            if bounds and result.program is not None:
                bounded[path] = bounds_of(result.program)
        except UnreadableFile as problem:
            error(str(problem), help=problem.help)
            unreadable = True
    found = [
        item
        for item in sort_diagnostics(found)
        if (select is None or item.code in select) and (ignore is None or item.code not in ignore)
    ]
    if bounds:
        _show_bounds(bounded, found, style, color)
    else:
        _show(found, checked, style, statistics, color)
    if unreadable:
        return Exit.UNREADABLE
    counting = ("error", "warning") if strict else ("error",)
    return Exit.FINDINGS if any(item.severity in counting for item in found) else Exit.OK


def _check(path: str, params: dict[str, str], stdin_filename: str) -> CheckResult:
    if path != "-":
        return check_file(path, params=params)
    text = _standard_input(stdin_filename)
    reader = OverlayReader(DiskReader(), stdin_filename, text)
    return check_file(stdin_filename, params=params, reader=reader)


def _standard_input(name: str) -> str:
    data = sys.stdin.buffer.read(MAX_FILE_BYTES + 1) if sys.stdin is not None else b""
    if len(data) > MAX_FILE_BYTES:
        raise UnreadableFile(name, f"is larger than {MAX_FILE_BYTES // 1_000_000} MB")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as problem:
        line = data.count(b"\n", 0, problem.start) + 1
        reason = f"is not UTF-8 text (byte 0x{data[problem.start]:02x} in line {line})"
        raise UnreadableFile(name, reason) from None


def _show_bounds(
    bounded: dict[str, list[Bound]], found: list[Diagnostic], style: str, color: str
) -> None:
    """The bounds to stdout; errors, which keep them from being computed, to stderr."""
    errors = [item for item in found if item.severity == "error"]
    if errors:
        report(errors, color)
    if style == "json":
        data = [
            {"file": path, "orchestrators": [as_data(bound) for bound in bounds]}
            for path, bounds in bounded.items()
        ]
        click.echo(json.dumps(data, indent=2))
        return
    for number, (path, bounds) in enumerate(bounded.items()):
        if len(bounded) > 1:
            click.echo(("\n" if number else "") + path)
        click.echo(as_text(bounds) if bounds else "no orchestrator, so nothing to bound")


def _show(found: list[Diagnostic], checked: int, style: str, statistics: bool, color: str) -> None:
    if style == "json":
        click.echo(render_json.render(found), nl=False)
        return
    if style == "github":
        click.echo(render_github.render(found), nl=False)
        return
    painted = use_color(sys.stdout, color)
    if statistics:
        for code, count in Counter(item.code for item in found).most_common():
            click.echo(f"{count:>6}  {code}  {RULES[code].name}")
    elif found:
        text = render_terminal.render(found, color=painted, width=screen_width(sys.stdout))
        click.echo(text, color=painted)
    if checked:
        click.echo(render_terminal.summary(found, checked, color=painted), color=painted)
