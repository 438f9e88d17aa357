"""Options that several commands share, so that they are spelled and explained once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

from engine.errors import UsageError
from engine.labels import parse_labels

__all__ = ["color_option", "format_option", "label_option", "pairs", "param_option", "utf8"]

_F = TypeVar("_F", bound=Callable[..., Any])


def pairs(ctx: click.Context, option: click.Parameter, given: tuple[str, ...]) -> dict[str, str]:
    """`("a=1", "b=2")` as a map; a click callback."""
    result: dict[str, str] = {}
    for item in given:
        key, equals, value = item.partition("=")
        if not equals or not key:
            raise click.BadParameter(f"'{item}' is not of the form NAME=VALUE.", ctx, option)
        if key in result:
            raise click.BadParameter(f"'{key}' is given twice.", ctx, option)
        result[key] = value
    return result


def utf8(ctx: click.Context, option: click.Parameter, given: str | None) -> str | None:
    """A text that a journal will keep; a click callback."""
    try:
        (given or "").encode()
    except UnicodeEncodeError:
        raise click.BadParameter("this is not UTF-8.", ctx, option) from None
    return given


def _labels(ctx: click.Context, option: click.Parameter, given: tuple[str, ...]) -> dict[str, str]:
    """`("team=x",)` as labels; a click callback."""
    try:
        return parse_labels(given)
    except UsageError as problem:
        raise click.BadParameter(f"{problem}.", ctx, option) from None


def label_option(help: str) -> Callable[[_F], _F]:
    """`--label NAME=VALUE`, any number of times, as `labels`."""
    return click.option(
        "--label", "labels", multiple=True, metavar="NAME=VALUE", callback=_labels, help=help
    )


def param_option(function: _F) -> _F:
    """`--param NAME=VALUE`, any number of times, as `params`."""
    return click.option(
        "--param",
        "params",
        multiple=True,
        metavar="NAME=VALUE",
        callback=pairs,
        help="Set a `param` of the file; may be given several times.",
    )(function)


def format_option(help: str, *more: str) -> Callable[[_F], _F]:
    """`--format text|json`, and whatever `more` a command can write, as `style`."""
    return click.option(
        "--format",
        "style",
        type=click.Choice(["text", "json", *more]),
        default="text",
        show_default=True,
        help=help,
    )


def color_option(function: _F) -> _F:
    """`--color auto|always|never`, as `color`."""
    return click.option(
        "--color",
        type=click.Choice(["auto", "always", "never"]),
        default="auto",
        show_default=True,
        help="When to use colours; auto: on a terminal, unless NO_COLOR is set.",
    )(function)
