"""Params: the values a program is folded with.

A value comes from the caller, else from the environment (`ORCH_PARAM_NAME`), else from the
default in the file. What the file says wrongly is a diagnostic; what the caller gives wrongly is
an `InputError`, for the file is right. A text that is not a value of the type is read as JSON, so
that `--param depth=3` means the number.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from engine.diagnostics import Diagnostic, diagnostic
from engine.sema.settings.constants import UNSET, NotConstant, constant_value
from engine.sema.suggest import closest, names_list
from engine.sema.types.contract import Contract
from engine.syntax import ast

__all__ = ["default_value", "environment_name", "given_value", "unknown_params"]

#: How a contract names the value itself.
ROOT = "(root): "


def environment_name(name: str) -> str:
    """The environment variable that sets a param."""
    return "ORCH_PARAM_" + name.replace(".", "_").upper()


def given_value(
    name: str,
    contract: Contract,
    given: Mapping[str, Any],
    env: Mapping[str, str],
    problems: list[str],
) -> Any:
    """What the caller or the environment says, or UNSET; adds what is wrong to `problems`."""
    if name in given:
        raw, source = given[name], f"param `{name}`"
    elif environment_name(name) in env:
        raw, source = env[environment_name(name)], environment_name(name)
    else:
        return UNSET
    wrong = contract.problems(raw)
    if not wrong:
        return raw
    if isinstance(raw, str):
        try:
            value = json.loads(raw)
        except ValueError:
            value = raw
        if value is not raw and not contract.problems(value):
            return value
    problems.append(f"{source}: {wrong[0].removeprefix(ROOT)}")
    return UNSET


def default_value(
    node: ast.ParamDecl, contract: Contract, report: Callable[[Diagnostic], None]
) -> Any:
    """The default of a param, or UNSET if it has none or a wrong one (reported)."""
    if node.default is None:
        return UNSET
    try:
        value = constant_value(node.default)
    except NotConstant as error:
        report(
            diagnostic(
                "ORC406",
                f"the default of param `{node.name.text}` must be a constant",
                error.span,
                help="write strings in quotes" if isinstance(node.default, ast.Variable) else None,
            )
        )
        return UNSET
    wrong = contract.problems(value)
    if wrong:
        report(
            diagnostic(
                "ORC204",
                f"the default of param `{node.name.text}` does not fit its type: "
                f"{wrong[0].removeprefix(ROOT)}",
                node.default.span,
            )
        )
        return UNSET
    return value


def unknown_params(given: Mapping[str, Any], known: Mapping[str, Any]) -> list[str]:
    """One sentence for each given param that the program does not have."""
    problems = []
    for name in given:
        if name not in known:
            near = closest(name, known)
            hint = f"did you mean `{near}`?" if near else f"it has {names_list(known) or 'none'}"
            problems.append(f"the program has no param `{name}`; {hint}")
    return problems
