"""`orch models`: which models a program uses, and with `--check` what works when they are asked.

Tables only: what is known comes from `engine.models.overview`, what was found from
`engine.models.probe`.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Mapping, Sequence
from typing import Any

import click
import msgspec

from engine.cli import complete
from engine.cli.checked import check_with_params
from engine.cli.exit_codes import CommandError, Exit
from engine.cli.format_values import count, duration, money, one_line, tokens
from engine.cli.options import format_option, pairs, param_option
from engine.cli.output import echo, report
from engine.drive.preflight import check_overrides
from engine.errors import UsageError
from engine.events import ModelInfo
from engine.models.overview import ModelFacts, facts_of
from engine.models.probe import Found, most_of, probe
from engine.models.registry import open_model, warm
from engine.schemes import anchor_id
from engine.sema.model import Model, Program
from engine.sema.suggest import closest, names_list

__all__ = ["command"]

#: Schemes whose models answer from what is written down, so that nothing is to be checked.
_NOT_ASKED = frozenset({"scripted", "recorded", "python", "memory"})


@click.command("models")
@click.argument("given", nargs=-1, metavar="[FILE] [NAME]...", shell_complete=complete.models)
@click.option("--check", is_flag=True, help="Ask each model once, and say what works.")
@click.option(
    "--model",
    "replaced",
    multiple=True,
    metavar="NAME=ID",
    callback=pairs,
    help="Replace a declared model.",
)
@param_option
@format_option("Output format.")
def command(
    given: tuple[str, ...],
    check: bool,
    replaced: dict[str, str],
    params: dict[str, str],
    style: str,
) -> int:
    """List the models of FILE: where and how each is asked, and what it costs.

    Without FILE it is the one `.orch` file of this folder. NAMEs are the models to list; all of
    them by default. Keys are never shown, only whether they are set.

    `--check` makes one small call to each model, as a run would. It asks for JSON by a schema, as
    a stream, and prints what works: the answer, the schema, the stream, the report of usage. The
    most that this can cost is printed first, and what it did cost at the end.

    Exit codes: 0 listed, or every model that was asked has answered; 1 a model has not, or cannot
    be used; 2 usage; 3 the file cannot be read or has errors.
    """
    file, names = _file_and_names(given)
    checked = check_with_params(file, params)
    if checked.program is None:
        report(checked.diagnostics)
        return Exit.UNREADABLE
    program = checked.program
    here = {name: anchor_id(id, os.getcwd()) for name, id in replaced.items()}
    check_overrides(program, here)
    chosen = _chosen(program, names)
    known = {name: facts_of(model, here.get(name), os.environ) for name, model in chosen.items()}
    facts = [fact for fact, _ in known.values()]
    if not check:
        _list(facts, style)
        return Exit.FINDINGS if any(fact.problem for fact in facts) else Exit.OK
    infos = {name: info for name, (_, info) in known.items()}
    return _check(chosen, facts, infos, style)


def _file_and_names(given: Sequence[str]) -> tuple[str, tuple[str, ...]]:
    if given and (given[0].endswith(".orch") or os.path.exists(given[0])):
        return given[0], tuple(given[1:])
    found = sorted(name for name in os.listdir() if name.endswith(".orch"))
    if len(found) == 1:
        return found[0], tuple(given)
    if not found:
        raise CommandError("there is no .orch file in this folder; name one", Exit.USAGE)
    raise CommandError(f"name one of the files here: {names_list(found)}", Exit.USAGE)


def _chosen(program: Program, names: Sequence[str]) -> dict[str, Model]:
    if not program.models:
        raise CommandError(f"{program.path} declares no model", Exit.USAGE)
    for name in names:
        if name not in program.models:
            near = closest(name, program.models)
            hint = f"did you mean `{near}`?" if near else f"it has {names_list(program.models)}"
            raise CommandError(f"there is no model `{name}`", Exit.USAGE, help=hint)
    return {name: program.models[name] for name in names or program.models}


# ------------------------------------------------------------ what is known


def _list(facts: Sequence[ModelFacts], style: str) -> None:
    if style == "json":
        echo(json.dumps([_plain(fact) for fact in facts], indent=2))
        return
    head = ("model", "id", "asked", "dialect", "schemas", "context", "price", "key", "limits")
    _table(head, [_row(fact) for fact in facts])
    for fact in facts:
        if fact.problem:
            echo(f"{fact.name}: {one_line(fact.problem, 400)}")


def _plain(fact: ModelFacts) -> dict[str, Any]:
    return {
        **msgspec.to_builtins(fact),
        "input_usd": _dollars(fact.input_usd),
        "output_usd": _dollars(fact.output_usd),
    }


def _dollars(micro: int | None) -> float | None:
    return None if micro is None else micro / 1_000_000


def _row(fact: ModelFacts) -> tuple[str, ...]:
    if fact.input_usd is None or fact.output_usd is None:
        price = "not known" if fact.way in ("direct", "litellm") else "none"
    elif fact.input_usd or fact.output_usd:
        price = f"${fact.input_usd / 1e6:g} / ${fact.output_usd / 1e6:g}"
    else:
        price = "none"
    key = {"none": "not needed", "unknown": "?"}.get(fact.key, fact.key)
    return (
        fact.name,
        one_line(fact.id, 60),
        fact.way,
        fact.dialect or "-",
        fact.structured,
        "not known" if fact.context is None else tokens(fact.context),
        price,
        f"{key} ({fact.key_variable})" if fact.key_variable else key,
        _limits(fact),
    )


def _limits(fact: ModelFacts) -> str:
    parts = [f"{tokens(fact.max_tokens)} out", duration(fact.timeout_ms)]
    for number, what in ((fact.max_concurrent, "at once"), (fact.rpm, "rpm"), (fact.tpm, "tpm")):
        if number is not None:
            parts.append(f"{number} {what}")
    if fact.fallback:
        parts.append(f"then {', '.join(fact.fallback)}")
    return ", ".join(parts)


# ------------------------------------------------------------ what works


def _check(
    models: Mapping[str, Model],
    facts: Sequence[ModelFacts],
    infos: Mapping[str, ModelInfo],
    style: str,
) -> int:
    asked = [fact.name for fact in facts if fact.way not in _NOT_ASKED and not fact.problem]
    most = [most_of(models[name], infos[name]).cost_usd for name in asked]
    bound = None if None in most else sum(cost or 0 for cost in most)
    said = "no price is known for one of them" if bound is None else f"{_cost(bound)} at most"
    echo(f"asking {count(len(asked), 'model')}: {said}", err=True)
    warm((models[name], infos[name].id) for name in asked)
    found = asyncio.run(_ask_all([(models[name], infos[name]) for name in asked]))
    used = [one.used.cost_micro_usd for one in found if one.used is not None]
    total = None if None in used else sum(cost or 0 for cost in used)
    if style == "json":
        results = [msgspec.to_builtins(one) for one in found]
        costs = {"most_usd": _dollars(bound), "cost_usd": _dollars(total)}
        echo(json.dumps({"models": results, **costs}, indent=2))
    else:
        _show(found, facts, asked)
        echo(f"cost: {'not known' if total is None else _cost(total)}")
    bad = any(not one.answers for one in found) or any(fact.problem for fact in facts)
    return Exit.FINDINGS if bad else Exit.OK


async def _ask_all(models: Sequence[tuple[Model, ModelInfo]]) -> list[Found]:
    return await asyncio.gather(*[_ask(model, info) for model, info in models])


async def _ask(model: Model, info: ModelInfo) -> Found:
    try:
        opened = open_model(model, info)
    except UsageError as error:
        return Found(model.name, False, "", 0, False, 0, 0, None, str(error))
    try:
        return await probe(model, info, opened)
    finally:
        await opened.close()


def _show(found: Sequence[Found], facts: Sequence[ModelFacts], asked: Sequence[str]) -> None:
    head = ("model", "answer", "schema", "stream", "usage", "cached", "time", "cost")
    _table(head, [_result(one) for one in found])
    for one in found:
        if one.failure:
            echo(f"{one.name}: {one_line(one.failure, 400)}")
        elif one.structured == "refused":
            echo(f"{one.name}: its provider refused the schema; it answers with it in the prompt")
    for fact in facts:
        if fact.problem:
            echo(f"{fact.name}: {one_line(fact.problem, 400)}")
        elif fact.name not in asked:
            echo(f"{fact.name}: not asked, `{fact.way}/` needs no check")


def _result(one: Found) -> tuple[str, ...]:
    if not one.answers:
        return (one.name, "no", "-", "-", "-", "-", duration(one.ms), "-")
    used = "not reported"
    if one.used is not None:
        used = f"{one.used.input_tokens} in, {one.used.output_tokens} out"
    cost = None if one.used is None else one.used.cost_micro_usd
    return (
        one.name,
        "yes",
        one.structured,
        count(one.pieces, "piece") if one.pieces > 1 else "in one piece",
        used,
        str(one.cached_tokens) if one.usage else "-",
        duration(one.ms),
        "not known" if cost is None else _cost(cost),
    )


def _cost(micro_usd: int) -> str:
    return money(micro_usd / 1_000_000)


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    wide = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
    for row in (head, *rows):
        echo("  ".join(f"{cell:{width}}" for cell, width in zip(row, wide, strict=True)).rstrip())
