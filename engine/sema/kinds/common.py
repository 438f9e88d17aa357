"""The settings that kinds share: effect, trust and timeout of workers, verdicts of verifiers.

A kind adds its own rows before these. Which effect and trust hold where a file is silent is the
kind's choice; the checker reads whatever the rows say.
"""

from __future__ import annotations

from typing import Literal

from engine.sema.settings.table import SHOW, Row
from engine.sema.settings.values import BlockValue, Bool, Choice, Computed, Duration, Names, Size
from engine.sizes import MAX_OUTPUT_BYTES

__all__ = ["CHECKED", "ENV", "MAX_BYTES", "REPAIR", "VERIFIER", "worker_settings"]

#: What one answer may take.
MAX_BYTES = Row(
    "max_bytes",
    Size(),
    "The maximum size of one answer; a larger one is `invalid_output`.",
    default=MAX_OUTPUT_BYTES,
)
_TIMEOUT = Row("timeout", Duration(), "The time limit for one attempt.")
_RETRY = Row("retry", BlockValue("retry"), "Retries a failed call.")

#: Of kinds that start a process.
ENV = Row(
    "env",
    Computed(secrets=True, shape="map", block="env"),
    "Its environment: variables to set, or a block that also selects inherited ones.",
    otherwise="the engine's without keys and secrets",
)

#: Of kinds that ask a model: an answer that breaks its contract is asked for again.
REPAIR = Row(
    "repair", BlockValue("repair"), "Asks again after an answer that violates its contract."
)

#: What every verifier takes.
VERIFIER = (Row("skip_when", Computed(scope="inputs"), "Skips the check if this is true."),)

#: What verifiers take whose verdict comes from a call.
CHECKED = (
    Row(
        "pass_when",
        Computed(scope="verdict"),
        "Whether the verdict passes, from `ok`, `score` and `feedback`.",
        otherwise="ok",
    ),
    *VERIFIER,
    _TIMEOUT,
    _RETRY,
    MAX_BYTES,
)


def worker_settings(
    *,
    effect: Literal["pure", "read", "write", "once"] | None = "read",
    trust: Literal["trusted", "untrusted"] = "trusted",
) -> tuple[Row, ...]:
    """What every worker takes.

    Args:
        effect: What holds where a file does not say it; None where it must.
        trust: Whether the output is trusted where a file does not say it.
    """
    return (
        Row(
            "effect",
            Choice(("pure", "read", "write", "once")),
            "What a task does to the outside world.",
            required=effect is None,
            default=effect,
        ),
        Row(
            "trust",
            Choice(("trusted", "untrusted")),
            "Whether its output is external text that may contain instructions from strangers.",
            default=trust,
        ),
        Row(
            "show",
            SHOW,
            "What a planner sees of its output: all of it, the beginning, what cannot be words "
            "(numbers, literals, dates, counts), or nothing.",
            otherwise="as the orchestrator's `context` says",
        ),
        Row(
            "commutes",
            Bool(),
            "Whether tasks that change something may run in any order, where a decision has steps.",
            otherwise="they keep the order of the decision",
        ),
        _TIMEOUT,
        _RETRY,
        Row(
            "fallback",
            Names(("worker",)),
            "Workers with the same contract to try if it fails, in order.",
        ),
        MAX_BYTES,
    )
