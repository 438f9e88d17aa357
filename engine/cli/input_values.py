"""The inputs of a run as commands take them: `-i NAME=VALUE` and `--input PATH`.

Shared by `orch run` and `orch plan`. Reads texts and files; whether the values fit their contract
is checked when the run is prepared.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from typing import Any, TypeVar

import click
import msgspec

from engine.cli import complete
from engine.errors import InputError
from engine.runtime.inputs import typed_inputs
from engine.sema.types.contract import Contract
from engine.sizes import size_words

__all__ = ["input_options", "input_values", "program_arguments"]

_F = TypeVar("_F", bound=Callable[..., Any])

#: How many times the size of the inputs a file may have, for indentation and similar.
_RAW_TIMES = 4


def _inputs(
    ctx: click.Context, option: click.Parameter, given: tuple[str, ...]
) -> list[tuple[str, str]]:
    """`-i key=value`, in order; a click callback."""
    found: dict[str, str] = {}
    for item in given:
        key, equals, value = item.partition("=")
        if not equals or not key:
            raise click.BadParameter(f"'{item}' is not of the form NAME=VALUE.", ctx, option)
        if key in found:
            raise click.BadParameter(f"'{key}' is given twice.", ctx, option)
        try:
            item.encode()
        except UnicodeEncodeError:
            raise click.BadParameter(f"the value of '{key}' is not UTF-8.", ctx, option) from None
        found[key] = value
    return list(found.items())


def program_arguments(function: _F) -> _F:
    """FILE and [ORCHESTRATOR], as `file` and `orchestrator`."""
    for argument in (
        click.argument(
            "orchestrator",
            metavar="[ORCHESTRATOR]",
            required=False,
            shell_complete=complete.orchestrators,
        ),
        click.argument("file", metavar="FILE", shell_complete=complete.files),
    ):
        function = argument(function)
    return function


def input_options(function: _F) -> _F:
    """`-i` and `--input`, as `inputs` and `source`."""
    for option in (
        click.option(
            "--input",
            "source",
            metavar="PATH",
            help="A JSON object with inputs; - is standard input.",
        ),
        click.option(
            "-i",
            "inputs",
            multiple=True,
            metavar="NAME=VALUE",
            callback=_inputs,
            help="Set an input. Strings are taken literally; other types are parsed as JSON.",
        ),
    ):
        function = option(function)
    return function


def input_values(
    contract: Contract, typed: list[tuple[str, str]], source: str | None, most: int
) -> dict[str, Any]:
    """The inputs from both sources; what is on the command line counts for more.

    Args:
        most: The most that the inputs may take, in bytes.

    Raises:
        InputError: A source cannot be read, or a text is not a value of its input's type.
    """
    problems: list[str] = []
    values: dict[str, Any] = {}
    try:
        values.update(_from_file(source, _RAW_TIMES * most))
    except InputError as error:
        problems += error.problems
    try:
        values.update(typed_inputs(contract, typed))
    except InputError as error:
        problems += error.problems
    if problems:
        raise InputError(problems)
    return values


def _from_file(source: str | None, most: int) -> dict[str, Any]:
    if source is None:
        return {}
    name = "standard input" if source == "-" else source
    try:
        if source == "-":
            data = sys.stdin.buffer.read(most + 1) if sys.stdin is not None else b""
        else:
            with open(source, "rb") as file:
                data = file.read(most + 1)
    except OSError as problem:
        reason = (problem.strerror or str(problem)).lower()
        raise InputError([f"--input: cannot read {name}: {reason}"]) from None
    if len(data) > most:
        raise InputError([f"--input: {name} is larger than {size_words(most)}"])
    try:
        value = msgspec.json.decode(data.removeprefix(b"\xef\xbb\xbf"))
    except (msgspec.DecodeError, ValueError, RecursionError) as problem:
        raise InputError([f"--input: {name} is not JSON: {_why(data, problem)}"]) from None
    if not isinstance(value, dict):
        raise InputError([f"--input: {name} must hold a JSON object with the inputs by name"])
    return value


def _why(data: bytes, problem: Exception) -> str:
    """What is wrong with a text that should be JSON, with line and column where possible."""
    if not data.strip():
        return "it is empty"
    if isinstance(problem, RecursionError):
        return "it is nested too deeply"
    try:
        json.loads(data.decode("utf-8-sig"))
    except UnicodeDecodeError:
        return "it is not UTF-8 text"
    except json.JSONDecodeError as error:
        return f"{error.msg} at line {error.lineno}, column {error.colno}"
    except (ValueError, RecursionError):
        pass
    return str(problem)
