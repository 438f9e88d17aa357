"""The worker of the program beside it."""

from orch import Failure


def upper(text: str) -> str:
    if not text:
        raise Failure("silent", "there is nothing to shout")
    return text.upper()
