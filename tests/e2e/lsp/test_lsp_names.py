"""Hover, go to definition, references, highlights, rename."""

from __future__ import annotations

from typing import Any

import pytest
from lsp_client import RequestError


def hover(work: Any, *place: Any) -> str:
    found = work.ask("hover", work.at(*place))
    return "" if found is None else str(found["contents"]["value"])


def pointed(work: Any, *place: Any) -> list[tuple[str, str]]:
    """What a definition leads to: the file's name, and the line there."""
    found = []
    for item in work.ask("definition", work.at(*place)):
        name = item["uri"].rpartition("/")[2]
        path = next(work.root.rglob(name))
        line = path.read_text().split("\n")[item["range"]["start"]["line"]]
        found.append((name, line.strip()))
    return found


# ---------------------------------------------------------------- hover


@pytest.mark.parametrize(
    ("place", "words"),
    [
        (("workers = [search", "search", 2), "worker search(question: string"),
        (("workers = [search", "search", 2), "Finds things."),
        (("workers = [search", "search", 2), "effect `read`"),
        (("{{ f.claim", "claim", 1), "One checkable statement."),
        (("{{ f.claim", "f.claim"), "f: Finding"),
        (("{{ topic }}", "topic"), "topic: string"),
        (("max_rounds = 3", "max_rounds", 1), "The maximum number of rounds."),
        (("max_rounds = 3", "max_rounds", 1), "Required."),
        (("stall { after", "stall"), "if rounds bring nothing new"),
        (("shared.fast\n  prompt  =", "fast"), "openai/gpt-5-mini"),
        (("param.words", "words"), "param words: int = 100"),
        (("f.claim | upper", "upper"), "value | upper"),
        (("on = [not_found]", "not_found"), "failure mode `not_found` of `search`"),
        (("orchestrator explain", "explain"), "at most 3 rounds"),
        (("via rules", "rules"), "needs no model"),
        (("question: string", "string"), "built-in type"),
    ],
)
def test_hover(work: Any, place: tuple[Any, ...], words: str) -> None:
    assert words in hover(work, *place)


def test_hover_on_a_source_tells_what_it_means(work: Any) -> None:
    work.replace("limit: int = 3", "limit: int @from(request, search) = 3")
    assert "a value that the caller gave" in hover(work, "request, search")
    assert "worker search" in hover(work, "search) = 3")


def test_hover_on_a_finding_tells_its_rule(work: Any) -> None:
    work.replace("max_rounds = 3", "max_round = 3")
    words = hover(work, "max_round = 3", "", 2)
    assert "ORC103 unknown-setting" in words
    assert "orch explain ORC103" in words


def test_hover_where_nothing_is(work: Any) -> None:
    assert hover(work, "\n\nimport") == ""


def test_hover_in_a_template_file(work: Any) -> None:
    uri = work.uri("prompts/file.j2")
    work.client.open(uri, "File {{ ticket.title }}.\n")
    found = work.client.request("textDocument/hover", work.client.at(uri, 0, 10))
    assert "ticket: Ticket" in found["contents"]["value"]


# ---------------------------------------------------------------- definition


@pytest.mark.parametrize(
    ("place", "file", "line"),
    [
        (("workers = [search", "search", 1), "main.orch", "worker search(question: string"),
        (("-> Finding[] fails", "Finding", 1), "shared.orch", "schema Finding {"),
        (("{{ f.claim", "claim"), "shared.orch", "claim: string"),
        (("shared.style(", "style"), "shared.orch", "template style("),
        (("shared.style(", "shared"), "main.orch", 'import "shared.orch" as shared'),
        (("{{ question }}", "question"), "main.orch", "worker search("),
        (("param.words", "words"), "main.orch", "param words"),
        (('import "shared.orch"', "shared.orch"), "shared.orch", "orch 1"),
        (('"ticket.schema.json#', "ticket"), "ticket.schema.json", '"Ticket": {'),
        (('"tools:count_words"', "count"), "tools.py", "def count_words("),
        (('"prompts/file.j2"', "file"), "file.j2", "File {{"),
        (("with = has_text", "has_text"), "main.orch", "verifier has_text("),
        (("limit write", "write"), "main.orch", "worker write("),
        (('"it explains" for explain', "explain {"), "main.orch", "orchestrator explain("),
        (("on = [not_found]", "not_found"), "main.orch", "worker search("),
        (("import Finding", "Finding"), "shared.orch", "schema Finding {"),
    ],
)
def test_definition(work: Any, place: tuple[Any, ...], file: str, line: str) -> None:
    [(name, text)] = pointed(work, *place)
    assert name == file
    assert text.startswith(line)


def test_no_definition_of_what_is_none(work: Any) -> None:
    assert pointed(work, "max_rounds = 3", "3") == []
    work.replace('"tools:count_words"', '"nowhere:f"')
    assert pointed(work, '"nowhere:f"', "nowhere") == []


def test_definition_from_a_template_file(work: Any) -> None:
    uri = work.uri("prompts/file.j2")
    work.client.open(uri, "File {{ ticket.title }}.\n")
    [item] = work.client.request("textDocument/definition", work.client.at(uri, 0, 9))
    assert item["uri"] == work.main
    work.client.change(uri, 2, {"text": '{% include "prompts/file.j2" %}'})
    [item] = work.client.request("textDocument/definition", work.client.at(uri, 0, 15))
    assert item["uri"] == uri


# ---------------------------------------------------------------- references


def test_references_across_files(work: Any) -> None:
    found = work.ask(
        "references",
        work.at("-> Finding[] fails", "Finding"),
        context={"includeDeclaration": True},
    )
    names = [item["uri"].rpartition("/")[2] for item in found]
    assert names == ["main.orch", "main.orch", "main.orch", "shared.orch"]
    without = work.ask(
        "references",
        work.at("-> Finding[] fails", "Finding"),
        context={"includeDeclaration": False},
    )
    assert len(without) == 3


def test_references_in_a_file_that_is_not_open(work: Any) -> None:
    other = work.root / "other.orch"
    other.write_text('orch 1\nfrom "shared.orch" import Finding as F\nschema L = F[]\n')
    found = work.ask(
        "references",
        work.at("-> Finding[] fails", "Finding"),
        context={"includeDeclaration": False},
    )
    lines = [i["range"]["start"]["line"] for i in found if i["uri"].endswith("other.orch")]
    assert lines == [1]


def test_references_of_nothing(work: Any) -> None:
    place = work.at("max_rounds = 3", "max_rounds")
    assert work.ask("references", place, context={"includeDeclaration": True}) == []


def test_highlights(work: Any) -> None:
    found = work.ask("documentHighlight", work.at("worker search", "search"))
    assert [item["kind"] for item in found] == [3, 2, 2]


# ---------------------------------------------------------------- rename


def renamed(work: Any, name: str, *place: Any) -> dict[str, str]:
    """The texts after a rename, by file name."""
    edit = work.ask("rename", work.at(*place), newName=name)
    texts = {}
    for change in edit["documentChanges"]:
        file = change["textDocument"]["uri"].rpartition("/")[2]
        text = work.text if file == "main.orch" else (work.root / file).read_text()
        lines = text.split("\n")
        edits = [(e["range"]["start"], e["range"]["end"], e["newText"]) for e in change["edits"]]
        for start, end, new in sorted(
            edits, key=lambda e: -e[0]["line"] * 1000 - e[0]["character"]
        ):
            line = lines[start["line"]]
            lines[start["line"]] = line[: start["character"]] + new + line[end["character"] :]
        texts[file] = "\n".join(lines)
    return texts


def test_rename_a_worker(work: Any) -> None:
    texts = renamed(work, "look_up", "worker search", "search")
    assert texts == {"main.orch": work.text.replace("search", "look_up")}


def test_rename_over_files_edits_the_imports(work: Any) -> None:
    (work.root / "other.orch").write_text(
        'orch 1\nfrom "shared.orch" import Finding as F\nschema L = F[]\n'
    )
    texts = renamed(work, "Fact", "-> Finding[] fails", "Finding")
    assert set(texts) == {"main.orch", "other.orch", "shared.orch"}
    assert texts["main.orch"] == work.text.replace("Finding", "Fact")
    assert 'from "shared.orch" import Fact\n' in texts["main.orch"]
    # A local name stays as it is.
    assert "import Fact as F\nschema L = F[]" in texts["other.orch"]
    assert "schema Fact {" in texts["shared.orch"]


def test_rename_a_local_name_of_an_import(work: Any) -> None:
    texts = renamed(work, "common", "shared.style(", "shared")
    assert texts["main.orch"].count("common") == 6
    assert '"shared.orch" as common' in texts["main.orch"]
    assert set(texts) == {"main.orch"}


def test_rename_an_input_reaches_into_prompts(work: Any) -> None:
    texts = renamed(work, "query", "{{ question }}", "question")
    assert "search(query: string" in texts["main.orch"]
    assert "{{ query }}" in texts["main.orch"]


def test_rename_a_field_reaches_into_other_files(work: Any) -> None:
    texts = renamed(work, "statement", "{{ f.claim", "claim")
    assert "{{ f.statement | upper }}" in texts["main.orch"]
    assert "  statement: string" in texts["shared.orch"]


@pytest.mark.parametrize(
    ("name", "place", "why"),
    [
        ("2x", ("worker search", "search"), "is not a name"),
        ("a b", ("worker search", "search"), "is not a name"),
        ("and", ("worker search", "search"), "word of the language"),
        ("write", ("worker search", "search"), "already declared"),
        ("string", ("-> Finding[] fails", "Finding"), "built-in type"),
        ("limit", ("{{ question }}", "question"), "already declared"),
        ("lost", ("on = [not_found]", "not_found"), "in code"),
        ("words", ("count(text", "text"), "parameter of this name"),
        ("verdict", ("(result:", "result"), "by name"),
        ("rounds", ("max_rounds = 3", "max_rounds"), "no name here"),
    ],
)
def test_what_cannot_be_renamed(work: Any, name: str, place: tuple[Any, ...], why: str) -> None:
    with pytest.raises(RequestError) as error:
        renamed(work, name, *place)
    assert why in error.value.message
    assert error.value.code == -32803


def test_a_rename_that_would_change_the_meaning_is_refused(work: Any) -> None:
    work.replace("param words", 'template hint = "Be brief."\n\nparam words')
    work.replace("{{ question }}, {{", "{{ question }}, {{ hint }} {{")
    assert work.replace("via rules {", "via rules { ") is not None
    with pytest.raises(RequestError, match="means something else"):
        renamed(work, "limit", "template hint", "hint")


def test_prepare_rename(work: Any) -> None:
    found = work.ask("prepareRename", work.at("workers = [search", "search", 3))
    assert found["placeholder"] == "search"
    with pytest.raises(RequestError):
        work.ask("prepareRename", work.at("max_rounds = 3", "3"))
