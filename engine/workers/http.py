"""Workers `via http`: one request to a host that is in the file.

Every address, that of a redirect too, is compared with the hosts of the program before anything
is sent there (`engine.sema.kinds.http_calls` reads them from the file). Neither proxies of the
environment nor cookies are used, and nothing of a request but its address goes along to another
host. A response is read up to `max_bytes`. What a server says in a failure is cleaned of secrets.

This module imports httpx (110 ms), so it is itself imported when a run first needs it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from functools import partial
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Any
from urllib.parse import urlencode

import httpx
import msgspec

from engine.errors import Failure
from engine.retry_after import retry_after_ms
from engine.runtime.ports import WorkerReply, WorkerRequest
from engine.runtime.requests import is_text
from engine.sema.expressions.address import AddressError, Piece, address_of, places
from engine.sema.expressions.template import EvaluationError, Expression
from engine.sema.model import Program, Worker
from engine.sizes import size_words
from engine.version import __version__
from engine.workers.http_body import ACCEPT_ENCODING, BodyError, BodyTooLarge, read_body
from engine.workers.large import off_the_loop
from engine.workers.messages import clean, redacted
from engine.workers.settings import evaluated, text_of
from engine.workers.values import plain_json

__all__ = ["HttpWorker", "open_port"]

_MAX_REDIRECTS = 5
_CONNECT_S = 10.0
#: How long a server may be silent where the worker has no `timeout`.
_SILENCE_S = 60.0
_REDIRECTS = (301, 302, 303, 307, 308)
_KEEP_BODY = (307, 308)
#: Statuses below 500 after which the same request may succeed.
_RETRYABLE = (408, 425, 429)
#: How much of a failure's body is read.
_ERROR_BYTES = 8_192
#: The headers of a worker that another host may see as well.
_HARMLESS = frozenset({"accept", "accept-language", "user-agent"})


class HttpWorker:
    """Runs requests; one instance serves any number of calls, over shared connections.

    Args:
        hosts: The hosts of the whole program, as `host` or `host:port`: a redirect may lead to
            any of them. A request itself goes only to the hosts of its own worker.
    """

    def __init__(self, hosts: Iterable[str] = ()) -> None:
        self._hosts = _Hosts(hosts)
        self._client: httpx.AsyncClient | None = None

    async def call(self, request: WorkerRequest) -> WorkerReply:
        """Make the request and read its response.

        Raises:
            Failure: A mode of `on_status`. `denied` where the host is not in the file, or a value
                would have left its place in the address. `timeout`. `invalid_output` where the
                response is too large or cannot be read. `crashed` for any other status that is not
                a success, and where there is no connection.
        """
        order = _Order.of(request)
        allowed = _Hosts(request.worker.settings["hosts"])
        if order.url not in allowed:
            raise Failure("denied", order.said(f"{_place(order.url)} is not in the file"))
        for _ in range(_MAX_REDIRECTS + 1):
            async with self._send(order) as response:
                target = _target(response, order)
                if target is None:
                    return WorkerReply(await _output(response, order))
            order = self._redirected(order, response.status_code, target)
        raise Failure("crashed", order.said(f"more than {_MAX_REDIRECTS} redirects"))

    async def close(self) -> None:
        """Close the connections."""
        if self._client is not None:
            await self._client.aclose()
            self._client = None

    @asynccontextmanager
    async def _send(self, order: _Order) -> AsyncIterator[httpx.Response]:
        """The response, its body still to be read; whatever goes wrong is a `Failure`."""
        if self._client is None:
            self._client = _new_client()
        try:
            sent = self._client.build_request(
                order.method,
                order.url,
                headers=order.headers,
                content=order.content,
                timeout=_patience(order.request),
            )
        except ValueError as error:  # a header with something else than ASCII
            raise Failure("crashed", order.said(f"cannot be sent: {error}")) from None
        response: httpx.Response | None = None
        try:
            response = await self._client.send(sent, stream=True)
            yield response
        except httpx.TimeoutException as error:
            kind = "connection" if isinstance(error, httpx.ConnectTimeout) else "answer"
            raise Failure("timeout", order.said(f"no {kind} in time"), retryable=True) from None
        except httpx.ConnectError as error:
            message = order.said(f"no connection: {error}")
            raise Failure("crashed", message, retryable=True) from None
        except (httpx.LocalProtocolError, httpx.UnsupportedProtocol) as error:
            raise Failure("crashed", order.said(f"cannot be sent: {error}")) from None
        except httpx.InvalidURL as error:  # httpx looks at redirects, though it follows none
            raise Failure("crashed", order.said(f"redirected to no address: {error}")) from None
        except httpx.TransportError as error:
            words = str(error) or type(error).__name__
            if "location header" in words:
                raise Failure("crashed", order.said("redirected to no address")) from None
            message = order.said(f"connection lost: {words}")
            raise Failure("crashed", message, retryable=True) from None
        finally:
            if response is not None:
                await response.aclose()

    def _redirected(self, order: _Order, status: int, target: httpx.URL) -> _Order:
        """The request that follows a redirect.

        Raises:
            Failure: `crashed`; it may not be followed.
        """
        if target.scheme not in ("http", "https"):
            raise Failure("crashed", order.said(f"redirected to {target.scheme}:"))
        if target not in self._hosts:
            words = f"redirected to {_place(target)}, which is not in the file"
            raise Failure("crashed", order.said(words))
        if order.url.scheme == "https" and target.scheme == "http":
            words = f"redirected to {_place(target)} without encryption"
            raise Failure("crashed", order.said(words))
        method, headers, content = order.method, order.headers, order.content
        if status not in _KEEP_BODY and (status == 303 or method == "POST") and method != "HEAD":
            method, content = "GET", None
            headers = {n: v for n, v in headers.items() if n.lower() != "content-type"}
        if not _is_same_host(order.url, target):
            if content is not None:
                words = f"redirected with its body to another host, {_place(target)}"
                raise Failure("crashed", order.said(words))
            headers = {n: v for n, v in headers.items() if n.lower() in _HARMLESS}
        return msgspec.structs.replace(
            order, url=target, method=method, headers=headers, content=content
        )


def _new_client() -> httpx.AsyncClient:
    # A cookie of one call would be an input of the next that was not declared.
    no_cookies = CookieJar(DefaultCookiePolicy(allowed_domains=[]))
    return httpx.AsyncClient(
        headers={"User-Agent": f"orch/{__version__}", "Accept-Encoding": ACCEPT_ENCODING},
        cookies=no_cookies,
        limits=httpx.Limits(max_connections=100, max_keepalive_connections=20),
        follow_redirects=False,
        trust_env=False,
    )


def _patience(request: WorkerRequest) -> httpx.Timeout:
    """How long to wait for each step; the driver watches over the whole."""
    silence_s = _SILENCE_S if request.timeout_ms is None else request.timeout_ms / 1000
    return httpx.Timeout(silence_s, connect=min(silence_s, _CONNECT_S), pool=None)


# ---------------------------------------------------------------- hosts


class _Hosts:
    """Hosts that may be reached; one without a port means the usual ports of HTTP."""

    def __init__(self, written: Iterable[str]) -> None:
        self._known: set[tuple[bytes, int | None]] = set()
        for host in written:
            # Read by the same code that reads addresses, so that both see the same host.
            url = httpx.URL(f"http://{host}")
            port = host.rpartition(":")[2]
            self._known.add((url.raw_host, int(port) if port.isdigit() else None))

    def __contains__(self, url: httpx.URL) -> bool:
        if url.port is None and (url.raw_host, None) in self._known:
            return True
        return (url.raw_host, _port(url)) in self._known


def _port(url: httpx.URL) -> int:
    return url.port or (443 if url.scheme == "https" else 80)


def _place(url: httpx.URL) -> str:
    """The host as a person would write it."""
    return url.host if url.port is None else f"{url.host}:{url.port}"


def _is_same_host(one: httpx.URL, other: httpx.URL) -> bool:
    if one.raw_host != other.raw_host:
        return False
    is_upgrade = one.port is None and other.port is None  # http to https
    return is_upgrade or _port(one) == _port(other)


# ---------------------------------------------------------------- requests


class _Order(msgspec.Struct, frozen=True):
    """What is sent, and for whom."""

    request: WorkerRequest
    method: str
    url: httpx.URL
    headers: dict[str, str]
    content: bytes | None

    @classmethod
    def of(cls, request: WorkerRequest) -> _Order:
        """The request that the worker's settings describe."""
        settings = request.worker.settings
        url = _url(request)
        query = evaluated(request, "query")
        if query:
            url = url.copy_merge_params(httpx.QueryParams(_pairs(query, "query")))
        given = evaluated(request, "headers") or {}
        headers = {n: text_of(v, f"headers.{n}") for n, v in given.items() if v is not None}
        content: bytes | None = None
        kind = ""
        if "json" in settings:
            content = msgspec.json.encode(plain_json(evaluated(request, "json")))
            kind = "application/json"
        elif "form" in settings:
            content = urlencode(_pairs(evaluated(request, "form") or {}, "form")).encode()
            kind = "application/x-www-form-urlencoded"
        if kind and not any(name.lower() == "content-type" for name in headers):
            headers["Content-Type"] = kind
        return cls(request, str(settings["method"]), url, headers, content)

    def said(self, words: str) -> str:
        """A message about it: fit to be shown, and without secrets."""
        return clean(f"{self.method} {_place(self.url)}: {words}", self.request.scope)


def _url(request: WorkerRequest) -> httpx.URL:
    """The address, in which every value has stayed in its place.

    Raises:
        Failure: `denied`; a value would have led elsewhere. `crashed`; it is not a valid address.
    """
    pieces = _pieces(request)
    url = _parsed("".join(piece.text for piece in pieces), request)
    # The client has its own ideas of addresses: what it sends must have the form of what was
    # checked, whatever the values are.
    plain = "".join(
        "x"
        if piece.kind not in ("written", "whole") and place not in ("scheme", "host")
        else piece.text
        for piece, place in zip(pieces, places(pieces), strict=True)
    )
    if _form(url) != _form(_parsed(plain, request)):
        raise Failure("denied", clean("a value in `url` changes its form", request.scope))
    return url


def _pieces(request: WorkerRequest) -> list[Piece]:
    setting = request.worker.settings["url"]
    if not isinstance(setting, Expression):
        return [Piece(str(evaluated(request, "url")), "written")]
    try:
        return address_of(setting).evaluate({**request.scope, **request.input})
    except EvaluationError as error:
        message = f"cannot evaluate `url`: {error}"
        raise Failure("crashed", clean(message, request.scope)) from None
    except AddressError as error:
        raise Failure("denied", clean(f"`url`: {error}", request.scope)) from None


def _parsed(text: str, request: WorkerRequest) -> httpx.URL:
    try:
        url = httpx.URL(text)
        if url.scheme not in ("http", "https") or not url.raw_host:
            raise httpx.InvalidURL("it does not begin with http:// or https:// and a host")
    except (httpx.InvalidURL, TypeError, ValueError) as error:
        said = clean(f"`url` is not an address: {error}", request.scope)
        raise Failure("crashed", said) from None
    return url


def _form(url: httpx.URL) -> tuple[object, ...]:
    """All of an address but what is within its segments and its query."""
    path, mark, _ = url.raw_path.partition(b"?")
    return url.scheme, url.userinfo, url.raw_host, url.port, path.count(b"/"), bool(mark)


def _pairs(given: Mapping[str, Any], place: str) -> list[tuple[str, str | int | float | None]]:
    """Names and values; a list gives one pair an item, null none."""
    pairs: list[tuple[str, str | int | float | None]] = []
    for name, value in given.items():
        items = value if isinstance(value, (list, tuple)) else [value]
        pairs.extend((name, text_of(item, f"{place}.{name}")) for item in items if item is not None)
    return pairs


# ---------------------------------------------------------------- responses


def _target(response: httpx.Response, order: _Order) -> httpx.URL | None:
    """Where a response redirects to, or None; a status that has a mode is not a redirect."""
    location = response.headers.get("location")
    status = response.status_code
    if status not in _REDIRECTS or not location or status in _modes(order.request):
        return None
    try:
        return order.url.join(location)
    except (httpx.InvalidURL, ValueError) as error:
        raise Failure("crashed", order.said(f"redirected to no address: {error}")) from None


def _modes(request: WorkerRequest) -> Mapping[int, str]:
    modes: Mapping[int, str] = request.worker.settings["on_status"]
    return modes


async def _output(response: httpx.Response, order: _Order) -> Any:
    status = response.status_code
    if status in _modes(order.request) or not 200 <= status < 300:
        raise await _refusal(response, order)
    max_bytes = order.request.worker.max_bytes
    try:
        body = await _body(response, order, max_bytes)
    except BodyTooLarge:
        size = size_words(max_bytes)
        raise Failure("invalid_output", order.said(f"the response is larger than {size}")) from None
    except BodyError as error:
        raise Failure("invalid_output", order.said(f"the response {error}")) from None
    return await off_the_loop(partial(_value, response, body, order), len(body))


async def _body(response: httpx.Response, order: _Order, max_bytes: int) -> bytes:
    if order.method == "HEAD":
        return b""
    encoding = response.headers.get("content-encoding", "")
    length = response.headers.get("content-length", "")
    if not encoding and length.isdecimal() and int(length) > max_bytes:
        raise BodyTooLarge
    return await read_body(response.aiter_raw(), encoding, max_bytes)


async def _refusal(response: httpx.Response, order: _Order) -> Failure:
    """The failure that a status is."""
    status = response.status_code
    try:
        encoding = response.headers.get("content-encoding", "")
        pieces = response.aiter_raw()
        text = _decoded(response, await _beginning(pieces, encoding))
    except (BodyError, httpx.TransportError):
        text = ""
    words = " ".join(redacted(text, order.request.scope).split())
    message = f"HTTP {status}" + (f": {words[:300]}" if words else "")
    retryable = status >= 500 or status in _RETRYABLE
    return Failure(
        _modes(order.request).get(status, "crashed"),
        order.said(message),
        retryable=retryable,
        retry_after_ms=retry_after_ms(response.headers) if retryable else None,
    )


async def _beginning(pieces: AsyncIterator[bytes], encoding: str) -> bytes:
    """The first part of a body that is only shown; what is packed is shown if it is short."""
    if encoding:
        try:
            return await read_body(pieces, encoding, _ERROR_BYTES)
        except BodyTooLarge:
            return b""
    begin = b""
    async for piece in pieces:
        begin += piece
        if len(begin) >= _ERROR_BYTES:
            break
    if len(begin) > _ERROR_BYTES:
        # It may end in the middle of a secret, which would not be recognised.
        return b"".join(begin[:_ERROR_BYTES].rsplit(None, 1)[:1])
    return begin


def _decoded(response: httpx.Response, body: bytes) -> str:
    try:
        return body.decode(response.charset_encoding or "utf-8", errors="replace")
    except LookupError:  # an unknown charset
        return body.decode(errors="replace")


def _value(response: httpx.Response, body: bytes, order: _Order) -> Any:
    """The worker's output, from the body by way of `result`."""
    request = order.request
    assert isinstance(request.worker, Worker)
    has_result = "result" in request.worker.settings
    is_json = "json" in response.headers.get("content-type", "").partition(";")[0].lower()
    if not has_result and is_text(request.worker.output):
        return plain_json(_text(response, body, is_json=is_json))
    parsed: Any = None
    if body.strip():
        try:
            parsed = _json(response, body)
        except ValueError as error:
            if is_json or not has_result:
                raise Failure("invalid_output", _no_json(error, body, order)) from None
            parsed = _decoded(response, body)
    if not has_result:
        return plain_json(parsed)
    names = {
        **request.scope,
        "response": parsed,
        "status": response.status_code,
        "headers": dict(response.headers),
    }
    try:
        value = evaluated(msgspec.structs.replace(request, scope=names), "result")
    except Failure as failure:
        raise Failure("invalid_output", order.said(failure.message)) from None
    return plain_json(value)


def _text(response: httpx.Response, body: bytes, *, is_json: bool) -> str:
    """The body as a text; a JSON string without its quotes."""
    if is_json:
        try:
            value = _json(response, body)
        except ValueError:
            value = None
        if isinstance(value, str):
            return value
    return _decoded(response, body)


def _json(response: httpx.Response, body: bytes) -> Any:
    charset = (response.charset_encoding or "utf-8").lower()
    try:
        if charset not in ("utf-8", "utf8", "us-ascii", "ascii"):
            body = body.decode(charset).encode()
        return msgspec.json.decode(body.removeprefix(b"\xef\xbb\xbf"))
    except (msgspec.MsgspecError, UnicodeError, LookupError, RecursionError) as error:
        raise ValueError(str(error)) from None


def _no_json(error: ValueError, body: bytes, order: _Order) -> str:
    begin = redacted(body[:2_000].decode(errors="replace"), order.request.scope)[:80]
    return order.said(f"the response is not JSON ({error}); it begins with {begin!r}")


def open_port(program: Program | None) -> HttpWorker:
    """The port of `via http`, which reaches the hosts that are in the program."""
    workers = program.workers.values() if program is not None else ()
    return HttpWorker(host for it in workers for host in it.settings.get("hosts") or ())
