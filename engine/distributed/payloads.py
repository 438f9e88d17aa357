"""How values become payloads: tagged JSON, compressed, and large ones kept by reference.

Three steps, each of which the SDK has a place for. The converter writes the records of
`messages` with their name in the metadata. The codec compresses what is worth it. The SDK
gives a step of a workflow two seconds, and compiling a program may take longer on a busy machine.
So the codec also compiles a run's program while the payload that holds it is decoded, outside the
workflow's thread. The store keeps what is larger than 4 KiB in a folder by its hash, so that
prompts which share their beginning share its storage.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import tempfile
import zlib
from collections.abc import Callable, Sequence
from typing import Any

import msgspec
from temporalio.api.common.v1 import Payload
from temporalio.converter import (
    CompositePayloadConverter,
    DataConverter,
    DefaultPayloadConverter,
    EncodingPayloadConverter,
    ExternalStorage,
    PayloadCodec,
    StorageDriver,
    StorageDriverClaim,
    StorageDriverRetrieveContext,
    StorageDriverSelectContext,
    StorageDriverStoreContext,
)

from engine.distributed.messages import TYPES
from engine.distributed.programs import warm_program
from engine.errors import CompileError
from engine.journal import RunRecord

__all__ = ["INLINE_BYTES", "LIMIT_BYTES", "BlobFolder", "data_converter"]

#: What is larger goes to the blob store, in bytes.
INLINE_BYTES = 4 * 1024
#: The largest value that may travel without a blob store, in bytes: Temporal refuses two
#: mebibytes, and several values may share a message.
LIMIT_BYTES = 1_500_000

_ENCODING = "json/orch"
_TYPE = "orch-type"
_DEFLATE = b"binary/deflate"
#: What is shorter is not worth compressing, in bytes.
_WORTH_BYTES = 256
#: What is larger takes tens of milliseconds to compress, in bytes.
_SLOW_BYTES = 512 * 1024


class _RecordConverter(EncodingPayloadConverter):
    """Writes the records of `messages`, and reads them back by the name next to them."""

    @property
    def encoding(self) -> str:
        return _ENCODING

    def to_payload(self, value: Any) -> Payload | None:
        name = type(value).__name__
        if TYPES.get(name) is not type(value):
            return None
        metadata = {"encoding": _ENCODING.encode(), _TYPE: name.encode()}
        return Payload(metadata=metadata, data=msgspec.json.encode(value))

    def from_payload(self, payload: Payload, type_hint: type | None = None) -> Any:
        return msgspec.json.decode(payload.data, type=TYPES[payload.metadata[_TYPE].decode()])


class _Converter(CompositePayloadConverter):
    def __init__(self) -> None:
        super().__init__(
            _RecordConverter(), *DefaultPayloadConverter.default_encoding_payload_converters
        )


class _Codec(PayloadCodec):
    """Compresses, and has programs compiled as they come in.

    Args:
        compiles: Whether this process runs workflows.
    """

    def __init__(self, *, compiles: bool) -> None:
        self._compiles = compiles

    async def encode(self, payloads: Sequence[Payload]) -> list[Payload]:
        return [await _aside(_deflated, payload) for payload in payloads]

    async def decode(self, payloads: Sequence[Payload]) -> list[Payload]:
        found = [await _aside(_inflated, payload) for payload in payloads]
        if self._compiles:
            for payload in found:
                if payload.metadata.get(_TYPE) == RunRecord.__name__.encode():
                    await asyncio.to_thread(_warm, payload.data)
        return found


async def _aside(function: Callable[[Payload], Payload], payload: Payload) -> Payload:
    """Call a function on a payload; in a thread where that takes long, for calls send signs of
    life from the same loop."""
    if len(payload.data) < _SLOW_BYTES:
        return function(payload)
    return await asyncio.to_thread(function, payload)


def _deflated(payload: Payload) -> Payload:
    if len(payload.data) < _WORTH_BYTES:
        return payload
    data = zlib.compress(payload.SerializeToString(deterministic=True), 6)
    if len(data) >= len(payload.data):
        return payload
    metadata = {"encoding": _DEFLATE}
    if _TYPE in payload.metadata:
        metadata[_TYPE] = payload.metadata[_TYPE]
    return Payload(metadata=metadata, data=data)


def _inflated(payload: Payload) -> Payload:
    if payload.metadata.get("encoding") != _DEFLATE:
        return payload
    found = Payload()
    found.ParseFromString(zlib.decompress(payload.data))
    return found


def _warm(data: bytes) -> None:
    try:
        warm_program(msgspec.json.decode(data, type=RunRecord))
    except CompileError:
        return  # The workflow says so, as data.


class BlobFolder(StorageDriver):
    """Payloads in a folder, by the hash of their content; hosts share the folder.

    A file is written under another name, flushed and renamed, so one that is there is whole.
    """

    def __init__(self, folder: str) -> None:
        self._folder = folder

    def name(self) -> str:
        """The name that is in references; the folder is each host's own business."""
        return "orch-blobs"

    async def store(
        self, context: StorageDriverStoreContext, payloads: Sequence[Payload]
    ) -> list[StorageDriverClaim]:
        """Write what is not there yet."""
        bodies = [payload.SerializeToString(deterministic=True) for payload in payloads]
        hashes = await asyncio.to_thread(lambda: [self._write(body) for body in bodies])
        return [StorageDriverClaim({"sha256": digest}) for digest in hashes]

    async def retrieve(
        self, context: StorageDriverRetrieveContext, claims: Sequence[StorageDriverClaim]
    ) -> list[Payload]:
        """Read, and check that it is what was written.

        Raises:
            ValueError: It is not there, or damaged.
        """
        wanted = [claim.claim_data["sha256"] for claim in claims]
        bodies = await asyncio.to_thread(lambda: [self._read(digest) for digest in wanted])
        found = []
        for body in bodies:
            payload = Payload()
            payload.ParseFromString(body)
            found.append(payload)
        return found

    def _path(self, digest: str) -> str:
        return os.path.join(self._folder, digest[:2], digest)

    def _write(self, body: bytes) -> str:
        digest = hashlib.sha256(body).hexdigest()
        path = self._path(digest)
        if os.path.exists(path):
            return digest
        folder = os.path.dirname(path)
        os.makedirs(folder, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=folder, prefix=".new-")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(body)
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, path)
        except BaseException:
            os.unlink(temporary)
            raise
        return digest

    def _read(self, digest: str) -> bytes:
        try:
            with open(self._path(digest), "rb") as file:
                body = file.read()
        except OSError as problem:
            reason = (problem.strerror or str(problem)).lower()
            raise ValueError(
                f"blob {digest} cannot be read from {self._folder}: {reason}"
            ) from None
        if hashlib.sha256(body).hexdigest() != digest:
            raise ValueError(f"blob {digest} in {self._folder} is damaged")
        return body


def data_converter(blobs: str | None, *, compiles: bool = False) -> DataConverter:
    """The converter that all our processes use.

    Args:
        blobs: The folder of the blob store, or None for none.
        compiles: Whether this process runs workflows.
    """
    storage: ExternalStorage | None = None
    if blobs is not None:
        driver = BlobFolder(blobs)
        storage = ExternalStorage(
            drivers=[driver],
            driver_selector=lambda context, payload: _store_for(driver, context, payload),
            payload_size_threshold=INLINE_BYTES,
        )
    return DataConverter(
        payload_converter_class=_Converter,
        payload_codec=_Codec(compiles=compiles),
        external_storage=storage,
    )


def _store_for(
    driver: BlobFolder, context: StorageDriverSelectContext, payload: Payload
) -> StorageDriver | None:
    """What people read stays inline while it can: they need not have the hosts' store."""
    read = payload.metadata.get(_TYPE) in (b"Page", b"RunRecord", b"RunSummary")
    if read and payload.ByteSize() < LIMIT_BYTES:
        return None
    return driver
