"""The tables of `docs/howto/models.md`: providers asked directly, and dialects of schemas."""

from __future__ import annotations

from engine.dialects.dialect import Dialect
from engine.dialects.table import DIALECTS
from engine.models.endpoints import provider_rows

__all__ = ["with_models"]

_END = "<!-- The end of what is made. -->\n"
_TABLES = {
    "<!-- Made by docs/_generate.py from engine/models/endpoints.py. -->\n": lambda: _providers(),
    "<!-- Made by docs/_generate.py from engine/dialects/table.py. -->\n": lambda: _dialects(),
}


def with_models(page: str) -> str:
    """The text of the page with its tables written again."""
    for begin, table in _TABLES.items():
        before, _, rest = page.partition(begin)
        _, _, after = rest.partition(_END)
        page = f"{before}{begin}\n{table()}\n\n{_END}{after}"
    return page


def _providers() -> str:
    lines = ["| id begins with | address | variables |", "| --- | --- | --- |"]
    for name, base, variables in provider_rows():
        where = f"`{base}`" if base else "`api_base`"
        lines.append(f"| `{name}/` | {where} | {', '.join(f'`{v}`' for v in variables)} |")
    return "\n".join(lines)


def _dialects() -> str:
    lines = ["| dialect | takes | at most | sources |", "| --- | --- | --- | --- |"]
    for row in DIALECTS.values():
        sources = ", ".join(f"[{source.date}]({source.url})" for source in row.sources)
        lines.append(f"| `{row.name}`: {row.title} | {_takes(row)} | {_most(row)} | {sources} |")
    return "\n".join(lines)


def _takes(row: Dialect) -> str:
    if not row.native:
        return "no schema"
    parts = [
        "strict" if row.strict else "",
        "optional keys" if row.optional == "absent" else "",
        "recursion" if row.recursion else "",
        "`$ref`" if row.refs else "",
        "open objects" if row.open_objects else "",
        "any value" if row.any_value else "",
        *(f"`{keyword}`" for keyword in sorted(row.keywords)),
    ]
    return ", ".join(part for part in parts if part) or "the basics"


def _most(row: Dialect) -> str:
    limits = (
        ("unions", row.max_unions),
        ("optional keys", row.max_optional),
        ("levels", row.max_depth),
        ("keys", row.max_properties),
        ("values of enumerations", row.max_enum),
    )
    return ", ".join(f"{most:,} {what}" for what, most in limits if most is not None) or "-"
