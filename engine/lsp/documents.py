"""The documents an editor has open, and a reader that sees them in place of the files on disk.

A document is known by its URI, which is the client's, and by an absolute path. One that is not a
file (`untitled:`) gets a path in the first folder of the workspace, so that what it imports is
looked up there; nothing is ever written to it.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from itertools import count
from urllib.parse import quote, urlsplit

from lsprotocol import types as lsp
from pygls.uris import from_fs_path, to_fs_path

from engine.lsp.positions import Places
from engine.project import Project
from engine.sema.names.loader import DiskReader

__all__ = ["Document", "Documents"]


@dataclass(eq=False)
class Document:
    """One open document.

    Attributes:
        path: Absolute and normalised.
        version: The client's.
        serial: Another number for each text any document ever had here.
        places: Its text, with positions.
    """

    uri: str
    path: str
    version: int
    serial: int
    places: Places

    @property
    def text(self) -> str:
        """The text as the editor shows it."""
        return self.places.text

    @property
    def is_orch(self) -> bool:
        """Whether it is a workflow, and not a template or schema that belongs to one."""
        return self.path.endswith(".orch")


class Documents:
    """All open documents; a `Reader` of them and of the disk.

    Attributes:
        encoding: What columns count, as was agreed on with the client.
        root: Where the paths of documents that are not files begin.
    """

    def __init__(self) -> None:
        self.encoding: lsp.PositionEncodingKind | str = lsp.PositionEncodingKind.Utf16
        self.root = os.getcwd()
        self._by_uri: dict[str, Document] = {}
        self._by_path: dict[str, Document] = {}
        self._disk = DiskReader()
        self._serials = count(1)

    # ------------------------------------------------------------ what is open

    def open(self, uri: str, version: int, text: str) -> Document:
        """A document was opened."""
        places = Places(text, self.encoding)
        document = Document(uri, self.path(uri), version, next(self._serials), places)
        self._by_uri[uri] = self._by_path[document.path] = document
        return document

    def change(
        self, uri: str, version: int, changes: list[lsp.TextDocumentContentChangeEvent]
    ) -> Document | None:
        """A document was changed; None if it is not open."""
        document = self._by_uri.get(uri)
        if document is None:
            return None
        for change in changes:
            text = change.text
            if isinstance(change, lsp.TextDocumentContentChangePartial):
                places = document.places
                start = places.offset(change.range.start)
                end = max(start, places.offset(change.range.end))
                text = f"{places.text[:start]}{text}{places.text[end:]}"
            document.places = Places(text, self.encoding)
        document.version = version
        document.serial = next(self._serials)
        return document

    def close(self, uri: str) -> Document | None:
        """A document was closed; None if it was not open."""
        document = self._by_uri.pop(uri, None)
        if document is not None and self._by_path[document.path] is document:
            del self._by_path[document.path]
            for other in self._by_uri.values():
                if other.path == document.path:  # the same file by another spelling of its URI
                    self._by_path[other.path] = other
        return document

    def get(self, uri: str) -> Document | None:
        """An open document."""
        return self._by_uri.get(uri)

    def at(self, path: str) -> Document | None:
        """An open document by its path."""
        return self._by_path.get(path)

    def all(self) -> list[Document]:
        """Every open document."""
        return list(self._by_uri.values())

    # ------------------------------------------------------------ names of files

    def path(self, uri: str) -> str:
        """The absolute path of a URI."""
        if urlsplit(uri).scheme in ("file", ""):
            found = to_fs_path(uri)
            if found:
                return os.path.normpath(os.path.abspath(found))
        name = quote(uri, safe="")
        return os.path.join(self.root, name if name.endswith(".orch") else f"{name}.orch")

    def uri(self, path: str) -> str:
        """The URI of an absolute path: the client's own where it is open."""
        document = self._by_path.get(path)
        if document is not None:
            return document.uri
        return from_fs_path(path) or f"file://{quote(path)}"

    # ------------------------------------------------------------ reading

    def project(self, folder: str) -> Project | None:
        """See `engine.sema.names.loader.Reader.project`."""
        return self._disk.project(folder)

    def read(self, path: str) -> str:
        """See `engine.sema.names.loader.Reader.read`."""
        document = self._by_path.get(path)
        if document is not None:
            return document.text
        return self._disk.read(path)

    def names(self, folder: str) -> list[str]:
        """See `engine.sema.names.loader.Reader.names`."""
        return self._disk.names(folder)
