"""What arguments a filter or test takes: read from the signature of its function, once.

`problem` says in a sentence what is wrong with the arguments at one place, if that is certain:
a misspelt keyword, one too many, one missing. Positions and reports are the caller's.
"""

from __future__ import annotations

import inspect
from functools import lru_cache
from typing import Any

import msgspec
from jinja2 import nodes

from engine.sema.expressions.environment import shared_environment
from engine.sema.suggest import closest, names_list

__all__ = ["ArgumentProblem", "problem"]

#: Filters that hand keywords on, and the ones they know themselves when no filter is named.
_FORWARDING: dict[str, tuple[str, ...]] = {
    "map": ("attribute", "default"),
    "select": (),
    "reject": (),
    "selectattr": (),
    "rejectattr": (),
}


class ArgumentProblem(msgspec.Struct, frozen=True):
    """What is wrong; `keyword` is the argument it is about, if there is one."""

    message: str
    help: str | None = None
    keyword: str | None = None
    near: str | None = None


class _Shape(msgspec.Struct, frozen=True):
    names: tuple[str, ...]
    required: tuple[str, ...]
    takes_more: bool
    takes_any_keyword: bool


def problem(node: nodes.Filter | nodes.Test) -> ArgumentProblem | None:
    """What is wrong with the arguments of a filter or test that exists."""
    if node.dyn_args is not None or node.dyn_kwargs is not None:
        return None
    kind = "filter" if isinstance(node, nodes.Filter) else "test"
    keywords = [str(keyword.key) for keyword in node.kwargs]
    if node.name in _FORWARDING and kind == "filter":
        known = _FORWARDING[node.name]
        if node.args:
            return None
        for key in keywords:
            if key not in known:
                return _unknown(kind, node.name, key, known)
        missing = "attribute" if node.name == "map" and "attribute" not in keywords else None
        if missing is not None:
            help_text = 'write `map("upper")` or `map(attribute="name")`'
            return ArgumentProblem("filter `map` needs a filter or an `attribute`", help_text)
        return None
    shape = _shape(kind, node.name)
    if shape is None:
        return None
    if not shape.takes_any_keyword:
        for key in keywords:
            if key not in shape.names:
                return _unknown(kind, node.name, key, shape.names)
    if len(node.args) > len(shape.names) and not shape.takes_more:
        count = len(shape.names)
        takes = "no argument" if not count else f"at most {count} argument{'s' * (count != 1)}"
        return ArgumentProblem(f"{kind} `{node.name}` takes {takes}")
    given = {*shape.names[: len(node.args)], *keywords}
    for name in shape.required:
        if name not in given:
            example = ", ".join(shape.required)
            help_text = f"write `{node.name}({example})`"
            return ArgumentProblem(f"{kind} `{node.name}` needs `{name}`", help_text)
    return None


def _unknown(kind: str, name: str, key: str, known: tuple[str, ...]) -> ArgumentProblem:
    near = closest(key, known)
    help_text = f"there is {names_list(known)}" if known else "it takes no keywords"
    if near is not None:
        help_text = f"did you mean `{near}`?"
    return ArgumentProblem(f"{kind} `{name}` has no argument `{key}`", help_text, key, near)


@lru_cache(maxsize=256)
def _shape(kind: str, name: str) -> _Shape | None:
    environment = shared_environment()
    functions: Any = environment.filters if kind == "filter" else environment.tests
    function = functions[name]
    try:
        parameters = list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):
        return None
    # The value itself, and what Jinja2 passes before it, belong to no caller.
    skipped = 2 if getattr(function, "jinja_pass_arg", None) is not None else 1
    own = parameters[skipped:]
    if len(parameters) < skipped or any(p.kind is p.VAR_POSITIONAL for p in parameters[:skipped]):
        return None
    plain = [p for p in own if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)]
    return _Shape(
        tuple(p.name for p in plain),
        tuple(p.name for p in plain if p.default is p.empty),
        any(p.kind is p.VAR_POSITIONAL for p in own),
        any(p.kind is p.VAR_KEYWORD for p in own),
    )
