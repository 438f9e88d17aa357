"""Workers `via mcp`, against a real server over HTTP: what goes there and what comes back."""

import asyncio
import socket
import subprocess
import sys

import pytest
from http_server import redirect, send

from engine.errors import Failure
from engine.workers.registry import close_port, worker_port


def tool(name, output="json", inputs="", body="effect = read", fails="not_found, busy"):
    return (
        f"worker {name}({inputs}) -> {output} fails {fails} via mcp "
        f'{{ server = kb  tool = "{name}"  {body} }}\n'
    )


@pytest.fixture(scope="module")
def web(mcp_servers):
    """A server of ordinary tools, and one of odd ones."""
    with (
        mcp_servers.WebServer(mcp_servers.server()) as ordinary,
        mcp_servers.WebServer(mcp_servers.low_server()) as odd,
    ):
        yield {"": ordinary, "low": odd}


@pytest.fixture
def call(declare, carry_out, web):
    """Declares tools of a server and calls them."""

    def call(tools, *calls, variant="", more="", **options):
        source = f'server kb via mcp {{ url = "{web[variant].url}"  {more} }}\n{tools}'
        return carry_out(declare(source), *calls, **options)

    return call


def failure_of(function, *args, **options):
    with pytest.raises(Failure) as caught:
        function(*args, **options)
    return caught.value


# ---------------------------------------------------------------- results


def test_structured_content_is_the_output(call):
    tools = (
        tool("add", "int", "a: int, b: int")
        + tool("tickets", "{ id: int, title: string }[]", "customer: string")
        + tool("ticket", "{ id: int, title: string }", "id: int")
        + tool("say", "string", "text: string")
    )
    found = call(
        tools,
        ("add", {"a": 1, "b": 2}),
        ("tickets", {"customer": "ann"}),
        ("ticket", {"id": 7}),
        ("say", {"text": "one\ntwo"}),
    )
    assert found == [
        3,
        [{"id": 1, "title": "for ann"}, {"id": 2, "title": "other"}],
        {"id": 7, "title": "t"},
        "one\ntwo",
    ]


def test_arguments_may_be_computed(call):
    tools = tool("say", "string", "name: string", "effect = write args = { text: name ~ task.key }")
    assert call(tools, ("say", {"name": "ann "})) == "ann key-1"


def test_other_forms_of_content(call):
    tools = tool("mixed") + tool("two_texts") + tool("nothing", "json?") + tool("image", "int")
    mixed, texts, nothing, image = call(
        tools, "mixed", "two_texts", "nothing", "image", variant="low"
    )
    assert mixed == {"a": [1, 2]}
    assert texts == [1, 2]
    assert nothing is None
    assert image.mode == "invalid_output"
    assert "neither data nor text, but: image" in image.message
    assert call(tool("two_texts", "string"), "two_texts", variant="low") == "1\n2"


def test_what_cannot_be_read_is_invalid_output(call):
    failure = failure_of(call, tool("say", inputs="text: string"), ("say", {"text": "no json"}))
    assert failure.mode == "invalid_output"
    assert "is not JSON" in failure.message
    failure = failure_of(call, tool("lies"), "lies", variant="low")
    assert failure.mode == "invalid_output"
    assert "the answer of tool `lies` is not valid" in failure.message


def test_a_long_answer(call):
    text = "x" * 1_500_000
    assert call(tool("say", "string", "text: string"), ("say", {"text": text})) == text


# ---------------------------------------------------------------- errors


def test_an_error_that_names_a_declared_mode_has_it(call):
    failure = failure_of(call, tool("ticket", inputs="id: int"), ("ticket", {"id": 101}))
    assert (failure.mode, failure.message) == ("not_found", "not_found: there is no ticket 101")
    tools = tool("coded") + tool("coded_text") + tool("refused")
    found = call(tools, "coded", "coded_text", "refused", variant="low")
    assert [(failure.mode, failure.message) for failure in found] == [
        ("busy", "come back later"),
        ("busy", "later"),
        ("busy", "busy: too many calls"),
    ]


def test_any_other_error_is_a_crash(call):
    failure = failure_of(
        call, tool("ticket", inputs="id: int", fails="gone"), ("ticket", {"id": 101})
    )
    assert failure.mode == "crashed"
    failure = failure_of(call, tool("crash"), "crash")
    assert (failure.mode, failure.retryable) == ("crashed", False)
    assert "Traceback" not in failure.message
    failure = failure_of(call, tool("add", inputs="a: string"), ("add", {"a": "x"}))
    assert failure.mode == "crashed"
    assert "b" in failure.message


def test_a_tool_that_is_not_there(call):
    failure = failure_of(call, tool("nowhere"), "nowhere")
    assert (failure.mode, failure.message) == ("crashed", "server `kb` has no tool `nowhere`")


def test_a_tool_that_is_not_allowed_is_refused_before_anybody_is_asked(call, web):
    before = len(web[""].headers)
    body = "effect = once  // orch: allow[ORC507]\n"
    failure = failure_of(
        call, tool("delete_everything", body=body), "delete_everything", more='allow = ["add"]'
    )
    assert failure.mode == "denied"
    assert "not in `allow`" in failure.message
    assert len(web[""].headers) == before


def test_secrets_go_along_in_headers_and_never_into_errors(call, web):
    more = 'headers = { Authorization: "Bearer " ~ secret.TOKEN, "X-N": 3, "X-No": null }'
    tools = tool("say", inputs="text: string")
    failure = failure_of(call, tools, ("say", {"text": "it is s3cret-value"}), more=more)
    assert "it is [secret TOKEN]" in failure.message
    asked = web[""].headers[-1]
    assert (asked["authorization"], asked["x-n"]) == ("Bearer s3cret-value", "3")
    assert "x-no" not in asked


def test_many_calls_at_once_share_a_session(call):
    calls = [("add", {"a": n, "b": n}) for n in range(40)]
    sums = call(tool("add", "int", "a: int, b: int"), *calls, together=True)
    assert sums == [2 * n for n in range(40)]


def test_a_tool_that_hangs_ends_by_the_timeout_of_its_server(call):
    failure = failure_of(call, tool("hang"), "hang", more="timeout = 1s")
    assert (failure.mode, failure.retryable) == ("timeout", True)


def test_one_that_is_not_there(declare, carry_out):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}/mcp"
    source = f'server kb via mcp {{ url = "{url}" }}\n' + tool("add")
    failure = failure_of(carry_out, declare(source), "add")
    assert (failure.mode, failure.retryable) == ("crashed", True)
    assert failure.message.startswith("cannot reach server `kb`")


@pytest.mark.parametrize(
    ("page", "words"),
    [
        (send({"error": "who are you?"}, 401), "`kb`"),
        (send({}, 500), "`kb`"),
        (send(b"<html>", kind="text/html"), "`kb`"),
        (redirect("http://127.0.0.1:1/mcp", 307), "not followed"),
    ],
)
def test_what_is_no_mcp_server(declare, carry_out, site, page, words):
    site.pages["/mcp"] = page
    source = f'server kb via mcp {{ url = "{site.url}/mcp" }}\n' + tool("add")
    failure = failure_of(carry_out, declare(source), "add")
    assert failure.mode == "crashed"
    assert words in failure.message


TALK = """
import asyncio, sys
from engine.errors import Failure
from engine.workers.mcp_session import Place, Session

async def main():
    session = Session(Place("kb", url=sys.argv[1]))
    try:
        await session.ready()
    except Failure as failure:
        print(failure.mode)
    await session.close()

asyncio.run(main())
"""


def test_the_library_writes_nothing_to_the_terminal(site):
    # In a process of its own: pytest takes up what is logged.
    site.pages["/mcp"] = send(b"<html>", kind="text/html")
    done = subprocess.run(
        [sys.executable, "-c", TALK, f"{site.url}/mcp"], capture_output=True, text=True, check=True
    )
    assert (done.stdout, done.stderr) == ("crashed\n", "")


def test_one_that_was_started_anew_gets_a_new_session(declare, request_to, mcp_servers):
    made = [mcp_servers.WebServer(mcp_servers.server()) for _ in range(2)]
    source = f'server kb via mcp {{ url = "{made[0].url}" }}\n'
    program = declare(source + tool("add", "int", "a: int, b: int"))
    request = request_to(program, "add", {"a": 1, "b": 2})

    async def run():
        port = worker_port("mcp", program)
        try:
            with made[0]:
                assert (await port.call(request)).value == 3
            with pytest.raises(Failure) as caught:
                await port.call(request)
            with made[1].at(made[0].url):
                return caught.value, (await port.call(request)).value
        finally:
            await close_port(port)

    failure, value = asyncio.run(run())
    assert (failure.mode, failure.retryable) == ("crashed", True)
    assert value == 3
