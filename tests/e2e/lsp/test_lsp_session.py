"""The session: how it begins and ends, and that nothing that is typed ends it."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from lsp_client import Client, RequestError

EXAMPLE = Path(__file__).parents[2] / "fixtures" / "examples" / "triage.orch"

ABOUT_PLACES = (
    "hover",
    "definition",
    "documentHighlight",
    "completion",
    "signatureHelp",
)
ABOUT_DOCUMENTS = (
    "documentSymbol",
    "semanticTokens/full",
    "foldingRange",
    "codeLens",
)


def test_it_ends_with_0_if_it_was_shut_down_and_with_1_if_not(tmp_path: Path) -> None:
    client = Client(tmp_path)
    assert client.server["serverInfo"]["name"] == "orch"
    assert client.close() == 0
    client = Client(tmp_path)
    client.notify("exit", None)
    assert client.process.wait(60) == 1
    client.kill()
    assert client.stderr == ""
    client = Client(tmp_path)
    assert client.process.stdin is not None
    client.process.stdin.close()
    assert client.process.wait(60) == 1
    client.kill()


def test_without_the_extra_it_says_how_to_get_it(tmp_path: Path) -> None:
    (tmp_path / "pygls").mkdir()
    (tmp_path / "pygls" / "__init__.py").write_text(
        "raise ModuleNotFoundError(\"No module named 'pygls'\", name='pygls')"
    )
    done = subprocess.run(
        [sys.executable, "-m", "engine.cli", "lsp"],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        stdin=subprocess.DEVNULL,
    )
    assert done.returncode == 2
    assert done.stdout == ""
    assert "pip install 'orch-engine[lsp]'" in done.stderr
    assert "Traceback" not in done.stderr


def check_range(range: dict[str, Any], text: str) -> None:
    lines = text.split("\n")
    for at in (range["start"], range["end"]):
        assert 0 <= at["line"] < len(lines)
        assert at["character"] <= len(lines[at["line"]].encode("utf-16-le")) // 2
    start, end = range["start"], range["end"]
    assert (start["line"], start["character"]) <= (end["line"], end["character"])


def test_every_beginning_of_a_file(work: Any) -> None:
    """A file as it is while it is typed: every request is answered, positions are in the text."""
    whole = EXAMPLE.read_text("utf-8").replace("orch 1", "orch 1 // 😀 文", 1)
    rng = random.Random(1)
    for end in sorted(rng.sample(range(len(whole)), 60)):
        text = whole[:end]
        for item in work.set(text):
            check_range(item["range"], text)
        line = text.count("\n")
        column = len(text.rpartition("\n")[2].encode("utf-16-le")) // 2
        place = work.client.at(work.main, line, column)
        for method in ABOUT_PLACES:
            found = work.ask(method, place)
            if method == "hover" and found is not None:
                check_range(found["range"], text)
        for method in ABOUT_DOCUMENTS:
            found = work.ask_all(method)
            for item in found if isinstance(found, list) else ():
                if "range" in item:
                    check_range(item["range"], text)
        work.ask("references", place, context={"includeDeclaration": True})


@pytest.mark.parametrize("seed", range(3))
def test_edits_at_random_leave_the_text_the_editor_has(work: Any, seed: int) -> None:
    """Incremental changes over line ends and wide characters, against one whole text."""
    rng = random.Random(seed)
    text = work.text.replace("\n", "\r\n", 9)
    work.set(text)
    for version in range(100, 125):
        pieces = text.replace("\r\n", "\n").split("\n")
        line = rng.randrange(len(pieces))
        column = len(pieces[line][: rng.randrange(len(pieces[line]) + 1)].encode("utf-16-le")) // 2
        new = rng.choice(["x", "😀", "\n", "文 ", "}", '"', "\r\n", " "])
        at = {"line": line, "character": column}
        found = work.client.change(
            work.main, version, {"range": {"start": at, "end": at}, "text": new}
        )
        text = inserted(text, line, column, new)
        fresh = f"{work.main}.copy.orch"
        copy = work.client.open(fresh, text, version)
        strip = [(i["code"], i["range"], i["message"]) for i in found]
        assert strip == [(i["code"], i["range"], i["message"]) for i in copy]
        work.client.notify("textDocument/didClose", {"textDocument": {"uri": fresh}})


def inserted(text: str, line: int, column: int, new: str) -> str:
    start = 0
    for _ in range(line):
        start = text.index("\n", start) + 1
    units = 0
    while units < column:
        units += 1 + (ord(text[start]) > 0xFFFF)
        start += 1
    return text[:start] + new + text[start:]


def test_places_outside_of_the_text(work: Any) -> None:
    for line, character in ((9999, 0), (0, 9999), (3, 500)):
        place = work.client.at(work.main, line, character)
        for method in ABOUT_PLACES:
            work.ask(method, place)
    with pytest.raises(RequestError):
        work.ask("rename", work.client.at(work.main, 9999, 0), newName="x")


def test_documents_nobody_has_opened(work: Any) -> None:
    for uri in ("file:///nowhere/x.orch", "untitled:x", "file:///nowhere/x.j2"):
        document = {"textDocument": {"uri": uri}}
        place = work.client.at(uri, 0, 0)
        assert work.ask("hover", place) is None
        assert work.ask("definition", place) == []
        assert work.ask("documentSymbol", document) == []
        work.client.notify("textDocument/didClose", document)
        change = {"textDocument": {"uri": uri, "version": 2}, "contentChanges": [{"text": "x"}]}
        work.client.notify("textDocument/didChange", change)
    assert work.ask("hover", work.at("worker search", "search")) is not None


def test_a_file_outside_of_the_workspace(work: Any, tmp_path: Path) -> None:
    other = tmp_path / "elsewhere.orch"
    other.write_text('orch 1\nmodel m { id = "openai/gpt-5-mini"  max_tokns = 3 }\n')
    found = work.client.open(other.as_uri(), other.read_text())
    assert [item["code"] for item in found] == ["ORC103"]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no named pipes here")
def test_a_pipe_in_place_of_a_template_is_not_waited_for(work: Any) -> None:
    path = work.root / "prompts" / "file.j2"
    path.unlink()
    os.mkfifo(path)
    found = work.set(work.text + "\n")
    assert [item["message"] for item in found if item["code"] == "ORC309"] == [
        "cannot read `prompts/file.j2`: it is not a regular file"
    ]


def test_requests_that_are_wrong_do_not_end_it(work: Any) -> None:
    with pytest.raises(RequestError):
        work.client.request("textDocument/nothing", {})
    work.client.notify("$/unheardOf", {"x": 1})
    work.client.notify("$/cancelRequest", {"id": 4711})
    assert work.ask_all("documentSymbol")


def test_a_request_that_cannot_be_read_is_answered(tmp_path: Path) -> None:
    client = Client(tmp_path)
    for params in ({}, None, [1, 2], {"textDocument": {"uri": "file:///x"}, "position": "there"}):
        with pytest.raises(RequestError, match="Invalid Params") as raised:
            client.request("textDocument/hover", params)
        assert raised.value.code == -32602
    assert client.close() == 0
    assert client.stderr == "orch lsp: Invalid Params\n" * 4


def test_a_file_under_two_spellings_of_its_uri(work: Any) -> None:
    other = work.main.replace("main", "%6dain")
    assert work.client.open(other, work.text)
    work.client.notify("textDocument/didClose", {"textDocument": {"uri": other}})
    found = work.replace("max_rounds = 3", "max_round = 3")
    assert "ORC103" in [item["code"] for item in found]


def test_findings_of_another_spelling_are_cleared_before(work: Any) -> None:
    """A client that takes both for one document shows what was published last."""
    path = work.root / "prompts" / "file.j2"
    path.write_text("File {{ tikcet.title }}.\n")
    work.client.notify("textDocument/didSave", {"textDocument": {"uri": work.main}})
    ours, client = path.as_uri(), path.as_uri().replace("file.j2", "%66ile.j2")
    while not work.client.diagnostics(ours):
        work.client.diagnostics(ours, work.client.published(ours))
    assert work.client.open(client, path.read_text())
    work.client.notify("textDocument/didClose", {"textDocument": {"uri": client}})
    work.client.diagnostics(ours, 2)
    published = [
        (message["params"]["uri"], bool(message["params"]["diagnostics"]))
        for message in work.client.notifications
        if message["method"] == "textDocument/publishDiagnostics"
        and message["params"]["uri"] in (ours, client)
    ]
    assert published[-4:] == [(ours, False), (client, True), (client, False), (ours, True)]


def test_a_large_file(work: Any) -> None:
    schema = 'schema S{n} {{ a: string  b: "x" | "y"  c: int[] }}\n'
    text = "orch 1\n" + "".join(schema.format(n=n) for n in range(4_000))
    assert [i for i in work.set(text) if i["severity"] == 1] == []
    found = work.client.change(
        work.main,
        50,
        {
            "range": {
                "start": {"line": 2000, "character": 20},
                "end": {"line": 2000, "character": 20},
            },
            "text": "?",
        },
    )
    assert [i["range"]["start"]["line"] for i in found if i["severity"] == 1][:1] == [2000]
    assert len(work.ask_all("documentSymbol")) == 4_000
