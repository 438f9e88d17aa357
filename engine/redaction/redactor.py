"""Replaces the values of secrets by `[secret NAME]`, in whatever form they come back.

Outputs, words of failures, recordings and log records go through here before anybody else sees
them. The journal, the prompts and the terminal only ever see the rest.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import msgspec

from engine.redaction.escapes import Escaped
from engine.redaction.forms import MIN_LENGTH, core_of, forms, readable
from engine.redaction.numbers import Numbers

__all__ = ["Redactor"]

#: A value without a character that anybody escapes.
_PLAIN = re.compile(r"[A-Za-z0-9]*")


class Redactor:
    """Replaces the values of secrets.

    Args:
        secrets: Values by name; those shorter than four characters are left alone.
    """

    def __init__(self, secrets: Mapping[str, str]) -> None:
        #: The names of all of them, also of those whose values are left alone.
        self.names = frozenset(secrets)
        self._values = {name: value for name, value in secrets.items() if len(value) >= MIN_LENGTH}
        shown = {name: f"[secret {name}]" for name in self._values}
        pairs: dict[str, str] = {}
        for name, value in self._values.items():
            for form in forms(value):
                pairs.setdefault(form, shown[name])
        self._escaped = [
            (Escaped(plain), shown[name])
            for name, value in self._values.items()
            if not _PLAIN.fullmatch(plain := readable(value)) and len(plain) >= MIN_LENGTH
        ]
        # Longest first, so that a secret that contains another one goes as a whole.
        self._pairs = sorted(pairs.items(), key=lambda pair: (-len(pair[0]), pair[0]))
        # What of each form is the same in JSON, whatever JSON does with the rest.
        self._cores = {core_of(form).encode() for form in pairs}
        self._numbers = Numbers((value, shown[name]) for name, value in self._values.items())

    def __bool__(self) -> bool:
        return bool(self._pairs)

    def text(self, text: str) -> str:
        """The text without secrets."""
        for form, shown in self._pairs:
            if form in text:
                text = text.replace(form, shown)
        for escaped, shown in self._escaped:
            text = escaped.replaced(text, shown)
        if self._numbers:
            text = self._numbers.text(text)
        return text

    def value(self, value: Any) -> Any:
        """The JSON value without secrets, keys included; the same object if there are none."""
        if not self._pairs or not self._may_be_in(value):
            return value
        return self._cleaned(value)

    def _may_be_in(self, value: Any) -> bool:
        """Whether it is worth to look at each part: a tenth of the work where it is not."""
        if self._numbers or isinstance(value, str):
            return True
        try:
            written = msgspec.json.encode(value)
        except (TypeError, ValueError, RecursionError):
            return True
        return any(core in written for core in self._cores)

    def _cleaned(self, value: Any) -> Any:
        match value:
            case str():
                return self.text(value)
            case bool() | None:
                return value
            case int() | float():
                shown = self._numbers.shown(value) if self._numbers else None
                return value if shown is None else shown
            case list() | tuple():
                return [self._cleaned(item) for item in value]
            case Mapping():
                return {self._key(key): self._cleaned(item) for key, item in value.items()}
        return value

    def _key(self, key: Any) -> Any:
        return self.text(key) if isinstance(key, str) else key

    def said(self, text: str) -> str:
        """A model's answer without secrets; JSON in it remains valid JSON.

        A number that is replaced becomes a string, so it cannot be replaced as in plain text. JSON
        can also contain any character as an escape.
        """
        cleaned = self.text(text)
        if not self._pairs or (cleaned == text and "\\u" not in text):
            return cleaned
        begin, end = _json_in(text)
        try:
            value = msgspec.json.decode(text[begin:end])
        except (msgspec.DecodeError, UnicodeError, RecursionError):
            return cleaned
        clean_value = self.value(value)
        if clean_value == value:
            return cleaned
        inner = msgspec.json.encode(clean_value).decode()
        return self.text(text[:begin]) + inner + self.text(text[end:])

    def found(self, value: Any, least: int = MIN_LENGTH) -> str | None:
        """The name of a secret whose value is in a JSON value, or None.

        Args:
            least: How long values must be to count.
        """
        plain = _plain(value)
        if self.value(plain) == plain:
            return None
        for name, secret in self._values.items():
            if len(secret) >= least and Redactor({name: secret}).value(plain) != plain:
                return name
        return None


def _json_in(text: str) -> tuple[int, int]:
    """Where the JSON in a model's answer begins and ends: between the outermost brackets."""
    begins = [at for at in (text.find("{"), text.find("[")) if at >= 0]
    if not begins:
        return 0, len(text)
    begin = min(begins)
    return begin, text.rfind("}" if text[begin] == "{" else "]") + 1


def _plain(value: Any) -> Any:
    """The same with lists for tuples, as `Redactor.value` gives them."""
    match value:
        case list() | tuple():
            return [_plain(item) for item in value]
        case Mapping():
            return {key: _plain(item) for key, item in value.items()}
    return value
