"""The address of a cluster, and how to connect.

    temporal://HOST:PORT/NAMESPACE?queue=orch&blobs=DIR&heartbeat=15s&patience=1h

holds no secrets: certificates and API keys come from Temporal's own environment variables and
configuration file (`TEMPORAL_API_KEY`, `TEMPORAL_TLS_...`, `TEMPORAL_PROFILE`), as for its command
line. What cannot be reached is said in one sentence.
"""

from __future__ import annotations

import asyncio
import os
import urllib.parse
from typing import Any

import msgspec
from temporalio.api.workflowservice.v1 import DescribeNamespaceRequest
from temporalio.client import Client
from temporalio.envconfig import ClientConfigProfile
from temporalio.service import RPCError, RPCStatusCode

from engine.distributed.messages import Terms
from engine.distributed.payloads import LIMIT_BYTES, data_converter
from engine.distributed.queues import DEFAULT_QUEUE, queue_problem
from engine.errors import JournalError, UsageError
from engine.sema.suggest import closest

__all__ = ["Address", "connect", "parse_address"]

#: How long a server may take to answer at first, in seconds.
_PATIENCE_S = 10.0
_UNITS_MS = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
_SETTINGS = ("queue", "blobs", "heartbeat", "patience", "rollover")
_FORM = "temporal://HOST:PORT/NAMESPACE"


class Address(msgspec.Struct, frozen=True):
    """A cluster, and the settings of its runs.

    Attributes:
        host: `HOST:PORT`.
        blobs: The folder of the blob store, or None.
    """

    host: str
    namespace: str = "default"
    queue: str = DEFAULT_QUEUE
    blobs: str | None = None
    heartbeat_ms: int = 15_000
    patience_ms: int = 3_600_000
    rollover: int | None = None

    @property
    def terms(self) -> Terms:
        """What the workflow needs to know of it."""
        return Terms(
            queue=self.queue,
            heartbeat_ms=self.heartbeat_ms,
            patience_ms=self.patience_ms,
            rollover=self.rollover,
            limit_bytes=LIMIT_BYTES if self.blobs is None else None,
        )


def parse_address(text: str) -> Address:
    """Read `temporal://HOST:PORT/NAMESPACE?...`.

    Raises:
        UsageError: It is not of that form.
    """
    parts = urllib.parse.urlsplit(text)
    try:
        port = parts.port
    except ValueError:
        port = None
    if parts.scheme != "temporal" or not parts.hostname or port is None:
        raise UsageError(f"`{text}` is not an address of a cluster; write {_FORM}")
    if parts.username is not None or parts.password is not None:
        raise UsageError(
            "an address holds no secrets: set TEMPORAL_API_KEY or TEMPORAL_TLS_CLIENT_CERT_PATH"
        )
    settings: dict[str, Any] = {}
    for name, value in urllib.parse.parse_qsl(parts.query, keep_blank_values=True):
        if name not in _SETTINGS:
            near = closest(name, _SETTINGS)
            known = f"did you mean `{near}`?" if near else f"there are: {', '.join(_SETTINGS)}"
            raise UsageError(f"an address has no setting `{name}` ({known})")
        settings[name] = value
    queue = settings.get("queue") or DEFAULT_QUEUE
    problem = queue_problem(queue)
    if problem is not None:
        raise UsageError(problem)
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return Address(
        host=f"{host}:{port}",
        namespace=urllib.parse.unquote(parts.path.strip("/")) or "default",
        queue=queue,
        blobs=os.path.abspath(settings["blobs"]) if settings.get("blobs") else None,
        heartbeat_ms=_duration_ms(settings, "heartbeat", 15_000, 1_000),
        patience_ms=_duration_ms(settings, "patience", 3_600_000, 1),
        rollover=_count(settings, "rollover", 20),
    )


def _duration_ms(settings: dict[str, str], name: str, default: int, least: int) -> int:
    if name not in settings:
        return default
    text = settings[name]
    unit = text.lstrip("0123456789")
    number = text[: len(text) - len(unit)]
    if not number or unit not in _UNITS_MS:
        raise UsageError(f"`{name}={text}` is not a duration; write {name}=15s, say")
    return max(least, int(number) * _UNITS_MS[unit])


def _count(settings: dict[str, str], name: str, least: int) -> int | None:
    if name not in settings:
        return None
    if not settings[name].isdecimal() or int(settings[name]) < least:
        raise UsageError(f"`{name}={settings[name]}`: a number of at least {least} is expected")
    return int(settings[name])


async def connect(address: Address, *, compiles: bool = False) -> Client:
    """Connect to a cluster.

    Args:
        compiles: Whether this process runs workflows.

    Raises:
        JournalError: It cannot be reached, or has no such namespace.
    """
    try:
        profile = ClientConfigProfile.load()
    except Exception as error:  # the SDK raises a RuntimeError of its core's
        raise JournalError(f"Temporal's configuration cannot be read: {_short(error)}") from None
    config: dict[str, Any] = dict(profile.to_client_connect_config())
    config.update(target_host=address.host, namespace=address.namespace)
    try:
        async with asyncio.timeout(_PATIENCE_S):
            client = await Client.connect(
                **config, data_converter=data_converter(address.blobs, compiles=compiles)
            )
            await client.workflow_service.describe_namespace(
                DescribeNamespaceRequest(namespace=address.namespace)
            )
    except RPCError as error:
        if error.status is RPCStatusCode.NOT_FOUND:
            raise JournalError(
                f"the Temporal server at {address.host} has no namespace `{address.namespace}`",
                help=f"temporal operator namespace create -n {address.namespace}",
            ) from None
        raise _unreachable(address, error) from None
    except (RuntimeError, OSError, TimeoutError) as error:
        raise _unreachable(address, error) from None
    return client


def _unreachable(address: Address, error: BaseException) -> JournalError:
    why = _short(error) or "no answer"
    return JournalError(
        f"the Temporal server at {address.host} cannot be reached: {why}",
        help="is it running, and is the address right? TLS and keys: TEMPORAL_* variables",
    )


def _short(error: BaseException) -> str:
    """The heart of one of the SDK's long messages."""
    if isinstance(error, TimeoutError):
        return f"no answer within {_PATIENCE_S:g} s"
    text = " ".join(str(error).split())
    for mark in ("Connection refused", "dns error", "certificate", "PermissionDenied"):
        if mark.lower() in text.lower():
            return mark.lower()
    return text[:200]
