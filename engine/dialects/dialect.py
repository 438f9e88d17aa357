"""The record of one dialect: what a provider accepts in a schema for structured output.

A limit that is not documented is None, which promises nothing: every provider also refuses schemas
whose compiled grammar is too large, at a size that none of them publishes. So a run falls back to
the prompt when a provider refuses a schema, whatever this table says.
"""

from __future__ import annotations

import msgspec

__all__ = ["Dialect", "Source"]


class Source(msgspec.Struct, frozen=True):
    """Where the facts of a dialect come from.

    Attributes:
        title: The page or the report.
        url: Its address.
        date: When it was read or written, `YYYY-MM` or `YYYY-MM-DD`.
    """

    title: str
    url: str
    date: str


class Dialect(msgspec.Struct, frozen=True):
    """What one provider accepts.

    Attributes:
        name: Its name, as `orch models` and lint show it.
        title: The provider, in words.
        native: Whether the provider takes a schema at all. If not, the schema goes into the prompt.
        strict: Whether the request carries OpenAI's flag `strict: true`.
        optional: How an optional key is written: `nullable` (required, null where absent) or
            `absent` (not required).
        max_unions: Most places with `anyOf` or several types, in the whole request.
        max_optional: Most optional keys in the whole request.
        max_depth: Most levels of objects and arrays inside each other.
        max_properties: Most keys of objects, in all.
        max_enum: Most values of enumerations, in all.
        max_long_enum: Most characters in one text enumeration of more than 250 values.
        max_characters: Most characters of names, enumerations and constants, in all.
        refs: Whether `$ref` into `$defs` at the root arrives as it is written.
        recursion: Whether a definition may hold itself.
        open_objects: Whether objects may have keys that are not named.
        any_value: Whether a place may take any JSON value.
        mixed_enum: Whether an enumeration may hold other values than strings.
        keywords: Keywords beyond types, keys, items, enumerations and unions that are kept.
        formats: Values of `format` that are kept, if `format` is among the keywords.
        sources: Where this comes from.
        remark: What a user should know besides, "" if nothing.
    """

    name: str
    title: str
    native: bool = True
    strict: bool = False
    optional: str = "nullable"
    max_unions: int | None = None
    max_optional: int | None = None
    max_depth: int | None = None
    max_properties: int | None = None
    max_enum: int | None = None
    max_long_enum: int | None = None
    max_characters: int | None = None
    refs: bool = True
    recursion: bool = False
    open_objects: bool = False
    any_value: bool = False
    mixed_enum: bool = True
    keywords: frozenset[str] = frozenset()
    formats: frozenset[str] = frozenset()
    sources: tuple[Source, ...] = ()
    remark: str = ""
