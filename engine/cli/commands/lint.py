"""`orch lint`: check files without running anything, and fix what can be fixed.

Which files to check, which findings to keep, and the exit code are here; how they are shown, in
`lint_output`. What is wrong with a program is said by `engine.linter`, what it can take at most by
`engine.bounds`. Nothing is written but by `--fix`, and then only files that were named, or that
lie in folders that were.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import click

from engine.bounds import (
    Bound,
    Sizes,
    as_data,
    as_text,
    bounds_of,
    sizes_as_data,
    sizes_as_text,
    sizes_of,
)
from engine.cli.commands import lint_output
from engine.cli.exit_codes import CommandError, Exit
from engine.cli.files import Scope, orch_files, rewrite, standard_input
from engine.cli.options import color_option, param_option
from engine.cli.output import echo, error, report
from engine.config import FORMATS, Config, find_config
from engine.diagnostics import Diagnostic, sort_diagnostics
from engine.errors import UnreadableFile
from engine.linter.fixpoint import EditedReader, Fixpoint, Linted
from engine.linter.rules import lint_result
from engine.linter.selection import Named, Selection, UnknownRule, rules_named, selection_of
from engine.sema.check import CheckResult, check_file
from engine.sema.names.loader import DiskReader, OverlayReader, Reader

__all__ = ["Checked", "Request", "check_files", "command", "show"]


def _rules(ctx: click.Context, option: click.Parameter, given: tuple[str, ...]) -> Named | None:
    """The rules named on the command line; None if none are."""
    if not given:
        return None
    try:
        return rules_named(w.strip() for w in ",".join(given).split(",") if w.strip())
    except UnknownRule as problem:
        raise click.BadParameter(f"{problem}; {problem.help}.", ctx, option) from None


@dataclass(frozen=True)
class Request:
    """What the command line asks for; `style` and `strict` may come from a configuration."""

    paths: tuple[str, ...]
    style: str
    color: str
    strict: bool
    params: Mapping[str, str]
    select: Named | None
    ignore: Named | None
    isolated: bool
    statistics: bool
    quiet: bool
    unsafe: bool
    stdin_filename: str


@click.command("lint")
@click.argument("paths", nargs=-1, required=True, metavar="FILE...")
@click.option(
    "--format",
    "style",
    type=click.Choice(FORMATS),
    help="Output format.  [default: text]",
)
@click.option(
    "--select",
    multiple=True,
    metavar="CODES",
    callback=_rules,
    help="Only these rules: ORC3,ORC401,unused-worker",
)
@click.option("--ignore", multiple=True, metavar="CODES", callback=_rules, help="Not these rules.")
@click.option("--fix", is_flag=True, help="Apply the safe fixes, and show the remaining findings.")
@click.option("--unsafe-fixes", is_flag=True, help="Also apply fixes that may change the meaning.")
@click.option("--diff", is_flag=True, help="Show what --fix would change; write nothing.")
@click.option("--show-fixes", is_flag=True, help="List what was fixed.")
@click.option("--watch", is_flag=True, help="Check again whenever a file changes, until Ctrl-C.")
@click.option("--statistics", is_flag=True, help="Count the findings by rule instead.")
@click.option("--bounds", is_flag=True, help="Print the most each orchestrator can use instead.")
@click.option("--strict", is_flag=True, help="Make warnings count as errors for the exit code.")
@click.option("--exit-zero", is_flag=True, help="Exit with 0 even if there are findings.")
@click.option("-q", "--quiet", is_flag=True, help="Print only the findings.")
@click.option("--isolated", is_flag=True, help="Read no orch.toml and no pyproject.toml.")
@param_option
@click.option(
    "--stdin-filename",
    metavar="PATH",
    default="stdin.orch",
    help="The name of the text read from -; imports are relative to it.",
)
@color_option
def command(
    paths: tuple[str, ...],
    style: str | None,
    select: Named | None,
    ignore: Named | None,
    fix: bool,
    unsafe_fixes: bool,
    diff: bool,
    show_fixes: bool,
    watch: bool,
    statistics: bool,
    bounds: bool,
    strict: bool,
    exit_zero: bool,
    quiet: bool,
    isolated: bool,
    params: dict[str, str],
    stdin_filename: str,
    color: str,
) -> int:
    """Check files, or all *.orch files in folders, without running anything.

    FILE may be - for standard input; --fix writes the fixed text to standard output.

    Exit codes: 0 clean, or only warnings; 1 errors, or --diff shows changes; 2 usage;
    3 something cannot be read or written.
    """
    if statistics and (style not in (None, "text") or bounds or diff):
        raise click.UsageError(
            "--statistics goes with --format text only, without --bounds and --diff."
        )
    if bounds and (style not in (None, "text", "json") or fix or diff or watch):
        raise click.UsageError("--bounds goes with --format text or json, and changes nothing.")
    if watch and (fix or diff or "-" in paths):
        raise click.UsageError("--watch goes with files, without --fix and --diff.")
    if "-" in paths and len(paths) > 1:
        raise click.UsageError("- must be the only file: standard input is one file")
    first = stdin_filename if paths[0] == "-" else paths[0]
    config = Config() if isolated else find_config(_folder(first))
    request = Request(
        paths,
        style or ("text" if statistics or bounds or watch else config.lint.format),
        color,
        strict or config.lint.strict,
        params,
        select,
        ignore,
        isolated,
        statistics,
        quiet,
        unsafe_fixes,
        stdin_filename,
    )
    if watch:
        # 13 ms, and seldom asked for.
        from engine.cli.commands.lint_watch import watch_files

        return watch_files(request)
    if bounds:
        code = _bounds(request)
    elif fix or diff:
        code = _fix(request, only_diff=diff, list_fixes=show_fixes)
    else:
        code = show(request, check_files(request))
    return Exit.OK if exit_zero and code == Exit.FINDINGS else code


# ---------------------------------------------------------------- checking


@dataclass
class Checked:
    """What checking the files once gave.

    Attributes:
        linted: By the file, as the user named it.
        selections: The rules that count for each.
        problems: What could not be read.
        unreadable: Whether there are such, or there was nothing to read.
        reader: Where the files came from.
    """

    linted: dict[str, Linted] = field(default_factory=dict)
    selections: dict[str, Selection] = field(default_factory=dict)
    problems: list[UnreadableFile] = field(default_factory=list)
    unreadable: bool = False
    reader: Reader = field(default_factory=DiskReader)

    def keeps(self, path: str, item: Diagnostic) -> bool:
        """Whether a finding made by checking a file counts."""
        return self.selections[path].keeps(item)

    def found(self) -> list[Diagnostic]:
        """The findings that count, in order."""
        return sort_diagnostics(
            [
                item
                for path, linted in self.linted.items()
                for item in linted.found
                if self.keeps(path, item)
            ]
        )

    def hidden(self) -> int:
        """How many errors do not count."""
        every = sort_diagnostics([i for linted in self.linted.values() for i in linted.found])
        errors = sum(item.severity == "error" for item in every)
        return errors - sum(item.severity == "error" for item in self.found())


def check_files(
    request: Request, seen: Callable[[str, CheckResult], None] = lambda path, result: None
) -> Checked:
    """Check the files that a request names.

    Args:
        request: What was asked for.
        seen: Is shown each result, by the file as the user named it.
    """
    files, unreadable = orch_files(request.paths)
    result = Checked(unreadable=unreadable)
    configs: dict[str, Config] = {}
    for file in files:
        path = file
        if file == "-":
            path = request.stdin_filename
        config = Config() if request.isolated else find_config(_folder(path), configs)
        result.selections[path] = selection_of(config, request.select, request.ignore)
        try:
            if file == "-":
                result.reader = OverlayReader(result.reader, path, standard_input(path))
            result.linted[path] = _lint(request, result, path, seen=seen)
        except UnreadableFile as problem:
            result.problems.append(problem)
            result.unreadable = True
    return result


def _lint(
    request: Request,
    checked: Checked,
    path: str,
    reader: Reader | None = None,
    seen: Callable[[str, CheckResult], None] = lambda path, result: None,
) -> Linted:
    result = check_file(path, params=request.params, reader=reader or checked.reader)
    seen(path, result)
    return Linted.of(path, result, lint_result(result, checked.selections[path].codes))


def show(request: Request, result: Checked, *, aside: bool = False, fixed: str = "") -> int:
    """Print what could not be read and what was found, and tell the exit code."""
    _tell(result)
    found = result.found()
    if request.statistics:
        lint_output.count_by_rule(found, request.unsafe)
        if result.linted and not request.quiet:
            lint_output.summarize(
                found, request.color, checked=len(result.linted), hidden=result.hidden()
            )
    else:
        lint_output.show(
            found,
            request.style,
            request.color,
            checked=len(result.linted),
            hidden=result.hidden(),
            unsafe=request.unsafe,
            quiet=request.quiet,
            aside=aside,
            fixed=fixed,
        )
    return _code(request, result, found)


def _tell(result: Checked) -> None:
    for problem in result.problems:
        error(str(problem), help=problem.help)


def _code(request: Request, result: Checked, found: Sequence[Diagnostic]) -> int:
    if result.unreadable:
        return Exit.UNREADABLE
    counting = ("error", "warning") if request.strict else ("error",)
    return Exit.FINDINGS if any(item.severity in counting for item in found) else Exit.OK


def _folder(path: str) -> str:
    """Where the configuration of a path is looked for."""
    return path if os.path.isdir(path) else os.path.dirname(path) or os.curdir


# ---------------------------------------------------------------- fixing


def _fix(request: Request, *, only_diff: bool, list_fixes: bool) -> int:
    result = check_files(request)
    piped = "-" in request.paths
    scope = Scope(request.paths)
    entry = os.path.abspath(request.stdin_filename)
    fixing = Fixpoint(
        lint=lambda path, texts: _lint(request, result, path, EditedReader(result.reader, texts)),
        linted=result.linted,
        owned=lambda path: path == entry if piped else path in scope,
        wanted=result.keeps,
        unsafe=request.unsafe,
    )
    fixing.run()
    if only_diff:
        for path, text in fixing.after.items():
            name = request.stdin_filename if piped else os.path.relpath(path)
            echo(lint_output.diff(name, fixing.before[path], text), nl=False)
        _tell(result)
        if not request.quiet:
            echo(lint_output.fixed_summary(fixing.applied, would=True), err=True)
        if result.unreadable:
            return Exit.UNREADABLE
        return Exit.FINDINGS if fixing.after else Exit.OK
    if piped:
        if result.linted:
            echo(EditedReader(result.reader, fixing.after).read(entry), nl=False)
    else:
        for path, text in fixing.after.items():
            try:
                rewrite(path, fixing.before[path], text)
            except CommandError as problem:
                error(str(problem), help=problem.help)
                result.unreadable = True
    if list_fixes:
        lint_output.show_fixes(fixing.applied, aside=piped)
    fixed = lint_output.fixed_summary(fixing.applied, would=False) if fixing.applied else ""
    return show(request, result, aside=piped, fixed=fixed)


# ---------------------------------------------------------------- bounds


def _bounds(request: Request) -> int:
    """The bounds to stdout; errors, which keep them from being computed, to stderr."""
    bounded: dict[str, list[tuple[Bound, Sizes]]] = {}

    def bound(path: str, result: CheckResult) -> None:
        program = result.program
        if program is not None:
            bounded[path] = list(zip(bounds_of(program), sizes_of(program), strict=True))

    result = check_files(request, bound)
    _tell(result)
    found = result.found()
    errors = [item for item in found if item.severity == "error"]
    if errors:
        report(errors, request.color)
    if request.style == "json":
        data = [
            {
                "file": path,
                "orchestrators": [{**as_data(b), "sizes": sizes_as_data(s)} for b, s in bounds],
            }
            for path, bounds in bounded.items()
        ]
        echo(json.dumps(data, indent=2))
        return _code(request, result, found)
    for number, (path, bounds) in enumerate(bounded.items()):
        if len(bounded) > 1:
            echo(("\n" if number else "") + path)
        if bounds:
            echo(as_text([bound for bound, _ in bounds]))
            echo("\n" + sizes_as_text([sizes for _, sizes in bounds]))
        else:
            echo("no orchestrator, so nothing to bound")
    return _code(request, result, found)
