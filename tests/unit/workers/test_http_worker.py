"""Workers `via http` against a real server: requests, statuses, and what may come back."""

import asyncio
import gzip
import json
import socket
import tracemalloc
import zlib

import pytest
from http_server import bomb, chunks, cut, drop, send, take

from engine.errors import Failure
from engine.workers.http_body import BodyTooLarge, read_body


def worker(site, body="", output="json", inputs="", path="/", name="w"):
    url = f'url = "{site.url}{path}"'
    return f"worker {name}({inputs}) -> {output} fails missing, busy via http {{ {url} {body} }}"


@pytest.fixture
def fetch(declare, carry_out, site):
    """Serves one page and gives what a worker makes of it."""

    def fetch(page, body="", output="json", input=None, inputs=""):
        site.pages["/"] = page
        return carry_out(declare(worker(site, body, output, inputs)), ("w", input or {}))

    return fetch


def failure_of(function, *args, **options):
    with pytest.raises(Failure) as caught:
        function(*args, **options)
    return caught.value


# ---------------------------------------------------------------- requests


def test_query_and_headers_come_from_expressions(fetch, site):
    body = """
    query   = { q: q, limit: 3, tags: ["a", "b"], none: null, on: true }
    headers = {
      Authorization: "Bearer " ~ secret.TOKEN, "X-None": null, "Idempotency-Key": task.key
    }
    """
    assert fetch(send({"ok": 1}), body, input={"q": "a b&c"}, inputs="q: string") == {"ok": 1}
    (asked,) = site.requests
    assert (asked.method, asked.path) == ("GET", "/?q=a+b%26c&limit=3&tags=a&tags=b&on=true")
    assert asked.headers["authorization"] == "Bearer s3cret-value"
    assert asked.headers["idempotency-key"] == "key-1"
    assert asked.headers["user-agent"].startswith("orch/")
    assert "x-none" not in asked.headers


def test_a_query_is_added_to_the_one_of_the_address(declare, carry_out, site):
    site.pages["/find"] = send([])
    carry_out(declare(worker(site, "query = { q: 1 }", path="/find?lang=en")), "w")
    assert site.requests[0].path == "/find?lang=en&q=1"


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
def test_a_json_body(fetch, site, method):
    body = f'method = "{method}" effect = write json = {{ text: text, key: task.key }}'
    fetch(send(None), body, input={"text": "ü"}, inputs="text: string")
    (asked,) = site.requests
    assert asked.method == method
    assert json.loads(asked.body) == {"text": "ü", "key": "key-1"}
    assert asked.headers["content-type"] == "application/json"


def test_a_form_body(fetch, site):
    body = 'method = "POST" effect = write form = { a: "x y", b: [1, 2], none: null }'
    fetch(send(None), body)
    assert site.requests[0].body == b"a=x+y&b=1&b=2"
    assert site.requests[0].headers["content-type"] == "application/x-www-form-urlencoded"


def test_a_content_type_of_ones_own_is_kept(fetch, site):
    body = """
    method = "POST" effect = write json = { a: 1 }
    headers = { "content-type": "application/vnd.api+json" }
    """
    fetch(send(None), body)
    assert site.requests[0].headers["content-type"] == "application/vnd.api+json"


def test_what_is_no_header_is_refused_before_anything_is_sent(fetch, site):
    for value, words in (("[1]", "must be a string"), ('"a\\nb"', "cannot be sent"),
                         ('"ü"', "cannot be sent")):  # fmt: skip
        failure = failure_of(fetch, send({}), f"headers = {{ A: {value} }}")
        assert failure.mode == "crashed"
        assert words in failure.message
    assert site.requests == []


def test_no_proxy_and_no_cookie_gets_in_between(declare, carry_out, site, monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:1")
    site.pages["/"] = send({}, headers={"Set-Cookie": "session=1"})
    assert carry_out(declare(worker(site)), "w", "w") == [{}, {}]
    assert "cookie" not in site.requests[1].headers


# ---------------------------------------------------------------- results


def test_result_sees_the_body_the_status_and_the_headers(fetch):
    body = 'result = { n: response.items | length, code: status, kind: headers["x-kind"] }'
    page = send({"items": [1, 2]}, 201, {"X-Kind": "list"})
    assert fetch(page, body) == {"n": 2, "code": 201, "kind": "list"}


def test_a_result_that_is_not_there_is_invalid_output(fetch):
    failure = failure_of(fetch, send({"error": "x"}), "result = response.items.first")
    assert failure.mode == "invalid_output"
    assert "cannot evaluate `result`" in failure.message


@pytest.mark.parametrize(
    ("page", "text"),
    [
        (send(b"<p>h\xc3\xbc</p>", kind="text/html; charset=utf-8"), "<p>hü</p>"),
        (send(b"h\xfc", kind="text/plain; charset=latin-1"), "hü"),
        (send(b"h\xfc", kind="text/plain; charset=klingon"), "h�"),
        (send("plain"), "plain"),
        (send({"a": 1}), '{"a": 1}'),
        (send(b"{oops"), "{oops"),
        (send(b""), ""),
    ],
)
def test_a_string_output_is_the_text(fetch, page, text):
    assert fetch(page, output="string") == text


def test_json_may_come_without_its_name_and_with_a_byte_order_mark(fetch):
    assert fetch(send(b'\xef\xbb\xbf{"a": 1}', kind="text/plain")) == {"a": 1}
    assert fetch(send('{"a": "ü"}'.encode("latin-1"), kind="x/json; charset=latin-1")) == {"a": "ü"}


def test_text_with_a_result_expression_is_a_text(fetch):
    page = send(b"a,b\nc,d", kind="text/csv")
    assert fetch(page, "result = response | upper", "string") == "A,B\nC,D"


def test_an_empty_body_is_null(fetch):
    assert fetch(send(b"", 204)) is None
    assert fetch(send(b"x"), 'method = "HEAD" result = status') == 200


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"<html>s3cret-value</html>", "it begins with '<html>[secret TOKEN]</html>'"),
        (b'{"a": 1', "is not JSON"),
        (b'{"a": "\xff"}', "is not JSON"),
        (b"[" * 100_000, "is not JSON"),
    ],
)
def test_what_is_not_json_is_invalid_output(fetch, data, words):
    failure = failure_of(fetch, send(data))
    assert failure.mode == "invalid_output"
    assert words in failure.message
    assert len(failure.message) <= 500


# ---------------------------------------------------------------- statuses


def test_a_status_becomes_the_mode_the_file_gives_it(fetch):
    body = "on_status { 404 = missing  429 = busy  304 = missing }"
    found = failure_of(fetch, send({"why": "gone"}, 404), body)
    assert (found.mode, found.retryable) == ("missing", False)
    assert found.message.endswith('HTTP 404: {"why": "gone"}')
    assert failure_of(fetch, send(b"", 304), body).mode == "missing"
    found = failure_of(fetch, send(b"", 429, {"Retry-After": "7"}), body)
    assert (found.mode, found.retryable, found.retry_after_ms) == ("busy", True, 7_000)


@pytest.mark.parametrize(
    ("status", "retryable"),
    [(400, False), (401, False), (404, False), (408, True), (429, True), (500, True), (503, True)],
)
def test_any_other_bad_status_is_a_crash(fetch, status, retryable):
    failure = failure_of(fetch, send(b"  token s3cret-value\n is bad " + b"x" * 9_000, status))
    assert (failure.mode, failure.retryable) == ("crashed", retryable)
    assert failure.message.endswith(f"HTTP {status}: token [secret TOKEN] is bad")
    assert len(failure.message) < 400


def test_a_secret_cut_by_the_limit_does_not_show(fetch):
    for before in range(285, 302):
        failure = failure_of(fetch, send(b"x" * before + b"s3cret-value", 400))
        assert "s3" not in failure.message


def test_a_compressed_refusal_is_readable(fetch):
    page = send(gzip.compress(b"no such thing"), 400, {"Content-Encoding": "gzip"})
    assert "HTTP 400: no such thing" in failure_of(fetch, page).message
    page = send(bomb(10_000_000), 400, {"Content-Encoding": "gzip"})
    assert failure_of(fetch, page).message.endswith("HTTP 400")


@pytest.mark.parametrize(
    ("headers", "wait_ms"),
    [
        ({"Retry-After": "0"}, 0),
        ({"Retry-After": "120"}, 120_000),
        ({"Retry-After": "1.5"}, 1_500),
        ({"Retry-After": "nan"}, None),
        (
            {
                "Date": "Mon, 01 Jan 2024 10:00:00 GMT",
                "Retry-After": "Mon, 01 Jan 2024 10:00:30 GMT",
            },
            30_000,
        ),
        (
            {
                "Date": "Mon, 01 Jan 2024 10:00:00 GMT",
                "Retry-After": "Mon, 01 Jan 2024 09:00:00 GMT",
            },
            0,
        ),
        ({"Retry-After": "soon"}, None),
        ({"Retry-After": "-3"}, None),
        ({}, None),
    ],
)
def test_retry_after(fetch, headers, wait_ms):
    def page(handler, ending):
        handler.send_response_only(503)  # without a `Date` of its own
        for name, value in {**headers, "Content-Length": "0"}.items():
            handler.send_header(name, value)
        handler.end_headers()

    failure = failure_of(fetch, page)
    assert (failure.mode, failure.retryable) == ("crashed", True)
    assert failure.retry_after_ms == wait_ms


# ---------------------------------------------------------------- sizes


def test_an_announced_size_over_the_limit_is_not_read(fetch):
    failure = failure_of(fetch, take(b"", 10_000_000_000))
    assert failure.mode == "invalid_output"
    assert failure.message.endswith("the response is larger than 10 MiB")


def test_a_stream_without_end_is_cut(fetch):
    def for_ever():
        while True:
            yield b"1" * 4096

    failure = failure_of(fetch, chunks(for_ever()), "max_bytes = 64KiB")
    assert failure.message.endswith("the response is larger than 64 KiB")


def test_exactly_the_limit_is_allowed(fetch):
    data = json.dumps("x" * 1022).encode()
    assert len(data) == 1024
    packed = {"Content-Encoding": "gzip"}
    assert fetch(chunks([data]), "max_bytes = 1KiB") == "x" * 1022
    assert fetch(send(gzip.compress(data), 200, packed), "max_bytes = 1KiB") == "x" * 1022
    more = gzip.compress(data + b" ")
    assert failure_of(fetch, send(more, 200, packed), "max_bytes = 1KiB").mode == "invalid_output"


@pytest.mark.parametrize("encoding", ["gzip", "x-gzip", "deflate"])
def test_a_decompression_bomb_is_defused(fetch, encoding):
    data = bomb(50_000_000) if "gzip" in encoding else zlib.compress(bytes(50_000_000))
    failure = failure_of(fetch, send(data, 200, {"Content-Encoding": encoding}), "max_bytes = 1MiB")
    assert failure.mode == "invalid_output"
    assert failure.message.endswith("the response is larger than 1 MiB")


def test_unpacking_never_holds_more_than_the_limit():
    packed = bomb(50_000_000)

    async def one_piece():
        yield packed

    tracemalloc.start()
    try:
        with pytest.raises(BodyTooLarge):
            asyncio.run(read_body(one_piece(), "gzip", 1024 * 1024))
        assert tracemalloc.get_traced_memory()[1] < 10 * 1024 * 1024
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    ("encoding", "pack"),
    [
        ("gzip", gzip.compress),
        ("identity", bytes),
        ("deflate", zlib.compress),
        ("deflate", lambda data: zlib.compress(data, wbits=-15)),
    ],
)
def test_compressed_responses_are_unpacked(fetch, encoding, pack):
    data = json.dumps({"text": "abc" * 1000}).encode()
    page = send(pack(data), 200, {"Content-Encoding": encoding})
    assert fetch(page) == {"text": "abc" * 1000}


def test_every_member_of_a_packed_response_counts(fetch):
    """As programs that append to a log write them, one member a line."""
    data = gzip.compress(b'["line one",') + gzip.compress(b'"line two"]')
    assert fetch(send(data, 200, {"Content-Encoding": "gzip"})) == ["line one", "line two"]


#: The ids of tests are made of these: no time may be in them.
TWICE = gzip.compress(gzip.compress(b"1", mtime=0), mtime=0)


@pytest.mark.parametrize(
    ("data", "encoding", "words"),
    [
        (TWICE, "gzip, gzip", "packed in a way that was not asked"),
        (b"\x0b\x02", "br", "packed in a way that was not asked for (br)"),
        (gzip.compress(b"123456", mtime=0)[:-6], "gzip", "ends too early"),
        (b"not gzip", "gzip", "is no gzip data"),
        (b"\xff\xff\xff", "deflate", "is no deflate data"),
    ],
)
def test_what_cannot_be_unpacked_is_invalid_output(fetch, data, encoding, words):
    failure = failure_of(fetch, send(data, 200, {"Content-Encoding": encoding}))
    assert failure.mode == "invalid_output"
    assert words in failure.message


# ---------------------------------------------------------------- connections


def test_a_refused_connection_may_be_tried_again(declare, carry_out):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        host = f"127.0.0.1:{free.getsockname()[1]}"
    program = declare(f'worker w() -> json via http {{ url = "http://{host}/" }}')
    failure = failure_of(carry_out, program, "w")
    assert (failure.mode, failure.retryable) == ("crashed", True)
    assert failure.message.startswith(f"GET {host}: no connection")


@pytest.mark.parametrize(
    "page",
    [
        drop(),
        take(b"{", 100),
        cut([b"[1, 2]"]),
        cut([gzip.compress(b"[1, 2]", mtime=0)], {"Content-Encoding": "gzip"}),
    ],
)
def test_a_lost_connection_may_be_tried_again(fetch, page):
    failure = failure_of(fetch, page)
    assert (failure.mode, failure.retryable) == ("crashed", True)
    assert "connection lost" in failure.message


def test_an_encrypted_request_to_a_plain_server_fails(declare, carry_out, site):
    program = declare(f'worker w() -> json via http {{ url = "https://{site.host}/" }}')
    failure = failure_of(carry_out, program, "w")
    assert (failure.mode, failure.retryable) == ("crashed", True)
    assert "no connection" in failure.message


def test_connections_are_shared_and_closed(declare, carry_out, site):
    ports = set()

    def page(handler, ending):
        ports.add(handler.client_address[1])
        send({})(handler, ending)

    site.pages["/"] = page
    carry_out(declare(worker(site)), *["w"] * 5)
    assert len(ports) == 1


def test_calls_at_once(declare, carry_out, site):
    site.pages["/"] = send({"ok": True})
    program = declare(worker(site, inputs="n: int", body="query = { n: n }"))
    found = carry_out(program, *[("w", {"n": n}) for n in range(40)], together=True)
    assert found == [{"ok": True}] * 40
    assert len({asked.path for asked in site.requests}) == 40
