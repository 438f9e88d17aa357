"""What a thing is, in Markdown: for hover and for completion.

Texts come from where they are already: declarations as written, `///` docs, the table of
settings, the catalogue of rules, the bounds.
"""

from __future__ import annotations

import inspect

from engine.bounds import Bound, amount, dollars
from engine.diagnostics import RULES, Diagnostic, explained
from engine.graph.plans import steps_of
from engine.lsp.names import Target
from engine.lsp.project import Analysis
from engine.sema.expressions.environment import shared_environment
from engine.sema.model import Orchestrator, Program
from engine.sema.settings.table import Kind, Row
from engine.sema.settings.values import (
    BlockValue,
    Bool,
    CallPath,
    Choice,
    ChoiceOrStrings,
    Computed,
    Duration,
    Int,
    Ints,
    Mode,
    Modes,
    Money,
    Names,
    NumberValue,
    Parse,
    Share,
    ShareOrNumber,
    Size,
    Str,
    Strings,
    Text,
    Words,
)
from engine.sema.trust import shown
from engine.syntax import ast

__all__ = [
    "about_bound",
    "about_filter",
    "about_rule",
    "about_setting",
    "about_target",
    "code",
    "filter_signature",
    "header",
    "value_words",
]

#: A schema longer than this is cut where it is shown.
_MAX_LINES = 24

_VALUES: dict[type, str] = {
    Int: "a whole number",
    NumberValue: "a number",
    Bool: "`true` or `false`",
    Duration: "a duration, such as `30s`",
    Money: "an amount, such as `$2.50`",
    Size: "a size, such as `20KiB`",
    Share: "a share, such as `60%`",
    ShareOrNumber: "a number or a share, such as `20%`",
    Str: "a string",
    Strings: "a list of strings",
    Ints: "a list of whole numbers",
    Words: "a list of names",
    Mode: "a failure mode",
    Modes: "a list of failure modes",
    CallPath: '`"package.module:function"`',
    Parse: '`json`, `lines`, `text` or `"package.module:function"`',
    Text: "a template",
}


def code(text: str) -> str:
    """A piece of a `.orch` file."""
    return f"```orch\n{text}\n```"


def header(node: ast.Node) -> str:
    """A declaration as it is written, without its body."""
    text = node.span.text
    body = getattr(node, "body", None)
    if isinstance(body, ast.Body):
        text = text[: body.span.start - node.span.start].rstrip()
    elif isinstance(node, ast.TemplateDecl):
        text = text[: node.text.span.start - node.span.start].rstrip().removesuffix("=").rstrip()
    lines = text.splitlines()
    if len(lines) > _MAX_LINES:
        lines = [*lines[:_MAX_LINES], "..."]
    return "\n".join(lines)


def about_target(target: Target, analysis: Analysis) -> str:
    """A declared thing: how it is declared, its docs, what else is known of it."""
    index = analysis.index
    real = index.real(target)
    node = index.nodes.get(real)
    if node is None:
        return code(f"{real.kind} {real.name}")
    if real.kind == "import" and isinstance(node, ast.Import):
        return code(node.span.text)
    if real.kind == "mode":
        owner = index.owners[real]
        name = getattr(owner, "name", None)
        of = f" of `{name.text}`" if isinstance(name, ast.Name) else ""
        return f"failure mode `{real.name}`{of}"
    parts = [code(header(node))]
    doc = getattr(node, "doc", None)
    if doc:
        parts.append(doc)
    if real.kind in ("field", "input"):
        owner_name = getattr(index.owners[real], "name", None)
        if isinstance(owner_name, ast.Name):
            parts.append(f"{real.kind} of `{owner_name.text}`")
    parts += _facts(real, analysis)
    return "\n\n".join(parts)


def _facts(target: Target, analysis: Analysis) -> list[str]:
    """What the checked program knows beyond what is written."""
    program = analysis.result.partial
    scope = analysis.scope_of(target.path)
    spaces = () if scope is None else (scope.names, scope.params)
    canonical = next(
        (
            entity.canonical
            for space in spaces
            for entity in [space.get(target.name)]
            if entity is not None and entity.kind == target.kind
        ),
        target.name,
    )
    if target.kind == "model" and canonical in program.models:
        model = program.models[canonical]
        return [f"`{model.id}`, at most {model.max_tokens:,} tokens per answer"]
    if target.kind == "worker" and canonical in program.workers:
        worker = program.workers[canonical]
        shows = f", planners see `{worker.show}`" if worker.show else ""
        return [f"effect `{worker.effect}`, output `{worker.trust or 'trusted'}`{shows}"]
    if target.kind == "step":
        return _step_facts(target, analysis)
    if target.kind == "param" and canonical in program.params:
        return [f"value: `{program.params[canonical].value!r}`"]
    if target.kind == "orchestrator" and canonical in program.orchestrators:
        bound = analysis.bounds.get(canonical)
        seen = _seen(program, program.orchestrators[canonical])
        return [*([] if bound is None else [about_bound(bound)]), *seen]
    return []


def _seen(program: Program, orchestrator: Orchestrator) -> list[str]:
    """What its planner is shown of its workers, where that is not the beginning of an output."""
    known = [
        program.workers.get(name) or program.orchestrators.get(name)
        for name in orchestrator.workers
    ]
    shows = {worker.name: shown(orchestrator, worker) for worker in known if worker is not None}
    said = [f"`{name}` as `{show}`" for name, show in shows.items() if show != "preview"]
    return [f"its planner sees {', '.join(said)}"] if said else []


def _step_facts(target: Target, analysis: Analysis) -> list[str]:
    """How many tasks a step becomes."""
    for worker in analysis.result.partial.workers.values():
        for step in steps_of(worker):
            span = step.step.span
            if span is None or (span.source.path, span.start) != (target.path, target.start):
                continue
            path = step.id.partition("/")[2].replace("/", ".")
            most = None if worker.plan is None else worker.plan.most.get(path)
            words = f"a step of `{worker.name}`: {step.kind}"
            return [words if most is None else f"{words}, at most {most:,} tasks"]
    return []


def about_bound(bound: Bound) -> str:
    """The worst case of an orchestrator in a line."""
    total = bound.total
    words = f"at most {amount(bound.rounds)} rounds, {amount(total.tasks)} tasks, "
    words += f"{amount(total.model_calls)} model calls, {amount(total.tokens)} tokens, "
    return words + dollars(total.cost_usd)


def value_words(row: Row) -> str:
    """What a setting takes."""
    value = row.value
    match value:
        case Choice(options=options):
            return "one of " + ", ".join(f"`{option}`" for option in options)
        case ChoiceOrStrings(options=options):
            return ", ".join(f"`{option}`" for option in options) + ", or a list of strings"
        case Names(kinds=kinds, many=many):
            what = " or ".join(kinds)
            return f"a list of {what} names" if many == "list" else f"the name of a {what}"
        case BlockValue(words=instead):
            return "a block" + "".join(f", or `{word}`" for word in instead)
        case Computed(shape=shape, block=block):
            words = {"list": "a list", "map": "a map"}.get(shape, "an expression")
            return words if block is None else f"{words}, or a block"
    return _VALUES.get(type(value), "a constant")


def about_setting(kind: Kind, row: Row) -> str:
    """A setting, from the table."""
    label = " NAME" if isinstance(row.value, BlockValue) and row.value.label else ""
    shape = f"{row.name}{label} {{ ... }}" if isinstance(row.value, BlockValue) else row.name
    lines = [f"`{shape}` in {kind.title}: {value_words(row)}", row.doc]
    if row.required:
        lines.append("Required.")
    elif row.default_text is not None:
        lines.append(f"Default: `{row.default_text}`")
    return "\n\n".join(lines)


def about_rule(item: Diagnostic) -> str:
    """The rule behind a finding."""
    rule = RULES[item.code]
    parts = [f"**{rule.code} {rule.name}**: {rule.summary}", explained(rule.code).why]
    parts.append(f"`orch explain {rule.code}` shows an example.")
    return "\n\n".join(parts)


def filter_signature(name: str) -> tuple[str, list[str], str] | None:
    """How a filter is written, its parameters, and what its author says of it."""
    function = shared_environment().filters.get(name)
    if function is None:
        return None
    try:
        parameters = list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):
        parameters = []
    takes_context = getattr(function, "jinja_pass_arg", None) is not None
    # The first is the value before the bar, or the environment and then the value.
    shown = [str(p).partition(":")[0] if p.default is p.empty else f"{p.name}={p.default!r}"
             for p in parameters[2 if takes_context else 1 :]]  # fmt: skip
    label = f"value | {name}" + (f"({', '.join(shown)})" if shown else "")
    doc = inspect.getdoc(function) or ""
    return label, shown, doc.partition("\n\n")[0].replace("\n", " ")


def about_filter(name: str) -> str | None:
    """A filter."""
    found = filter_signature(name)
    if found is None:
        return None
    label, _, doc = found
    return f"```jinja\n{label}\n```" + (f"\n\n{doc}" if doc else "")
