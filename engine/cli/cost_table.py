"""`orch runs --cost`: what runs cost, as a table or as JSON."""

from __future__ import annotations

import json
from collections.abc import Sequence

from engine.cli.format_values import count, money, one_line
from engine.cli.format_values import tokens as in_short
from engine.cli.output import echo, warn
from engine.history.costs import Group, Total, grouped, total_of
from engine.journal import Journal, RunSummary

__all__ = ["tell_costs"]


def tell_costs(journal: Journal, runs: Sequence[RunSummary], by: Group, style: str) -> None:
    """Print what runs cost, by group: days in order, the rest with the most expensive first."""

    def damaged(run: str, what: str) -> None:
        warn(f"the journal of run {run} is damaged: {what}", help="what can be read is counted")

    groups, everything = grouped(journal, runs, by, damaged)
    names = sorted(groups) if by == "day" else sorted(groups, key=lambda n: (-groups[n].usd, n))
    if style == "json":
        rows = [{by: name, **total_of(groups[name])} for name in names]
        echo(json.dumps({"by": by, "rows": rows, "total": total_of(everything)}, indent=2))
        return
    if not groups:
        echo("no call of a metered model", err=True)
        return
    _table([(by, groups, names), ("", {"total": everything}, ["total"])])
    if everything.unpriced:
        echo(f"+ {count(everything.unpriced, 'call')} with no known price", err=True)
    if everything.estimated:
        said = count(everything.estimated, "call")
        echo(f"{said} of unreported usage, counted at the most they can cost", err=True)


def _table(parts: Sequence[tuple[str, dict[str, Total], list[str]]]) -> None:
    head = (parts[0][0], "runs", "calls", "tokens in", "tokens out", "cost")
    rows = [head]
    for _, totals, names in parts:
        rows += [_row(one_line(name), totals[name]) for name in names]
    widths = [max(len(row[column]) for row in rows) for column in range(len(head))]
    for row in rows:
        cells = [row[0].ljust(widths[0])]
        cells += [cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True)]
        echo("  ".join(cells).rstrip())


def _row(name: str, total: Total) -> tuple[str, str, str, str, str, str]:
    cost = money(total.usd / 1_000_000)
    if total.unpriced:
        cost = "unknown" if total.unpriced == total.calls else f"{cost} + unknown"
    tokens = in_short(total.input_tokens), in_short(total.output_tokens)
    return (name, str(total.runs), str(total.calls), *tokens, cost)
