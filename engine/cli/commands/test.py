"""`orch test`: run the tests of files, offline, and report the results."""

from __future__ import annotations

import json
import os
from typing import IO, Any

import click

from engine import clock
from engine.cli import complete
from engine.cli.exit_codes import CommandError, Exit
from engine.cli.files import orch_files
from engine.cli.format_values import compact, duration, one_line
from engine.cli.options import color_option, format_option, param_option
from engine.cli.output import error, report, use_color, warn
from engine.errors import CompileError, UnreadableFile
from engine.printable import printable
from engine.testing import Finding, TestResult, junit_xml, run_tests
from engine.workers.output import reserved_stdout

__all__ = ["command"]


@click.command("test")
@click.argument("paths", nargs=-1, required=True, metavar="FILE...", shell_complete=complete.files)
@click.option(
    "-k",
    "select",
    default="",
    metavar="TEXT",
    help="Only tests with TEXT in their title or in the name of their target.",
)
@param_option
@format_option("How to show the results.", "junit")
@click.option("--junit", "junit_path", metavar="PATH", help="Write JUnit XML to this file too.")
@color_option
def command(
    paths: tuple[str, ...],
    select: str,
    params: dict[str, str],
    style: str,
    junit_path: str | None,
    color: str,
) -> int:
    """Run the tests of files, or of all *.orch files in folders.

    Decisions come from scripts and workers from mocks: no calls are made, no key is needed, and a
    call without a mock fails its test.

    Exit codes: 0 all passed, or there are no tests; 1 a test failed; 2 usage; 3 something cannot
    be read or has errors.
    """
    began = clock.running_s()
    files, unreadable = orch_files(paths)
    results: list[TestResult] = []
    with reserved_stdout() as stream:
        painter = _Painter(stream, use_color(stream, color))
        for path in files:
            try:
                found = run_tests(path, params=params, select=select)
            except CompileError as problem:
                report(problem.diagnostics, color)
                unreadable = True
                continue
            except UnreadableFile as problem:
                error(str(problem), help=problem.help)
                unreadable = True
                continue
            results += found
            if style == "text" and found:
                painter.file(path, found)
        if junit_path is not None:
            _write(junit_path, junit_xml(results))
        if style == "text":
            painter.end(results, int((clock.running_s() - began) * 1000))
        elif style == "json":
            stream.write(json.dumps([result.as_dict() for result in results], indent=2) + "\n")
        else:
            text = junit_xml(results)
            stream.write(printable(text) if stream.isatty() else text)
        stream.flush()
    if not results and not unreadable:
        of = f" with '{select}' in their title or target" if select else ""
        warn(f"there are no tests{of}: nothing was tested")
    if unreadable:
        return Exit.UNREADABLE
    return Exit.OK if all(result.passed for result in results) else Exit.FINDINGS


def _write(path: str, text: str) -> None:
    try:
        os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
        with open(path, "w", encoding="utf-8", newline="\n") as file:
            file.write(text)
    except OSError as problem:
        reason = (problem.strerror or str(problem)).lower()
        raise CommandError(f"cannot write {path}: {reason}", Exit.UNREADABLE) from None


class _Painter:
    """Writes results for people: a line a file, a block for each test that failed, a summary."""

    def __init__(self, stream: IO[str], color: bool) -> None:
        self._stream = stream
        self._color = color

    def file(self, path: str, results: list[TestResult]) -> None:
        """One line with a mark for each test."""
        marks = "".join(
            self._paint(".", "\x1b[32m") if result.passed else self._paint("F", "\x1b[31m")
            for result in results
        )
        self._line(f"{printable(path)} {marks}")
        self._stream.flush()

    def end(self, results: list[TestResult], ms: int) -> None:
        """What failed and why, and how many did."""
        failed = [result for result in results if not result.passed]
        for result in failed:
            self._line("")
            head = f'{result.target}: "{one_line(result.title)}"'
            self._line(f"{self._paint('FAILED', chr(27) + '[1;31m')} {head}")
            for finding in result.findings:
                self._finding(finding)
            for told in result.story:
                self._line(f"  | {one_line(told, 300)}")
        if failed:
            self._line("")
        if not results:
            return
        passed = len(results) - len(failed)
        parts = [f"{len(failed)} failed"] if failed else []
        if passed:
            parts.append(f"{passed} passed")
        tone = "\x1b[1;31m" if failed else "\x1b[1;32m"
        self._line(f"{self._paint(', '.join(parts), tone)} in {duration(ms)}")

    def _finding(self, finding: Finding) -> None:
        self._line(f"  {printable(str(finding.span))}: {one_line(finding.message, 600)}")
        width = max((len(text) for text, _ in finding.values), default=0)
        for text, value in finding.values:
            text = one_line(text, 300)
            self._line(f"      {text.ljust(min(width, 60))} = {_shown(value)}")

    def _paint(self, text: str, tone: str) -> str:
        return f"{tone}{text}\x1b[0m" if self._color else text

    def _line(self, text: str) -> None:
        self._stream.write(f"{text}\n")


def _shown(value: Any) -> str:
    return json.dumps(value) if isinstance(value, str) and len(value) < 200 else compact(value, 200)
