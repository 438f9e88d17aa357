"""What a tool of an MCP server gave, and the output that a contract makes of it.

The contract decides, never the number of blocks. A list type takes the content blocks as its items;
no block is an empty list. Text stays text if the type is a string, and is JSON otherwise. A record
can hold other blocks (an image, audio, a resource or a link) as `{type, mime_type, data | uri}`.
Blocks that the output cannot hold are returned, so that the caller can report them.

Nothing here talks to a server or uses the library. Results are read as they came, even if they
violate the protocol. Whether an output fits is checked later, as for every output.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property, lru_cache
from typing import Any

import msgspec

from engine.errors import Failure
from engine.sema.types.contract import Contract
from engine.sema.types.json_schema import follow

__all__ = ["Answer", "Block", "Output", "SessionLost", "answer_of", "json_or", "output_of"]

#: Where reading gave no value.
_NOTHING: Any = type("_Nothing", (), {"__repr__": lambda _: "NOTHING"})()
#: A record holds something of a block only with one of these.
_PAYLOADS = ("data", "uri", "text")
#: Options of a type that are looked at.
_MAX_OPTIONS = 64


class Block(msgspec.Struct, frozen=True):
    """One block of content.

    Attributes:
        kind: `text`, `image`, `audio`, `resource`, `resource_link`, or what the server says.
        text: Its text; None where it has none.
        record: It as a record, `{"type", "mime_type", "data" | "uri" | "text", ...}`; None for
            plain text.
    """

    kind: str
    text: str | None = None
    record: dict[str, Any] | None = None

    def __str__(self) -> str:
        mime_type = (self.record or {}).get("mime_type")
        return f"{self.kind} ({mime_type})" if mime_type else self.kind


class Answer(msgspec.Struct, frozen=True):
    """What a tool gave back.

    Attributes:
        is_error: It says itself that it failed.
        structured: A JSON value, or None.
        has_structured: Whether there is one, which may be null.
        blocks: The content.
        status: The HTTP status of an error that came with one.
    """

    is_error: bool
    structured: Any = None
    has_structured: bool = False
    blocks: tuple[Block, ...] = ()
    status: int | None = None

    @property
    def texts(self) -> list[str]:
        """The texts, one a block."""
        return [block.text for block in self.blocks if block.text is not None]


class Output(msgspec.Struct, frozen=True):
    """A worker's output, and the blocks that it could not hold."""

    value: Any
    lost: tuple[Block, ...] = ()


class SessionLost(Exception):
    """The server does not know the session any more, or may not.

    Attributes:
        failure: How the call failed, for a caller that leaves it at that.
        is_certain: It says so in the way of the protocol, which proves that nothing was done.
    """

    def __init__(self, failure: Failure, *, is_certain: bool) -> None:
        super().__init__(failure.message)
        self.failure = failure
        self.is_certain = is_certain


def answer_of(result: Mapping[str, Any]) -> Answer:
    """Read the result of a call, whatever its form."""
    content = result.get("content")
    if isinstance(content, str | dict):
        content = [content]
    blocks = [_block(item) for item in content] if isinstance(content, list) else []
    return Answer(
        is_error=bool(result.get("isError")),
        structured=result.get("structuredContent"),
        has_structured="structuredContent" in result,
        blocks=tuple(blocks),
    )


def _block(item: Any) -> Block:
    if isinstance(item, str):
        return Block("text", item)
    if not isinstance(item, dict):
        return Block("unknown")
    said = item.get("type")
    kind = said if isinstance(said, str) else "unknown"
    if kind == "text" and isinstance(item.get("text"), str):
        return Block(kind, item["text"])
    inner = item.get("resource")
    source = inner if kind == "resource" and isinstance(inner, dict) else item
    names = {"mimeType": "mime_type", "blob": "data"}
    told = {names.get(name, name): value for name, value in source.items()}
    kept = ("mime_type", "data", "uri", "text", "name", "title", "description", "size")
    record = {"type": kind} | {name: told[name] for name in kept if told.get(name) is not None}
    text = record.get("text") if kind == "resource" else None
    return Block(kind, text if isinstance(text, str) else None, record)


# ---------------------------------------------------------------- outputs


def output_of(answer: Answer, contract: Contract) -> Output:
    """A worker's output.

    Raises:
        Failure: `invalid_output`; there is nothing that can be read.
    """
    shape = _shape(contract)
    if shape.is_text and answer.texts:
        return _of_texts(answer.blocks, "\n".join(answer.texts))
    if answer.structured is not None:
        value = _unwrapped(answer.structured, contract)
        if answer.blocks and not contract.is_valid(value):
            try:
                other = _of_blocks(answer.blocks, shape)
            except Failure:
                other = Output(None)
            if other.value is not None and contract.is_valid(other.value):
                return other
        return _of_texts(answer.blocks, value)
    if answer.has_structured and not answer.texts and contract.is_valid(None):
        return _of_texts(answer.blocks, None)
    return _of_blocks(answer.blocks, shape)


def _unwrapped(value: Any, contract: Contract) -> Any:
    """Structured content, which long had to be an object: some servers wrap what is none."""
    is_wrap = isinstance(value, dict) and set(value) == {"result"}
    if is_wrap and not contract.is_valid(value) and contract.is_valid(value["result"]):
        return value["result"]
    return value


def _of_texts(blocks: Sequence[Block], value: Any) -> Output:
    """A value that says what the texts say."""
    return Output(value, tuple(block for block in blocks if block.text is None))


def _of_blocks(blocks: Sequence[Block], shape: _Shape) -> Output:
    return _items(blocks, shape) if shape.is_list else _single(blocks, shape)


def _single(blocks: Sequence[Block], shape: _Shape) -> Output:
    texts = [block.text for block in blocks if block.text is not None]
    others = [block for block in blocks if block.text is None]
    if shape.is_anything and others:
        values = [_item(block, shape, with_others=True) for block in blocks]
        return Output(values[0] if len(values) == 1 else values)
    if texts:
        text = "\n".join(texts)
        value = text if shape.is_text else _read(text, shape) if len(texts) == 1 else _NOTHING
        if value is not _NOTHING and (shape.is_anything or shape.contract.is_valid(value)):
            return _of_texts(blocks, value)
    for block in blocks:
        record = _record(block, shape)
        if record is not _NOTHING:
            return Output(record, tuple(other for other in blocks if other is not block))
    if not texts:
        if others:
            kinds = ", ".join(block.kind for block in others)
            words = f"the tool gave neither data nor text, but: {kinds}"
            help = "a record with `type`, `mime_type`, and `data` or `uri` can hold it"
            raise Failure("invalid_output", f"{words}; {help}")
        return Output(None)
    if shape.text_is_value:
        return _of_texts(blocks, "\n".join(texts))
    values = [json_or(text, _NOTHING) for text in texts]
    if _NOTHING in values:
        raise _no_json(texts[values.index(_NOTHING)])
    return _of_texts(blocks, values[0] if len(values) == 1 else values)


def _items(blocks: Sequence[Block], shape: _Shape) -> Output:
    """A list: of the blocks, or the list that the only block holds."""
    item = shape.item
    only = blocks[0].text if len(blocks) == 1 else None
    whole = _NOTHING if only is None else json_or(only, _NOTHING)
    if whole is not _NOTHING and shape.contract.is_valid(whole):
        return Output(whole)
    has_others = any(_record(block, item) is not _NOTHING for block in blocks)
    values: list[Any] = []
    lost: list[Block] = []
    for block in blocks:
        value = _item(block, item, with_others=has_others)
        if value is _NOTHING:
            lost.append(block)
        else:
            values.append(value)
    if isinstance(whole, list) and not shape.contract.is_valid(values):
        return Output(whole)
    return Output(values, tuple(lost))


def _item(block: Block, shape: _Shape, *, with_others: bool) -> Any:
    """What a block is as a value of a type; NOTHING where the type cannot hold it.

    Args:
        with_others: Some other blocks are values that are not text, so a text may only describe
            them.

    Raises:
        Failure: `invalid_output`; its text is not JSON, and should be.
    """
    if block.text is not None:
        value = _read(block.text, shape)
        if value is not _NOTHING and (shape.is_anything or shape.contract.is_valid(value)):
            return value
    record = _record(block, shape)
    if record is not _NOTHING or block.text is None:
        return record
    if shape.is_anything and with_others:
        return block.text
    if with_others:
        return _NOTHING
    value = json_or(block.text, _NOTHING)
    if value is _NOTHING:
        raise _no_json(block.text)
    return value


def _read(text: str, shape: _Shape) -> Any:
    """A text as a value of a type; NOTHING where it is neither JSON nor such a text."""
    if shape.is_text:
        return text
    if shape.is_text_or_null:
        return None if text.strip() == "null" else text
    value = json_or(text, _NOTHING)
    if not shape.is_anything and (value is _NOTHING or not shape.contract.is_valid(value)):
        return text if shape.contract.is_valid(text) else value
    return value


def _record(block: Block, shape: _Shape) -> Any:
    """A block as a record that a type can hold, with the fields that it has; else NOTHING."""
    if block.record is None:
        return _NOTHING
    if shape.is_anything:
        # A resource with text is that text, where the type does not ask for more.
        return _NOTHING if block.text is not None else block.record
    if shape.contract.is_valid(block.record):
        return block.record
    for option in shape.options:
        fields = option.get("properties")
        if isinstance(fields, dict):
            cut = {name: value for name, value in block.record.items() if name in fields}
            if any(name in cut for name in _PAYLOADS) and shape.contract.is_valid(cut):
                return cut
    return _NOTHING


def json_or(text: str, otherwise: Any) -> Any:
    """The JSON value that a text is, or something else where it is none."""
    try:
        return msgspec.json.decode(text)
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return otherwise


def _no_json(text: str) -> Failure:
    return Failure("invalid_output", f"the tool's text is not JSON; it begins with {text[:200]!r}")


# ---------------------------------------------------------------- contracts


class _Shape:
    """What a contract says about the form of a value, as far as texts and blocks need to know."""

    def __init__(self, contract: Contract) -> None:
        self.contract = contract
        self.options = list(_options(contract.schema))
        kinds = [_kinds(option) for option in self.options]
        self._kinds = set[str]().union(*kinds)
        self.is_anything = any(not found for found in kinds)
        self.is_text = self._kinds == {"string"} and not self.is_anything
        self.is_text_or_null = self._kinds == {"string", "null"} and not self.is_anything
        self.is_list = "array" in self._kinds and not self.is_anything

    @property
    def text_is_value(self) -> bool:
        """Whether a text may be the value, whatever else may be."""
        return "string" in self._kinds and not self.is_anything

    @cached_property
    def item(self) -> _Shape:
        """That of the items of a list."""
        root = self.contract.schema
        found = [option.get("items", {}) for option in self.options if "array" in _kinds(option)]
        schema = found[0] if len(found) == 1 else {"anyOf": found}
        shared: dict[str, Any] = {
            name: root[name] for name in ("$defs", "definitions") if name in root
        }
        return _Shape(Contract.of_schema({**shared, **schema} if isinstance(schema, dict) else {}))


@lru_cache(maxsize=256)
def _shape(contract: Contract) -> _Shape:
    return _Shape(contract)


def _options(schema: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """The schemas of which a value has to fit one, references followed."""
    todo: list[Any] = [schema]
    seen = 0
    while todo and seen < _MAX_OPTIONS:
        seen += 1
        option = todo.pop(0)
        if not isinstance(option, Mapping):
            yield {}
        elif isinstance(option.get("$ref"), str):
            todo.insert(0, follow(schema, option["$ref"]))
        elif isinstance(inner := option.get("anyOf", option.get("oneOf")), list):
            todo = [*inner, *todo]
        else:
            yield dict(option)


def _kinds(option: Mapping[str, Any]) -> set[str]:
    """The JSON types of the values that fit; empty where any may."""
    said = option.get("type")
    if isinstance(said, str):
        return {said}
    if isinstance(said, list):
        return {str(kind) for kind in said}
    values = option.get("enum", [option["const"]] if "const" in option else [])
    if isinstance(values, list) and values:
        return {_kind(value) for value in values}
    if "properties" in option:
        return {"object"}
    return {"array"} if "items" in option else set()


def _kind(value: Any) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "boolean"
        case str():
            return "string"
        case list():
            return "array"
        case dict():
            return "object"
        case _:
            return "number"
