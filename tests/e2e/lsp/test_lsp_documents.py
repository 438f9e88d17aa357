"""What is asked about a whole document: actions, formatting, outline, colours, hints, lenses."""

from __future__ import annotations

from typing import Any

import pytest
from lsp_client import RequestError


def spliced(text: str, edits: list[dict[str, Any]]) -> str:
    """A text of one-unit characters with the edits of a server made."""
    starts = [0]
    for line in text.split("\n"):
        starts.append(starts[-1] + len(line) + 1)

    def offset(at: dict[str, int]) -> int:
        return starts[at["line"]] + at["character"]

    for edit in sorted(edits, key=lambda e: -offset(e["range"]["start"])):
        start, end = offset(edit["range"]["start"]), offset(edit["range"]["end"])
        text = text[:start] + edit["newText"] + text[end:]
    return text


# ---------------------------------------------------------------- code actions


def actions(work: Any, piece: str, **context: Any) -> list[dict[str, Any]]:
    start = work.at(piece)["position"]
    end = work.at(piece, "", len(piece))["position"]
    params = {
        "textDocument": {"uri": work.main},
        "range": {"start": start, "end": end},
        "context": {"diagnostics": [], **context},
    }
    found: list[dict[str, Any]] = work.client.request("textDocument/codeAction", params)
    return found


def applied(work: Any, action: dict[str, Any]) -> str:
    return spliced(work.text, action["edit"]["changes"][work.main])


def test_a_quick_fix(work: Any) -> None:
    good = work.text
    work.replace("max_rounds = 3", "max_round = 3")
    [fix] = [a for a in actions(work, "max_round = 3") if a["kind"] == "quickfix"]
    assert fix["title"] == "Write `max_rounds`"
    assert fix["isPreferred"] is True
    assert fix["diagnostics"][0]["code"] == "ORC103"
    assert applied(work, fix) == good


def test_all_safe_fixes_at_once(work: Any) -> None:
    good = work.text
    work.set(good.replace("max_rounds = 3", "max_round = 3").replace("f.level", "f.levl"))
    kinds = [a["kind"] for a in actions(work, "orch 1", only=["source.fixAll"])]
    assert kinds == ["source.fixAll.orch"]
    [fix] = actions(work, "orch 1", only=["source.fixAll.orch"])
    assert fix["title"] == "Fix all 2 findings with a safe fix"
    assert applied(work, fix) == good


def test_a_finding_is_allowed_with_a_comment(work: Any) -> None:
    work.replace("[search, write, count, file_it]", "[search, write, count]")
    [allow] = [a for a in actions(work, "worker file_it") if "Allow" in a["title"]]
    assert allow["title"] == "Allow ORC701 here"
    text = applied(work, allow)
    assert "\n// orch: allow[ORC701]\nworker file_it" in text
    assert [i for i in work.set(text) if i["code"] in ("ORC701", "ORC901")] == []


def test_what_cannot_be_allowed_is_not_offered(work: Any) -> None:
    work.replace("max_rounds = 3", "max_round = 3")
    assert [a for a in actions(work, "max_round = 3") if "Allow" in a["title"]] == []


def test_one_comment_allows_all_findings_of_a_rule_on_a_line(work: Any) -> None:
    work.replace("{{ f.claim | upper }} ({{ f.level }})", "{{ nobody }} {{ nothing }}")
    allow = [a for a in actions(work, "{% for f in") if a["title"] == "Allow ORC303 here"]
    assert allow == []  # the line is one of a prompt
    work.set(
        'orch 1\n\nworker get(q: string) -> json via http {\n  url     = "https://a.example/"\n'
        "  timeout = 1s\n  query   = { a: nobody, b: nothing }\n}\n"
    )
    [allow] = [
        a for a in actions(work, "{ a: nobody, b: nothing }") if a["title"] == "Allow ORC303 here"
    ]
    assert len(allow["diagnostics"]) == 2
    assert [i for i in work.set(applied(work, allow)) if i["code"] == "ORC303"] == []


def test_a_finding_in_a_comment_is_not_allowed_from_above(work: Any) -> None:
    """A comment is about the first line below it that is none."""
    found = work.set(work.text + "/// Nothing follows.\n")
    assert "ORC908" in [item["code"] for item in found]
    assert [a for a in actions(work, "/// Nothing") if "Allow" in a["title"]] == []


def test_no_actions_where_nothing_is_wrong(work: Any) -> None:
    assert actions(work, "param words") == []


# ---------------------------------------------------------------- formatting


def test_formatting(work: Any) -> None:
    options = {"tabSize": 2, "insertSpaces": True}
    work.set('orch 1\n\nmodel   m   {   id = "a/b"\n// why\n}\n')
    edits = work.ask_all("formatting", options=options)
    text = spliced(work.text, edits)
    assert text == 'orch 1\n\nmodel m {\n  id = "a/b"\n  // why\n}\n'
    work.set(text)
    assert work.ask_all("formatting", options=options) == []


def test_a_file_with_a_syntax_error_is_not_formatted(work: Any) -> None:
    work.set("orch 1\nmodel m {\n")
    assert work.ask_all("formatting", options={"tabSize": 2, "insertSpaces": True}) is None


def test_formatting_a_large_file_of_like_lines(work: Any) -> None:
    """Lines that stand everywhere, such as `}`, do not make it quadratic."""
    part = "schema S{n} {{\n  a:   string\n  // why\n  b: int\n}}\n"
    work.set("orch 1\n" + "".join(part.format(n=n) for n in range(2_000)))
    edits = work.ask_all("formatting", options={"tabSize": 2, "insertSpaces": True})
    text = spliced(work.text, edits)
    assert text.startswith("orch 1\n\nschema S0 {\n  a: string\n  // why\n  b: int\n}\n")
    work.set(text)
    assert work.ask_all("formatting", options={"tabSize": 2, "insertSpaces": True}) == []


# ---------------------------------------------------------------- outline and search


def test_document_symbols(work: Any) -> None:
    found = work.ask_all("documentSymbol")
    names = {item["name"]: item for item in found}
    assert list(names)[:4] == ["shared", "words", "Ticket", "search"]
    assert [c["name"] for c in names["search"]["children"]][:2] == ["question", "limit"]
    explain = names["explain"]
    assert [c["name"] for c in explain["children"]] == ["topic", "policy", "limit write", "verify"]
    assert names["it explains"]["detail"] == "test"
    for item in found:
        inner, outer = item["selectionRange"], item["range"]
        assert (outer["start"]["line"], outer["start"]["character"]) <= (
            inner["start"]["line"],
            inner["start"]["character"],
        )


def test_symbols_of_a_broken_file(work: Any) -> None:
    work.set(work.text.replace("worker search(", "worker search((("))
    names = [item["name"] for item in work.ask_all("documentSymbol")]
    assert "explain" in names


def test_workspace_symbols(work: Any) -> None:
    found = work.client.request("workspace/symbol", {"query": "fndng"})
    assert [item["name"] for item in found] == ["Finding"]
    assert found[0]["location"]["uri"] == work.uri("shared.orch")
    assert work.client.request("workspace/symbol", {"query": "zzz"}) == []
    assert len(work.client.request("workspace/symbol", {"query": ""})) > 8


# ---------------------------------------------------------------- colours


def decoded(work: Any, data: list[int]) -> list[tuple[str, str]]:
    legend = work.client.server["capabilities"]["semanticTokensProvider"]["legend"]["tokenTypes"]
    lines = work.text.split("\n")
    line = column = 0
    found = []
    for i in range(0, len(data), 5):
        line, column = (line + data[i], data[i + 1]) if data[i] else (line, column + data[i + 1])
        units = lines[line].encode("utf-16-le")
        word = units[column * 2 : (column + data[i + 2]) * 2].decode("utf-16-le")
        found.append((word, legend[data[i + 3]]))
    return found


def test_semantic_tokens(work: Any) -> None:
    work.replace('else "too short"', 'else "😀😀 {{ result.text }}"')
    found = decoded(work, work.ask_all("semanticTokens/full")["data"])
    for token in (
        ("search", "function"),
        ("question", "parameter"),
        ("Finding", "type"),
        ("claim", "property"),
        ("shared", "namespace"),
        ("fast", "class"),
        ("style", "macro"),
        ("max_rounds", "property"),
        ("string", "type"),
        ("not_found", "enumMember"),
        ("words", "variable"),
    ):
        assert token in found
    assert found.count(("result", "parameter")) == 3


def test_semantic_tokens_of_a_change(work: Any) -> None:
    first = work.ask_all("semanticTokens/full")
    work.replace("{{ question }}, ", "{{ question }}, {{ question }} ")
    delta = work.ask_all("semanticTokens/full/delta", previousResultId=first["resultId"])
    data = list(first["data"])
    for edit in delta["edits"]:
        end = edit["start"] + edit["deleteCount"]
        data[edit["start"] : end] = edit.get("data") or []
    again = work.ask_all("semanticTokens/full")
    assert data == again["data"]
    unknown = work.ask_all("semanticTokens/full/delta", previousResultId="gone")
    assert unknown["data"] == again["data"]
    assert len(delta["edits"]) == 1


# ---------------------------------------------------------------- hints, lenses, folding


def hints(work: Any) -> list[dict[str, Any]]:
    whole = {"start": {"line": 0, "character": 0}, "end": {"line": 999, "character": 0}}
    found: list[dict[str, Any]] = work.ask_all("inlayHint", range=whole)
    return found


def test_the_bound_stands_beside_the_orchestrator(work: Any) -> None:
    [hint] = hints(work)
    assert hint["label"].startswith("≤ 3 rounds, ")
    assert "$1.00" in hint["label"]
    assert hint["position"] == work.at("explain(topic", "} {", 1)["position"]
    assert "model calls" in hint["tooltip"]["value"]
    work.replace("max_rounds = 3", "max_rounds = 5")
    assert hints(work)[0]["label"].startswith("≤ 5 rounds, ")


def test_no_bound_while_there_are_errors(work: Any) -> None:
    work.replace("max_rounds = 3", "max_rounds = x")
    assert hints(work) == []


def test_lenses(work: Any) -> None:
    found = work.ask_all("codeLens")
    assert [(lens["command"]["title"], lens["command"]["arguments"][1]) for lens in found] == [
        ("Show graph", "explain"),
        ("Run test", "it explains"),
    ]


def command(work: Any, name: str, *arguments: Any) -> Any:
    return work.client.request(
        "workspace/executeCommand", {"command": name, "arguments": list(arguments)}
    )


def test_run_a_test(work: Any) -> None:
    done = command(work, "orch.runTest", work.main, "it explains")
    assert done["passed"] is True
    assert done["saved"] is True
    assert done["results"][0]["title"] == "it explains"
    (work.root / "main.orch").write_text(work.text.replace('"finished"', '"failed"'))
    done = command(work, "orch.runTest", work.main, "it explains")
    assert done["passed"] is False
    assert done["saved"] is False
    assert done["results"][0]["findings"]
    assert "failed: it explains" in done["text"]
    assert "main.orch:" in done["text"]


@pytest.mark.parametrize("name", ["engine", "json", "click"])
def test_a_module_of_the_project_is_not_taken_for_one_of_ours(work: Any, name: str) -> None:
    (work.root / f"{name}.py").write_text("open('imported', 'w').close()\nraise SystemExit(9)\n")
    assert command(work, "orch.runTest", work.main, "it explains")["passed"] is True
    assert not (work.root / "imported").exists()


def test_tests_that_cannot_run(work: Any) -> None:
    with pytest.raises(RequestError, match="save the file first"):
        command(work, "orch.runTest", "untitled:x", "it explains")
    (work.root / "main.orch").write_text("orch 1\nmodel\n")
    with pytest.raises(RequestError, match=r"main\.orch"):
        command(work, "orch.runTest", work.main, "it explains")


def test_show_the_graph(work: Any) -> None:
    shown = command(work, "orch.showGraph", work.main, "explain")
    assert shown["text"].startswith("flowchart")
    assert shown["svg"].startswith("<svg")
    assert "search" in shown["dot"]
    with pytest.raises(RequestError, match="no orchestrator"):
        command(work, "orch.showGraph", work.main, "nobody")
    work.replace("max_rounds = 3", "max_rounds = x")
    with pytest.raises(RequestError, match="errors"):
        command(work, "orch.showGraph", work.main)


def test_an_unknown_command(work: Any) -> None:
    with pytest.raises(RequestError):
        command(work, "orch.nothing")


def test_folding(work: Any) -> None:
    work.replace("param words", "// one\n// two\nparam words")
    found = {
        (item["startLine"], item["endLine"]): item["kind"] for item in work.ask_all("foldingRange")
    }
    lines = work.text.split("\n")
    at = lines.index("// one")
    assert found[(at, at + 1)] == "comment"
    search = next(n for n, line in enumerate(lines) if line.startswith("worker search("))
    end = next(n for n in range(search, len(lines)) if lines[n] == "}")
    assert found[(search, end - 1)] == "region"
