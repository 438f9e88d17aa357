"""MCP servers as they are: sessions that are lost, HTTP statuses, odd tools and odd answers."""

import asyncio
import json
import sys
from pathlib import Path

import pytest
from http_server import hang as never

from engine.errors import Failure
from engine.workers.mcp import offered_tools
from engine.workers.registry import close_port, worker_port

SCRIPT = str(Path(__file__).parents[2] / "support" / "mcp_fakes.py")
OK = {"content": [{"type": "text", "text": "7"}]}
RECORD = "{ type: string, mime_type: string, data: string }"
IMAGE = {"type": "image", "mimeType": "image/png", "data": "aGk="}
LINK = {"type": "resource_link", "uri": "file:///a.txt", "name": "a", "mimeType": "text/plain"}


def worker(name, output="json", inputs="", body="effect = read", fails="busy"):
    return (
        f"worker {name}({inputs}) -> {output} fails {fails} via mcp "
        f'{{ server = kb  tool = "{name}"  {body} }}\n'
    )


@pytest.fixture
def play(site, fakes):
    """A server over HTTP that plays what it is told."""

    def play(**options):
        played = fakes.Played(**options)
        site.pages["/mcp"] = played.page
        return played

    return play


@pytest.fixture
def hang():
    """A page that never answers."""
    return never()


@pytest.fixture
def over_http(declare, site):
    """The program of some workers, whose server is played over HTTP."""
    return lambda workers, more="": declare(
        f'server kb via mcp {{ url = "{site.url}/mcp"  {more} }}\n{workers}'
    )


@pytest.fixture
def over_stdio(declare):
    """The program of some workers, whose server is played on standard input and output."""

    def over_stdio(workers, **played):
        command = json.dumps([sys.executable, SCRIPT, json.dumps(played)])
        return declare(f"server kb via mcp {{ command = {command}  timeout = 5s }}\n{workers}")

    return over_stdio


@pytest.fixture
def talk(request_to):
    """Makes calls one by one over one port; gives results, failures, and the port's findings."""

    def talk(program, *calls, between=lambda: None, together=False):
        async def run():
            port = worker_port("mcp", program)
            results, findings = [], ""
            asked = [call if isinstance(call, tuple) else (call, {}) for call in calls]
            requests = [request_to(program, name, input) for name, input in asked]
            try:
                if together:
                    first = await port.call(requests.pop(0))
                    between()
                    made = await asyncio.gather(*map(port.call, requests), return_exceptions=True)
                    results = [first, *made]
                else:
                    for request in requests:
                        results += await asyncio.gather(port.call(request), return_exceptions=True)
                        between()
            finally:
                try:
                    await close_port(port)
                except Failure as finding:
                    findings = finding.message
            return [getattr(result, "value", result) for result in results], findings

        return asyncio.run(run())

    return talk


# ---------------------------------------------------------------- sessions


UNKNOWN = [
    {"jsonrpc": "2.0", "id": None, "error": {"code": -32600, "message": "Session not found"}},
    {"jsonrpc": "2.0", "id": None, "error": {"code": -32001, "message": "Session not found"}},
    {"error": "gone"},
    b"",
    b"no such session",
    b"<html>404</html>",
]


@pytest.mark.parametrize("body", UNKNOWN)
@pytest.mark.parametrize("effect", ["read", "once"])
def test_a_session_that_is_not_known_is_opened_anew(play, over_http, talk, fakes, body, effect):
    played = play(tools=[fakes.tool("a")], results={"a": OK})
    played.unknown = fakes.Status(404, body)
    program = over_http(worker("a", "int", body=f"effect = {effect}"))
    results, findings = talk(program, "a", "a", between=played.forget)
    assert (results, findings) == ([7, 7], "")
    assert played.methods.count("initialize") == 2
    assert played.methods.count("tools/call") == 2


@pytest.mark.parametrize("status", [400, 503])
def test_statuses_that_may_mean_a_lost_session(play, over_http, talk, fakes, status):
    played = play(tools=[fakes.tool("a")], results={"a": OK})
    error = {"code": -32000, "message": "Bad Request: No valid session ID provided"}
    played.unknown = fakes.Status(status, {"jsonrpc": "2.0", "id": None, "error": error})
    results, _ = talk(over_http(worker("a", "int")), "a", "a", between=played.forget)
    assert results == [7, 7]
    # They prove nothing, so what must not be done twice is not; the next call has a new session.
    program = over_http(worker("a", "int", body="effect = once"))
    results, _ = talk(program, "a", "a", "a", between=played.forget)
    first, second, _ = results
    assert first == 7
    assert (second.mode, second.retryable) == ("crashed", True)
    assert f"HTTP {status}: Bad Request: No valid session ID provided" in second.message


def test_a_session_is_opened_anew_once_for_a_call(play, over_http, talk, fakes):
    played = play(tools=[fakes.tool("a")], results={"a": OK})
    played.statuses["tools/call"] = [fakes.Status(404)] * 9
    (failure,), _ = talk(over_http(worker("a", "int")), "a")
    assert (failure.mode, failure.retryable) == ("crashed", True)
    assert "HTTP 404" in failure.message
    assert played.methods.count("tools/call") == 2


def test_a_status_that_is_no_word_about_the_session_costs_one_session(play, over_http, talk, fakes):
    played = play(tools=[fakes.tool("a")], results={"a": OK})
    played.statuses["tools/call"] = [fakes.Status(400, b"no")] * 9
    results, _ = talk(over_http(worker("a", "int")), "a", "a", "a")
    assert all("HTTP 400: no" in failure.message for failure in results)
    assert played.methods.count("tools/call") == 4


def test_calls_at_once_share_the_new_session(play, over_http, talk, fakes):
    played = play(tools=[fakes.tool("a")], results={"a": OK})
    program = over_http(worker("a", "int"))
    results, _ = talk(program, *["a"] * 9, between=played.forget, together=True)
    assert results == [7] * 9
    assert played.methods.count("initialize") == 2


def test_sessions_that_were_left_are_ended(play, over_http, talk, fakes, site):
    played = play(tools=[fakes.tool("a")], results={"a": OK})
    played.statuses["tools/call"] = [fakes.Status(503)] * 20
    talk(over_http(worker("a", "int", body="effect = once")), *["a"] * 5)
    assert played.methods.count("initialize") == 5
    assert len([1 for asked in site.requests if asked.method == "DELETE"]) == 5


def test_a_server_that_never_says_goodbye_does_not_hold_up_the_end(
    play, over_http, talk, fakes, site, hang
):
    played = play(tools=[fakes.tool("a")], results={"a": OK})

    def page(handler, ending):
        (hang if handler.command == "DELETE" else played.page)(handler, ending)

    site.pages["/mcp"] = page
    assert talk(over_http(worker("a", "int")), "a")[0] == [7]


def test_a_list_that_is_not_at_its_end_in_time_is_named(play, over_http, talk, fakes, site, hang):
    pages = {"": {"tools": [fakes.tool("a")], "nextCursor": "1"}}
    played = play(tools=pages)

    def page(handler, ending):
        later = handler.command == "POST" and b'"cursor"' in handler.body
        (hang if later else played.page)(handler, ending)

    site.pages["/mcp"] = page
    (failure,), _ = talk(over_http(worker("a"), "timeout = 1s"), "a")
    assert failure.mode == "timeout"
    assert "not ready after 1 s, at page 2 of its list of tools" in failure.message


def test_a_server_may_use_the_codes_of_the_library(play, over_http, talk, fakes):
    played = play(
        tools=[fakes.tool("a"), fakes.tool("b")],
        errors={
            "a": {"code": -32001, "message": "busy: later"},
            "b": {"code": -32000, "message": "Connection closed"},
        },
    )
    for played.answers in ("json", "sse"):
        (first, second), _ = talk(over_http(worker("a") + worker("b")), "a", "b")
        assert (first.mode, first.message, first.retryable) == ("busy", "busy: later", False)
        assert (second.mode, second.message) == ("crashed", "Connection closed")


# ---------------------------------------------------------------- statuses


STATUSES = [
    (401, b"who are you?", {}, False, None, "credentials in `headers` are missing or not valid"),
    (403, b"", {}, False, None, "HTTP 403 (the credentials in `headers` are not allowed"),
    (418, b"", {}, False, None, "HTTP 418"),
    (429, b"slow down", {"Retry-After": "2"}, True, 2_000, "HTTP 429: slow down"),
    (429, b"", {"Retry-After": "0.25"}, True, 250, "HTTP 429"),
    (500, b"<html>", {"Content-Type": "text/html"}, True, None, "HTTP 500: Internal Server Error"),
    (502, b"", {}, True, None, "HTTP 502"),
    (503, b"", {"Retry-After": "1"}, True, 1_000, "HTTP 503"),
]


@pytest.mark.parametrize(("status", "body", "headers", "again", "wait_ms", "words"), STATUSES)
def test_statuses_of_calls(
    play, over_http, talk, fakes, status, body, headers, again, wait_ms, words
):
    played = play(tools=[fakes.tool("a")], results={"a": OK})
    played.statuses["tools/call"] = [fakes.Status(status, body, headers)] * 2
    (failure,), _ = talk(over_http(worker("a")), "a")
    assert (failure.mode, failure.retryable) == ("crashed", again)
    assert failure.retry_after_ms == wait_ms
    assert words in failure.message


@pytest.mark.parametrize(("status", "body", "headers", "again", "wait_ms", "words"), STATUSES)
def test_statuses_at_the_start(
    play, over_http, talk, fakes, status, body, headers, again, wait_ms, words
):
    played = play(tools=[fakes.tool("a")], results={"a": OK})
    played.statuses["server/discover"] = [fakes.Status(status, body, headers)]
    played.statuses["initialize"] = [fakes.Status(status, body, headers)]
    (failure, value), _ = talk(over_http(worker("a", "int")), "a", "a")
    assert (failure.mode, failure.retryable) == ("crashed", again)
    assert failure.retry_after_ms == wait_ms
    assert failure.message.startswith(f"no session with server `kb`: HTTP {status}")
    assert words in failure.message
    assert value == 7


def test_an_address_without_a_server(site, over_http, talk):
    (failure,), _ = talk(over_http(worker("a")), "a")
    assert "HTTP 404 (nothing serves MCP over streamable HTTP at this address)" in failure.message
    assert not failure.retryable


def test_secrets_in_refusals_are_redacted(play, over_http, talk, fakes):
    played = play(tools=[fakes.tool("a")])
    played.statuses["tools/call"] = [fakes.Status(401, b"bad token s3cret-value")]
    more = 'headers = { Authorization: "Bearer " ~ secret.TOKEN }'
    (failure,), _ = talk(over_http(worker("a"), more), "a")
    assert failure.message.endswith("bad token [secret TOKEN]")


# ---------------------------------------------------------------- versions


DISCOVERED = {
    "resultType": "complete",
    "supportedVersions": ["2026-07-28"],
    "capabilities": {"tools": {}},
    "ttlMs": 0,
    "cacheScope": "private",
}


@pytest.mark.parametrize("version", ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25"])
def test_older_versions(play, over_http, over_stdio, talk, fakes, version):
    played = {"tools": [fakes.tool("a")], "results": {"a": OK}, "version": version}
    play(**played)
    assert talk(over_http(worker("a", "int")), "a")[0] == [7]
    assert talk(over_stdio(worker("a", "int"), **played), "a")[0] == [7]


def test_the_newest_version_knows_no_sessions(play, over_http, talk, fakes):
    header = {"type": "string", "x-mcp-header": "Region"}
    schema = {"type": "object", "properties": {"region": header, "x": True}}
    wrong = {"type": "object", "properties": {"n": {"type": "object", "x-mcp-header": "a b"}}}
    played = play(
        tools=[
            {"name": "a", "inputSchema": schema},
            {"name": "b", "inputSchema": wrong},
            fakes.tool("c"),
        ],
        results={"a": OK, "c": [fakes.Status(404)]},
    )
    played.discovered = DISCOVERED
    program = over_http(worker("a", "int", "region: string") + worker("b") + worker("c"))
    (value, wrong, gone), _ = talk(program, ("a", {"region": "eu"}), "b", "c")
    assert value == 7
    assert "initialize" not in played.methods
    assert "(`x-mcp-header`) are not valid" in wrong.message
    assert gone.message == "server `kb`: HTTP 404: Not Found"
    talk(program, ("a", {"region": "eu"}))
    assert played.headers["mcp-param-region"] == "eu"
    assert "mcp-session-id" not in played.headers


def test_a_tool_that_asks_in_the_middle_of_a_call(play, over_http, talk, fakes):
    asks = {"k": {"method": "elicitation/create", "params": {"message": "?"}}}
    played = play(
        tools=[fakes.tool("a"), fakes.tool("b")],
        results={"a": {"resultType": "input_required", "inputRequests": asks}},
        errors={"b": {"code": -32021, "message": "needs elicitation"}},
    )
    played.discovered = DISCOVERED
    (first, second), _ = talk(over_http(worker("a") + worker("b")), "a", "b")
    assert (first.mode, second.mode) == ("crashed", "crashed")
    assert "asks for input in the middle of the call (elicitation/create)" in first.message
    assert "asks for what a run cannot give in the middle of a call" in second.message


@pytest.mark.parametrize(
    ("initialized", "words"),
    [
        ({"protocolVersion": "2025-06-18"}, "`capabilities` is missing"),
        ({"protocolVersion": 7, "capabilities": {}}, "`protocolVersion` is not what the protocol"),
        ([], "its result is a list, not an object"),
    ],
)
def test_a_handshake_that_breaks_the_protocol(play, over_http, talk, initialized, words):
    played = play()
    played.initialized = initialized
    (failure,), _ = talk(over_http(worker("a")), "a")
    assert failure.message.startswith("no session with server `kb`: ")
    assert words in failure.message
    assert "validation error" not in failure.message


# ---------------------------------------------------------------- lists of tools


BAD_TOOLS = [
    {"name": "bad"},
    {"name": "bad", "inputSchema": None},
    {"name": "bad", "inputSchema": [1]},
    {"name": "bad", "inputSchema": {"type": "string"}},
    {"name": 7, "inputSchema": {"type": "object"}},
    {"name": "", "inputSchema": {"type": "object"}},
    {"inputSchema": {"type": "object"}},
    None,
    "bad",
    {"name": "bad", "inputSchema": {"type": "object"}, "outputSchema": [1]},
    {"name": "bad", "inputSchema": {"type": "object"}, "annotations": 3, "icons": "x"},
]


@pytest.mark.parametrize("bad", BAD_TOOLS)
def test_a_tool_that_breaks_the_protocol_costs_only_itself(play, over_http, talk, fakes, bad):
    play(tools=[bad, fakes.tool("a"), bad], results={"a": OK, "bad": OK})
    (value, failure), findings = talk(over_http(worker("a", "int") + worker("bad")), "a", "bad")
    assert value == 7
    assert findings == ""
    if isinstance(failure, Failure):
        assert "`bad`" in failure.message
        for word in ("validation", "pydantic", "http", "ListTools"):
            assert word not in failure.message


@pytest.mark.parametrize(
    ("schema", "words"),
    [
        (None, "its inputSchema is null, not an object"),
        ([], "its inputSchema is a list, not an object"),
        ({"type": "array"}, "its inputSchema is not for an object: its type is 'array'"),
    ],
)
def test_what_is_wrong_with_a_tool_is_said(play, over_http, talk, schema, words):
    played = play(tools=[{"name": "bad", "inputSchema": schema}])
    (failure,), _ = talk(over_http(worker("bad")), "bad")
    message = f"tool `bad` of server `kb` breaks the protocol: {words}"
    assert (failure.mode, failure.message) == ("crashed", message)
    assert "tools/call" not in played.methods


@pytest.mark.parametrize(
    "schema", [{}, {"anyOf": [{"type": "object"}]}, {"properties": {"x": True}}]
)
def test_an_input_schema_without_a_type_can_be_called(play, over_http, talk, schema):
    play(tools=[{"name": "a", "inputSchema": schema}], results={"a": OK})
    assert talk(over_http(worker("a", "int")), "a")[0] == [7]


def test_a_cursor_that_does_not_move_ends_the_list(play, over_http, talk, fakes):
    pages = {"": {"tools": [fakes.tool("a")], "nextCursor": "x"}}
    played = play(tools=pages, results={"a": OK})
    (value, failure), findings = talk(over_http(worker("a", "int") + worker("b")), "a", "b")
    assert value == 7
    assert findings == "server `kb`: its list of tools does not move on from the cursor 'x'"
    assert "does not move on from the cursor 'x'" in failure.message
    assert played.methods.count("tools/list") == 2


@pytest.mark.parametrize("cursor", ["", 2, {}])
def test_a_cursor_that_is_none_ends_the_list(play, over_http, talk, fakes, cursor):
    pages = {"": {"tools": [fakes.tool("a")], "nextCursor": cursor}}
    played = play(tools=pages, results={"a": OK})
    (value, failure), findings = talk(over_http(worker("a", "int") + worker("b")), "a", "b")
    assert (value, findings) == (7, "")
    assert f"(its list of tools ended with the cursor {cursor!r})" in failure.message
    assert played.methods.count("tools/list") == 1


def test_a_list_without_an_end(play, over_http, talk, fakes):
    pages = {
        str(n) if n else "": {"tools": [fakes.tool(f"t{n}")], "nextCursor": str(n + 1)}
        for n in range(200)
    }
    played = play(tools=pages, results={"t99": OK})
    (value,), findings = talk(over_http(worker("t99", "int")), "t99")
    assert value == 7
    assert findings == "server `kb`: its list of tools has more than 100 pages"
    assert played.methods.count("tools/list") == 100


# ---------------------------------------------------------------- answers


def texts(*given):
    return {"content": [{"type": "text", "text": text} for text in given]}


@pytest.mark.parametrize(
    ("output", "result", "value"),
    [
        ("{ v: int }[]", texts(), []),
        ("{ v: int }[]", texts('{"v": 0}'), [{"v": 0}]),
        ("{ v: int }[]", texts('{"v": 0}', '{"v": 1}'), [{"v": 0}, {"v": 1}]),
        ("{ v: int }[]", texts('[{"v": 0}]'), [{"v": 0}]),
        ("{ v: int }[]", texts("[]"), []),
        ("{ v: int }[]?", texts(), []),
        ("{ v: int }[]?", texts("null"), None),
        ("string[]", texts("0"), ["0"]),
        ("string[]", texts("0", "null"), ["0", "null"]),
        ("string[]", texts('["a", "b"]'), ["a", "b"]),
        ("(int?)[]", texts("1", "null", "2"), [1, None, 2]),
        ("int[][]", texts("[1]"), [[1]]),
        ("int[][]", texts("[1]", "[2, 3]"), [[1], [2, 3]]),
        ("json[]", texts('{"v": 0}'), [{"v": 0}]),
        ("json", texts("null"), None),
        ("json", texts("1", "null"), [1, None]),
        ("string?", texts("hello"), "hello"),
        ("string?", texts("null"), None),
        ("string?", texts(), None),
        ('"open" | "shut"', texts("open"), "open"),
        ("string", {"structuredContent": {"result": "x"}}, "x"),
        ("int[]", {"structuredContent": [1, 2]}, [1, 2]),
        ("string", {"structuredContent": "x", "content": []}, "x"),
        ("int?", {"structuredContent": None}, None),
        ("int", {"content": "7"}, 7),
        ("int", {"content": {"type": "text", "text": "7"}}, 7),
        (f"({RECORD})[]", {"content": []}, []),
    ],
)
def test_the_contract_decides_what_an_answer_is(
    play, over_http, talk, fakes, output, result, value
):
    play(tools=[fakes.tool("a")], results={"a": result})
    assert talk(over_http(worker("a", output)), "a") == ([value], "")


PNG = {"type": "image", "mime_type": "image/png", "data": "aGk="}
BLOB = {
    "type": "resource",
    "resource": {"uri": "file:///b", "mimeType": "application/pdf", "blob": "aGk="},
}
WORD = {"type": "text", "text": "a picture"}


@pytest.mark.parametrize(
    ("output", "content", "value", "lost"),
    [
        (RECORD, [IMAGE], PNG, ""),
        (RECORD, [WORD, IMAGE], PNG, "text"),
        (f"({RECORD})[]", [IMAGE, IMAGE], [PNG, PNG], ""),
        (f"({RECORD})[]", [WORD, IMAGE], [PNG], "text"),
        (f"(string | {RECORD})[]", [WORD, IMAGE], ["a picture", PNG], ""),
        ("json", [IMAGE], PNG, ""),
        ("json", [WORD, IMAGE], ["a picture", PNG], ""),
        ("string", [WORD, IMAGE], "a picture", "image (image/png)"),
        ("string", [WORD, LINK], "a picture", "resource_link (text/plain)"),
        ("string[]", [WORD, IMAGE], ["a picture"], "image (image/png)"),
        ("int", [{"type": "text", "text": "7"}, IMAGE], 7, "image (image/png)"),
        ("{ uri: string }", [LINK], {"uri": "file:///a.txt"}, ""),
        ("{ uri: string }[]", [LINK, LINK], [{"uri": "file:///a.txt"}] * 2, ""),
        (
            "{ type: string, uri: string, mime_type: string?, name: string? }",
            [LINK],
            {
                "type": "resource_link",
                "uri": "file:///a.txt",
                "mime_type": "text/plain",
                "name": "a",
            },
            "",
        ),
        ("{ uri: string, data: string }", [BLOB], {"uri": "file:///b", "data": "aGk="}, ""),
        ("string", [WORD, {"type": "hologram"}], "a picture", "hologram"),
    ],
)
def test_images_and_resources_are_values_or_named(
    play, over_http, talk, fakes, output, content, value, lost
):
    play(tools=[fakes.tool("a")], results={"a": {"content": content}})
    values, findings = talk(over_http(worker("a", output)), "a", "a")
    assert values == [value, value]
    words = "tool `a` of server `kb` gave more than the output of worker `a` can hold, "
    assert findings == (f"{words}which was left out: {lost}" if lost else "")


@pytest.mark.parametrize("content", [[IMAGE], [LINK], [{"type": "hologram"}], [3]])
def test_what_an_output_cannot_hold_at_all_is_invalid(play, over_http, talk, fakes, content):
    play(tools=[fakes.tool("a")], results={"a": {"content": content}})
    (failure,), _ = talk(over_http(worker("a", "string")), "a")
    assert failure.mode == "invalid_output"
    assert "neither data nor text, but:" in failure.message


ERRORS = [
    ({"code": "busy", "message": "later"}, "busy", "later"),
    ({"code": "E_OTHER", "message": "no"}, "crashed", "no"),
    ({"code": None, "message": "no"}, "crashed", "no"),
    ({"code": 1.5, "message": "no"}, "crashed", "no"),
    ({"message": "busy: no code"}, "busy", "busy: no code"),
    ("just words", "crashed", "just words"),
    ({"id": None, "error": {"code": -32000, "message": "busy: no id"}}, "busy", "busy: no id"),
]


@pytest.mark.parametrize("answers", ["json", "sse"])
@pytest.mark.parametrize(("error", "mode", "message"), ERRORS)
def test_errors_of_any_form(play, over_http, talk, fakes, error, mode, message, answers):
    play(tools=[fakes.tool("a")], errors={"a": error}, answers=answers)
    (failure,), _ = talk(over_http(worker("a")), "a")
    assert (failure.mode, failure.message, failure.retryable) == (mode, message, False)


@pytest.mark.parametrize(("error", "mode", "message"), ERRORS)
def test_errors_of_any_form_on_stdio(over_stdio, talk, fakes, error, mode, message):
    program = over_stdio(worker("a"), tools=[fakes.tool("a")], errors={"a": error})
    (failure,), _ = talk(program, "a")
    assert (failure.mode, failure.message, failure.retryable) == (mode, message, False)


@pytest.mark.parametrize("result", [[1], "text", None, 7])
def test_a_result_that_is_no_object(play, over_http, over_stdio, talk, fakes, result):
    played = {"tools": [fakes.tool("a")], "results": {"a": [result, result]}}
    for answers in ("json", "sse"):
        play(answers=answers, **played)
        (failure,), _ = talk(over_http(worker("a")), "a")
        assert failure.mode == "invalid_output"
        assert failure.message.startswith("the answer of tool `a` is not valid: it")
    (failure,), _ = talk(over_stdio(worker("a"), **played), "a")
    assert failure.mode == "invalid_output"
    assert "not an object" in failure.message


# ---------------------------------------------------------------- schemas of answers


@pytest.mark.parametrize(
    ("schema", "result", "words"),
    [
        ({"type": "object"}, OK, "there is no structured content"),
        ({"type": "object", "required": ["n"]}, {"structuredContent": {}}, "`n` is missing"),
        ({"$ref": "#/$defs/gone"}, {"structuredContent": 7}, "cannot be checked"),
        ([1], {"structuredContent": 7}, "its outputSchema is a list, not an object"),
    ],
)
def test_a_schema_that_its_own_server_breaks_can_be_ignored(
    play, over_http, talk, fakes, schema, result, words
):
    play(tools=[fakes.tool("a", outputSchema=schema)], results={"a": result})
    (failure,), _ = talk(over_http(worker("a")), "a")
    assert failure.mode == "invalid_output"
    assert words in failure.message
    body = "effect = read  output_schema = ignore"
    (value,), _ = talk(over_http(worker("a", body=body)), "a")
    assert value in (7, {})


# ---------------------------------------------------------------- nulls


SCHEMA = {
    "type": "object",
    "properties": {
        "x": {"type": "integer"},
        "y": {"type": ["string", "null"]},
        "z": {"anyOf": [{"type": "string"}, {"type": "null"}]},
        "w": {"type": "string"},
        "v": {"$ref": "#/$defs/maybe"},
        "u": {"type": "string", "nullable": True},
    },
    "required": ["x", "y", "w", "v", "u"],
    "$defs": {"maybe": {"type": ["integer", "null"]}},
}


def test_null_goes_along_where_it_is_needed(play, over_http, talk):
    played = play(tools=[{"name": "a", "inputSchema": SCHEMA}], results={"a": OK})
    inputs = "x: int, y: string?, z: string?, w: string?, v: int?, u: string?"
    talk(over_http(worker("a", "int", inputs)), ("a", {"x": 1}))
    assert played.arguments == [{"x": 1, "y": None, "v": None, "u": None}]


@pytest.mark.parametrize(
    ("annotations", "kept"),
    [
        ({"openWorldHint": True}, True),
        ({"openWorldHint": False}, False),
        ({"openWorldHint": "yes"}, None),
        ({}, None),
        ([], None),
        (None, None),
    ],
)
def test_whom_a_tool_says_it_reaches_is_kept(over_http, play, fakes, annotations, kept):
    play(tools=[fakes.tool("a", annotations=annotations)])
    tools, _ = asyncio.run(offered_tools(over_http(worker("a")).servers["kb"], {}))
    assert [tool.open_world_hint for tool in tools.values()] == [kept]
