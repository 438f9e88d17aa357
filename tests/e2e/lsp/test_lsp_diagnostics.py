"""Findings: when they are published, for which documents, and where exactly."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from lsp_client import Client


def codes(found: list[dict[str, Any]]) -> list[str]:
    return sorted(item["code"] for item in found if item["severity"] < 3)


def test_a_clean_file_has_none(work: Any) -> None:
    assert codes(work.client.diagnostics(work.main)) == []


def test_a_change_gives_new_findings_and_takes_old_ones_away(work: Any) -> None:
    found = work.replace("max_rounds = 3", "max_round = 3")
    assert codes(found) == ["ORC103"]
    [item] = [item for item in found if item["code"] == "ORC103"]
    line = work.text[: work.text.index("max_round =")].count("\n")
    assert item["range"] == {
        "start": {"line": line, "character": 4},
        "end": {"line": line, "character": 13},
    }
    assert item["source"] == "orch"
    assert "did you mean `max_rounds`?" in item["message"]
    assert codes(work.replace("max_round = 3", "max_rounds = 3")) == []


def test_incremental_changes_of_a_text_with_wide_characters(work: Any) -> None:
    work.set(work.text.replace('"too short"', '"太短 😀 {{ reslt }}"'))
    found = work.client.diagnostics(work.main)
    [item] = [item for item in found if item["code"] == "ORC303"]
    # An emoji is two units of UTF-16, a CJK character is one.
    before = '  assert result.text | length > 3 else "太短 '
    start = len(before) + 2 + len(" {{ ")
    assert item["range"]["start"]["character"] == start
    assert item["range"]["end"]["character"] == start + len("reslt")
    found = work.client.change(
        work.main,
        100,
        {"range": item["range"], "text": "result"},
        {
            "range": {"start": {"line": 0, "character": 0}, "end": {"line": 0, "character": 0}},
            "text": "// 😀\r\n",
        },
    )
    assert [i["code"] for i in found if i["code"] == "ORC303"] == []


@pytest.mark.parametrize(("encoding", "column"), [("utf-8", 25), ("utf-16", 22), ("utf-32", 21)])
def test_columns_in_the_encoding_the_client_prefers(
    folder: Path, encoding: str, column: int
) -> None:
    client = Client(folder, {"general": {"positionEncodings": [encoding]}})
    try:
        assert client.server["capabilities"]["positionEncoding"] == encoding
        text = 'orch 1\nmodel m { id = "é😀"  temprature = 1 }'
        found = client.open((folder / "new.orch").as_uri(), text)
        [item] = [item for item in found if item["code"] == "ORC103"]
        assert item["range"]["start"] == {"line": 1, "character": column}
        assert client.close() == 0
    finally:
        client.kill()


def test_findings_in_a_template_are_published_for_the_template(work: Any) -> None:
    prompt = work.root / "prompts" / "file.j2"
    uri = work.uri("prompts/file.j2")
    text = "File 😀 {{ tickt.title }}.\n"
    work.client.open(uri, text)
    [item] = work.client.diagnostics(uri)
    assert item["code"] == "ORC303"
    assert item["range"]["start"] == {"line": 0, "character": 11}
    found = work.client.change(uri, 2, {"text": prompt.read_text()})
    assert found == []


def test_findings_of_an_import_that_is_not_open_are_told_and_cleared(work: Any) -> None:
    shared = work.uri("shared.orch")
    good = (work.root / "shared.orch").read_text()
    (work.root / "shared.orch").write_text(good.replace("string?", "strng?"))
    seen = work.client.published(shared)
    work.client.notify("workspace/didChangeWatchedFiles", {"changes": [{"uri": shared, "type": 2}]})
    assert codes(work.client.diagnostics(shared, seen)) == ["ORC201"]
    seen = work.client.published(shared)
    work.client.open(shared, good)
    assert codes(work.client.diagnostics(shared, seen)) == []


def test_the_unsaved_text_of_an_import_counts(work: Any) -> None:
    shared = work.uri("shared.orch")
    good = (work.root / "shared.orch").read_text()
    work.client.open(shared, good)
    seen = work.client.published(work.main)
    work.client.change(shared, 2, {"text": good.replace("  claim: string", "  clame: string")})
    assert "ORC302" in codes(work.client.diagnostics(work.main, seen))
    seen = work.client.published(work.main)
    work.client.notify("textDocument/didClose", {"textDocument": {"uri": shared}})
    assert codes(work.client.diagnostics(work.main, seen)) == []


def test_closing_a_document_clears_its_findings(work: Any) -> None:
    work.replace("max_rounds = 3", "max_round = 3")
    seen = work.client.published(work.main)
    work.client.notify("textDocument/didClose", {"textDocument": {"uri": work.main}})
    assert work.client.diagnostics(work.main, seen) == []


@pytest.mark.parametrize("uri", ["untitled:Untitled-1", "vscode-vfs://github/a/b.orch"])
def test_a_document_that_is_no_file(work: Any, uri: str) -> None:
    found = work.client.open(uri, 'orch 1\nimport "shared.orch" as s\nmodel m { ide = "a/b" }\n')
    assert "ORC103" in codes(found)
    # What it imports is looked up in the first folder of the workspace.
    assert "ORC106" not in codes(found)


def test_the_configuration_of_the_project_counts(work: Any) -> None:
    assert codes(work.replace('else "too short"', 'else "{{ result.txt }}"')) == ["ORC302"]
    (work.root / "orch.toml").write_text('[lint]\nignore = ["ORC302"]\n')
    seen = work.client.published(work.main)
    work.client.notify("textDocument/didSave", {"textDocument": {"uri": work.main}})
    assert codes(work.client.diagnostics(work.main, seen)) == []


def test_a_broken_configuration_is_told_once(work: Any) -> None:
    (work.root / "orch.toml").write_text('[lint]\nignore = ["NOPE"]\n')
    for _ in range(2):
        work.client.notify("textDocument/didSave", {"textDocument": {"uri": work.main}})
        work.replace("max_rounds = 3", "max_rounds = 3 ")
        work.replace("max_rounds = 3 ", "max_rounds = 3")
    told = [n for n in work.client.notifications if n["method"] == "window/showMessage"]
    assert len([n for n in told if "NOPE" in n["params"]["message"]]) == 1
