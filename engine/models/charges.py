"""What a provider says that a call has cost, in micro-dollars: where one does, and in what words.

Only providers whose documentation gives the field in dollars are in the table: another server may
count in a currency or in credits of its own, and some say 0 where they do not know. A program's
`price` counts for more than what is reported here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import ROUND_CEILING, Decimal, InvalidOperation
from typing import Any

__all__ = ["REPORTING", "charged_usd"]


def charged_usd(usage: Mapping[str, Any], provider: str) -> int | None:
    """What the provider charged for a call; None where it did not say, or said nothing usable.

    Args:
        usage: The usage in its answer.
        provider: The first part of the model's id.
    """
    read = REPORTING.get(provider)
    return None if read is None else read(usage)


def _openrouter(usage: Mapping[str, Any]) -> int | None:
    """Credits, which are dollars. With a key of one's own the provider behind bills the rest."""
    cost = _micro(usage.get("cost"))
    if usage.get("is_byok") is not True:
        return cost
    details = usage.get("cost_details")
    if not isinstance(details, Mapping):
        return None
    behind = _micro(details.get("upstream_inference_cost"))
    return None if cost is None or behind is None else cost + behind


def _micro(dollars: Any) -> int | None:
    if isinstance(dollars, bool) or not isinstance(dollars, (int, float)):
        return None
    try:
        micro = Decimal(str(dollars)) * 1_000_000
        found = int(micro.to_integral_value(rounding=ROUND_CEILING))
    except (InvalidOperation, ValueError, OverflowError):  # not a number, or without end
        return None
    return found if 0 < found < 1 << 53 else None


#: How each provider reports it. OpenRouter: https://openrouter.ai/docs/use-cases/usage-accounting,
#: as of November 2026.
REPORTING: dict[str, Callable[[Mapping[str, Any]], int | None]] = {"openrouter": _openrouter}
