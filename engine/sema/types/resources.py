"""What references in JSON Schemas mean: pointers, anchors, `$id`s, and other files of the project.

A `Library` holds the documents that belong to one schema. Each is read once and may refer to the
others in any way, also in circles. Files are read by the caller's rules
(`engine.sema.names.loader`), relative to the file that refers to them, or to its `$id`. Nothing is
ever fetched.
"""

from __future__ import annotations

import json
import os
import posixpath
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any
from urllib.parse import quote, unquote, urldefrag, urljoin, urlsplit

from engine.reading import CannotRead
from engine.sema.types.dialects import Dialect, UnknownDialect, dialect_of, places
from engine.sema.types.schema_facts import pointer_tokens

__all__ = ["Base", "Library", "Unresolved", "read_document"]

#: Files that one schema may be made of.
_MAX_FILES = 200
#: Metaschemas that files may refer to; a library has them all.
_KNOWN = ("http://json-schema.org/draft-04/schema", "http://json-schema.org/draft-06/schema",
          "http://json-schema.org/draft-07/schema")  # fmt: skip

#: The text of a file, by its absolute path; raises `CannotRead`.
Read = Callable[[str], str]
#: What is wrong with a document of a dialect, or None.
Check = Callable[[Any, Dialect], str | None]


class Unresolved(Exception):
    """A reference leads nowhere. `str()` continues "it refers to `x`, "."""

    def __init__(self, reason: str, help: str | None = None, outside: CannotRead | None = None):
        self.help = help
        self.outside = outside
        super().__init__(reason)


class Base:
    """A schema that references are relative to: a document, or what has an `$id` in one.

    Attributes:
        uri: Its address; `file://...` where it gives none.
        node: The schema.
        path: The file it is in; "" where it is in none.
        whole: The document that it is in.
        origin: The address of the whole document, which the file's is compared with.
    """

    def __init__(
        self, uri: str, node: Any, dialect: Dialect, path: str, whole: Base | None = None
    ) -> None:
        self.uri = uri
        self.node = node
        self.dialect = dialect
        self.path = path
        self.whole = whole or self
        self.origin: str = uri if whole is None else whole.origin


def read_document(text: str) -> Any:
    """A JSON document.

    Raises:
        ValueError: It is none, or no JSON Schema; the message says why.
    """
    try:
        document = json.loads(text)
    except json.JSONDecodeError as error:
        raise ValueError(f"{error.msg} (line {error.lineno}, column {error.colno})") from None
    except RecursionError:
        raise ValueError("the JSON is nested too deeply") from None
    if not isinstance(document, Mapping | bool):
        raise ValueError("this is not a JSON Schema: it must be an object")
    return document


class Library:
    """The documents of one schema, and what their references mean.

    Attributes:
        recursive: How many schemas have `$recursiveAnchor`; `dynamic` how many each
            `$dynamicAnchor`.
    """

    def __init__(self, read: Read | None = None, check: Check | None = None) -> None:
        self._read = read
        self._check = check
        self._documents: list[Any] = []  # kept alive, for they are known by their identity
        self._bases: dict[int, Base] = {}
        self._by_uri: dict[str, Base] = {}
        self._anchors: dict[tuple[str, str], Any] = {}
        self.recursive = 0
        self.dynamic: dict[str, int] = {}

    def add(self, document: Any, dialect: Dialect, path: str = "", uri: str = "") -> Base:
        """Take a document in.

        Args:
            path: Its file, if it has one.
            uri: The address it was asked for under.
        """
        self._documents.append(document)
        own = uri or (f"file://{quote(path)}" if path else "orch:schema")
        base = Base(own, document, dialect, path)
        self._by_uri.setdefault(own, base)
        if isinstance(document, Mapping):
            self._index(document, base)
        return self._bases.get(id(document), base)

    def _index(self, document: Mapping[str, Any], whole: Base) -> None:
        """Find what has a name in a document."""
        inside: list[tuple[str, Base]] = []  # the schemas with an `$id` on the way, by pointer
        for node, pointer in places(document):
            while inside and not f"{pointer}/".startswith(f"{inside[-1][0]}/"):
                inside.pop()
            base = inside[-1][1] if inside else whole
            made = self._named(node, base, whole)
            if made is not None:
                if node is document:
                    whole.origin = made.uri
                    made.origin = made.uri
                inside.append((pointer, made))
                base = made
            self._anchor(node, base)

    def _named(self, node: Mapping[str, Any], base: Base, whole: Base) -> Base | None:
        dialect = base.dialect
        name = node.get(dialect.id_keyword)
        if not isinstance(name, str) or (dialect.ref_is_alone and "$ref" in node):
            return None
        uri, fragment = _split(base.uri, name)
        if fragment and dialect.ref_is_alone:
            self._anchors.setdefault((uri, fragment), node)
        if name.startswith("#") or not name:
            return None
        if "$schema" in node and not dialect.ref_is_alone:
            with suppress(UnknownDialect):  # else it is read as what it is in
                dialect = dialect_of(node, dialect)
        made = Base(uri, node, dialect, whole.path, whole)
        self._bases[id(node)] = made
        self._by_uri.setdefault(uri, made)
        return made

    def _anchor(self, node: Mapping[str, Any], base: Base) -> None:
        if base.dialect.ref_is_alone:
            return
        for key in ("$anchor", "$dynamicAnchor"):
            if isinstance(node.get(key), str):
                self._anchors.setdefault((base.uri, node[key]), node)
        if isinstance(node.get("$dynamicAnchor"), str):
            name = node["$dynamicAnchor"]
            self.dynamic[name] = self.dynamic.get(name, 0) + 1
        self.recursive += node.get("$recursiveAnchor") is True

    # ------------------------------------------------------------ references

    def base_at(self, node: Any, base: Base) -> Base:
        """What references in a schema are relative to, where `base` is around it."""
        return self._bases.get(id(node), base)

    def find(self, reference: str, base: Base) -> tuple[Any, Base]:
        """The schema that a reference means, and what is around it.

        Raises:
            Unresolved: There is none.
        """
        uri, fragment = _split(base.uri, reference)
        around = self._by_uri.get(uri) if not reference.startswith("#") else base
        if around is None:
            around = self._load(reference, uri, base)
        if not fragment or fragment.startswith("/"):
            try:
                return self.at(fragment, around)
            except Unresolved:
                # Bundlers write pointers from the root of the file also where an `$id` is between.
                if around.whole is around:
                    raise
                return self.at(fragment, around.whole)
        name = unquote(fragment)
        found = self._anchors.get((around.uri, name))
        if found is None:
            raise Unresolved("which does not exist in it")
        return found, around

    def at(self, pointer: str, base: Base) -> tuple[Any, Base]:
        """The schema at a JSON Pointer, percent-encoded or not.

        Raises:
            Unresolved: There is none.
        """
        for spelling in (unquote(pointer), pointer):
            tokens = pointer_tokens(spelling)
            node, around = base.node, base
            for token in tokens or ():
                if isinstance(node, Mapping) and token in node:
                    node = node[token]
                elif isinstance(node, list) and token.isdecimal() and int(token) < len(node):
                    node = node[int(token)]
                else:
                    tokens = None
                    break
                around = self.base_at(node, around)
            if tokens is not None:
                return node, around
        raise Unresolved("which does not exist in it")

    def _load(self, reference: str, uri: str, base: Base) -> Base:
        """A document that is not here yet."""
        if uri.rstrip("#") in _KNOWN:
            # 70 ms to import; only a file that refers to a metaschema needs it.
            from jsonschema.validators import validator_for

            document = validator_for({"$schema": uri}).META_SCHEMA
            return self.add(document, dialect_of(document), uri=uri)
        path = _file_of(reference, uri, base)
        if path is None or self._read is None:
            raise Unresolved(
                "which is not in it, and nothing is fetched",
                "save it in the project and refer to it by a relative path, "
                "or bundle the schemas into one file",
            )
        if len(self._documents) >= _MAX_FILES:
            raise Unresolved(f"and is made of more than {_MAX_FILES} files")
        by_path = self._by_uri.get(f"file://{quote(path)}")
        if by_path is not None:
            self._by_uri[uri] = self.base_at(by_path.node, by_path)
            return self._by_uri[uri]
        try:
            document = read_document(self._read(path))
            dialect = dialect_of(document, base.dialect)
        except CannotRead as error:
            if error.outside:
                raise Unresolved(f"which {error.reason}", error.help, error) from None
            raise Unresolved(f"which {error.reason}", error.help or f"looked for {path}") from None
        except UnknownDialect as error:
            raise Unresolved(f"which is written in {error}, a dialect that is not read") from None
        except ValueError as error:
            raise Unresolved(f"which cannot be read: {error}") from None
        problem = None if self._check is None else self._check(document, dialect)
        if problem is not None:
            raise Unresolved(f"which is not valid: {problem}")
        self._by_uri[uri] = self.add(document, dialect, path)
        return self._by_uri[uri]


def _split(base: str, reference: str) -> tuple[str, str]:
    """The address that a reference means, and its fragment."""
    if reference.startswith("#"):
        return base, reference[1:]
    try:
        uri, fragment = urldefrag(urljoin(base, reference))
    except ValueError:  # brackets that hold no address
        return reference, ""
    return uri, fragment


def _file_of(reference: str, uri: str, base: Base) -> str | None:
    """The file that a relative reference means, or None."""
    try:
        if urlsplit(reference).scheme or reference.startswith("//") or not base.path:
            return None
        meant, origin = urlsplit(uri), urlsplit(base.origin)
    except ValueError:
        return None
    if meant.scheme == "file":
        return os.path.normpath(unquote(meant.path))
    if (meant.scheme, meant.netloc) != (origin.scheme, origin.netloc) or not meant.path:
        return None
    # The folder of the file is where the folder of its address is.
    relative = posixpath.relpath(
        unquote(meant.path), posixpath.dirname(unquote(origin.path)) or "/"
    )
    return os.path.normpath(os.path.join(os.path.dirname(base.path), relative))
