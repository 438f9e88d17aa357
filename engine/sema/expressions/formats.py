"""The formats a contract asserts, and how large a value is.

Formats are plain functions that both JSON Schema libraries are given: one function per format is
what keeps the two in agreement. A format not listed here is a note to the reader, as JSON Schema
has it by default; it is never asserted, by either library.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable
from datetime import date
from typing import Any, Literal

import msgspec

__all__ = ["ASSERTED", "FORMATS", "WORDLESS", "WORDS", "size_in_bytes"]

#: The longest text that can be a time, a duration or an address, whatever its form.
_LONGEST = 128
#: The longest regular expression that is looked at; to compile it takes time.
_LONGEST_REGEX = 10_000

_DATE = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
_TIME = re.compile(
    r"([01]\d|2[0-3]):[0-5]\d:([0-5]\d|60)(\.\d+)?(Z|[+-]([01]\d|2[0-3]):[0-5]\d)",
    re.ASCII | re.IGNORECASE,
)
_EMAIL = re.compile(
    r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*"
    r"@[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?)*"
)
_URI = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:[A-Za-z0-9._~:/?#\[\]@!$&'()*+,;=%-]*")
#: A `%` that begins no character. (As a branch of the above it would take 150 bytes a character.)
_BROKEN_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")
#: ISO 8601, or the language's own `1h30m`.
_ISO_DURATION = re.compile(
    r"P(?=.)(\d+W|(\d+Y)?(\d+M)?(\d+D)?(T(?=\d)(\d+H)?(\d+M)?(\d+(\.\d+)?S)?)?)", re.ASCII
)
_OWN_DURATION = re.compile(r"(\d+(\.\d+)?(ms|s|m|h|d))+", re.ASCII)
_HOST = re.compile(
    r"(?=.{1,253}$)[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
    r"(\.[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?)*"
)


def _is_date(text: str) -> bool:
    if not _DATE.fullmatch(text):
        return False
    try:
        date.fromisoformat(text)
    except ValueError:
        return False
    return True


def _is_time(text: str) -> bool:
    return len(text) <= _LONGEST and _TIME.fullmatch(text) is not None


def _is_datetime(text: str) -> bool:
    """RFC 3339: a date, `T`, a time with an offset."""
    if not 20 <= len(text) <= _LONGEST or text[10] not in "Tt":
        return False
    return _is_date(text[:10]) and _is_time(text[11:])


def _is_duration(text: str) -> bool:
    if len(text) > _LONGEST:
        return False
    return bool(_ISO_DURATION.fullmatch(text) or _OWN_DURATION.fullmatch(text))


def _is_email(text: str) -> bool:
    return len(text) <= 254 and _EMAIL.fullmatch(text) is not None


def _is_uri(text: str) -> bool:
    if not _URI.fullmatch(text) or _BROKEN_ESCAPE.search(text):
        return False
    scheme, _, rest = text.partition(":")
    if scheme.lower() in ("http", "https"):
        host = re.match(r"//([^/?#]+)", rest)
        return host is not None
    return rest != ""


def _is_path(text: str) -> bool:
    return text != "" and "\0" not in text


def _is_uuid(text: str) -> bool:
    # 2 ms to import with `platform`, and few contracts have this format.
    from uuid import UUID

    try:
        return str(UUID(text)) == text.lower()
    except ValueError:
        return False


def _is_ip(version: Literal["IPv4Address", "IPv6Address"]) -> Callable[[str], bool]:
    def check(text: str) -> bool:
        # 1.3 ms to import, and few contracts have these formats.
        import ipaddress

        if len(text) > _LONGEST:
            return False
        try:
            getattr(ipaddress, version)(text)
        except ValueError:
            return False
        return "%" not in text

    return check


def _is_hostname(text: str) -> bool:
    return _HOST.fullmatch(text) is not None


def _is_regex(text: str) -> bool:
    if len(text) > _LONGEST_REGEX:
        return False
    try:
        with warnings.catch_warnings():
            # Python warns of what may mean something else one day; it is valid today.
            warnings.simplefilter("ignore")
            re.compile(text)
    except (re.error, RecursionError, OverflowError):
        return False
    return True


def size_in_bytes(value: Any) -> int:
    """What `@max_bytes` counts: the UTF-8 bytes of a string, or of the value's compact JSON."""
    if isinstance(value, str):
        return len(value.encode("utf-8", "surrogatepass"))
    return len(msgspec.json.encode(value))


#: Every format that is asserted.
ASSERTED: dict[str, Callable[[str], bool]] = {
    "date": _is_date,
    "date-time": _is_datetime,
    "duration": _is_duration,
    "email": _is_email,
    "hostname": _is_hostname,
    "ipv4": _is_ip("IPv4Address"),
    "ipv6": _is_ip("IPv6Address"),
    "path": _is_path,
    "regex": _is_regex,
    "time": _is_time,
    "uri": _is_uri,
    "uuid": _is_uuid,
}


#: Those whose texts hold digits, signs and single letters for units, and so no words.
WORDLESS = ("date", "date-time", "duration", "time")


def _anything(text: str) -> bool:
    return True


#: What jsonschema-rs is given: the above, and its own other formats switched off.
FORMATS: dict[str, Callable[[str], bool]] = {
    **dict.fromkeys(
        (
            "idn-email",
            "idn-hostname",
            "iri",
            "iri-reference",
            "json-pointer",
            "relative-json-pointer",
            "uri-reference",
            "uri-template",
        ),
        _anything,
    ),
    **ASSERTED,
}

#: What a value of a format is called in messages.
WORDS = {
    "date": "a date such as 2026-01-31",
    "date-time": "a date and time such as 2026-01-31T12:00:00Z",
    "duration": "a duration such as 30s or PT30S",
    "email": "an e-mail address",
    "hostname": "a host name",
    "ipv4": "an IPv4 address",
    "ipv6": "an IPv6 address",
    "path": "a path",
    "regex": "a regular expression",
    "time": "a time such as 12:00:00Z",
    "uri": "a URL",
    "uuid": "a UUID",
}
