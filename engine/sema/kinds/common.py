"""The settings that kinds share: effect, trust and timeout of workers, verdicts of verifiers.

A kind adds its own rows before these. Which effect and trust hold where a file is silent is the
kind's choice; the checker reads whatever the rows say.
"""

from __future__ import annotations

from typing import Literal

from engine.sema.settings.table import Row
from engine.sema.settings.values import BlockValue, Choice, Computed, Duration, Names, Size
from engine.sizes import MAX_OUTPUT_BYTES

__all__ = ["CHECKED", "ENV", "REPAIR", "VERIFIER", "worker_settings"]

_MAX_BYTES = Row(
    "max_bytes",
    Size(),
    "The most one answer may take; more is `invalid_output`.",
    default=MAX_OUTPUT_BYTES,
)
_TIMEOUT = Row("timeout", Duration(), "How long one attempt may take.")
_RETRY = Row("retry", BlockValue("retry"), "Make a failed call again.")

#: Of kinds that start a process.
ENV = Row(
    "env",
    Computed(secrets=True, shape="map", block="env"),
    "Its environment: what is set, or a block that also says what is inherited.",
    otherwise="the engine's without keys and secrets",
)

#: Of kinds that ask a model: an answer that breaks its contract is asked for again.
REPAIR = Row("repair", BlockValue("repair"), "Ask again for an answer that breaks its contract.")

#: What every verifier takes.
VERIFIER = (
    Row("skip_when", Computed(scope="inputs"), "The hook counts as not run where this holds."),
)

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
    _MAX_BYTES,
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
            "What carrying it out does to the world outside.",
            required=effect is None,
            default=effect,
        ),
        Row(
            "trust",
            Choice(("trusted", "untrusted")),
            "Whether its output comes from outside and may hold instructions of strangers.",
            default=trust,
        ),
        _TIMEOUT,
        _RETRY,
        Row("fallback", Names(("worker",)), "Workers of the same contract to try when it fails."),
        _MAX_BYTES,
    )
