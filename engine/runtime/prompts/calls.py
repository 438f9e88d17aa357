"""The engine's words in the prompts of workers and verifiers, around those of the program.

Also what is said when an answer cannot be used, and the descriptions in the schemas that providers
are given with a call.
"""

from __future__ import annotations

VERIFIER_ROLE = (
    "You verify the work of others against the goal below. Judge only what you are shown. "
    "`ok` says whether the check passes, `feedback` what is wrong and what to do about it."
)


def the_check(doc: str) -> str:
    """What a verifier is there for."""
    return f"The check: {doc}"


def answer_with(schema: str) -> str:
    """The schema of an answer, where the provider cannot be given it."""
    return "Answer with one JSON value and nothing else. It must match this JSON Schema:\n" + schema


def output_too_large(most: str) -> str:
    """An output that its defaults make too large."""
    return f"with its defaults it takes more than {most} (`max_bytes`)"


BREAKS_CONTRACT = "the output does not match its contract"
#: The head of a remark on an output that a check did not let pass.
NOT_ACCEPTED = "A check did not pass"
#: What is shown of an answer without text.
EMPTY_ANSWER = "(empty)"


def repair(problems: str) -> str:
    """The answer to an output that breaks its contract."""
    return f"This answer cannot be used:\n{problems}\nGive the whole answer again, corrected."


def revision(said: str) -> str:
    """The answer to an output that a check did not let pass."""
    return f"{said}\nGive the whole answer again."


# Schemas that providers are given with the call.

AS_JSON = "The value as JSON text."
REFERENCE_TASK = "The id of another task."
REFERENCE_AT = 'A JSON Pointer into its output; "" for all of it.'
