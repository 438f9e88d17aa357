"""Secrets taken out of everything that is kept or shown.

A declared secret's value is replaced by `[secret NAME]` wherever it turns up: in outputs, in the
messages of failures, in logs. The journal, the prompts and the terminal only ever see the rest.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["Redactor"]

#: A shorter value would be found by chance in ordinary text, and is no secret worth the name.
MIN_LENGTH = 4


class Redactor:
    """Replaces the values of secrets.

    Args:
        secrets: Values by name; short or empty ones are left alone.
    """

    def __init__(self, secrets: Mapping[str, str]) -> None:
        # Longest first, so that a secret that contains another one goes as a whole.
        self._pairs = sorted(
            (
                (value, f"[secret {name}]")
                for name, value in secrets.items()
                if len(value) >= MIN_LENGTH
            ),
            key=lambda pair: -len(pair[0]),
        )

    def text(self, text: str) -> str:
        """The text without secrets."""
        for value, shown in self._pairs:
            if value in text:
                text = text.replace(value, shown)
        return text

    def value(self, value: Any) -> Any:
        """The JSON value without secrets, keys included; the same object if there are none."""
        if not self._pairs:
            return value
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, list):
            return [self.value(item) for item in value]
        if isinstance(value, dict):
            return {self.text(key): self.value(item) for key, item in value.items()}
        return value
