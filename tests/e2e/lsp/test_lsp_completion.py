"""Completion and signature help, in files that are half typed."""

from __future__ import annotations

from typing import Any

import pytest

#: A piece of the workflow, what is typed in its place, what must and what must not be offered.
CASES = [
    # Settings, by kind of body.
    ("  timeout = 60s", "  ^", ["timeout", "effect"], ["prompt", "max_rounds"]),
    ('  call = "tools:count_words"', "  env { ^ }", ["inherit", "set"], ["call", "env"]),
    ("    max_rounds = 3\n", "    max_^\n", ["max_rounds", "max_depth"], ["model"]),
    ("retry   { max = 2  on =", "retry { ^ on =", ["max", "backoff"], ["on", "timeout"]),
    ('  call = "tools:count_words"', "  ^", ["call", "isolate"], ["prompt"]),
    ("  limit write {", "  ^\n  limit write {", ["limit", "on_escalate"], ["goal", "verify"]),
    # Values.
    ("action = replan", "action = ^", ["replan", "escalate", "abort"], ["revise"]),
    ("  timeout = 60s", "  effect = ^", ["pure", "read", "write", "once"], ["search"]),
    ("model   = shared.fast\n  goal", "model = ^\n  goal", ["shared.fast"], ["search"]),
    ("model   = shared.fast\n  goal", "model = shared.^\n  goal", ["shared.fast"], []),
    ("[search, write, count, file_it]", "[search, ^]", ["write", "count"], ["has_text"]),
    ("[search, write, count, file_it]", "[search, wr^", ["write"], ["shared.fast"]),
    ("with = has_text", "with = ^", ["has_text"], ["search"]),
    ("after = [search]", "after = [^]", ["search", "write"], ["has_text"]),
    ("limit write {", "limit ^ {", ["write", "search"], ["has_text"]),
    ("on = [not_found]", "on = [^]", ["not_found", "timeout", "rate_limited"], ["search"]),
    ("max_rounds = 3", "max_rounds = param.^", ["words"], ["search"]),
    ('prompt = file("prompts/file.j2")', "prompt = ^", ["file", "shared.style"], []),
    # Types and heads.
    ("limit: int = 3", "limit: ^ = 3", ["int", "Ticket", "shared.Finding"], ["search"]),
    ("-> Finding[] fails", "-> ^ fails", ["Finding", "string"], ["search"]),
    ("via python", "via ^", ["llm", "python", "http"], ["rules"]),
    ("via rules", "via ^", ["rules", "human"], ["http"]),
    ("limit: int = 3", "limit: int @^ = 3", ["min", "max"], ["int"]),
    ("limit: int = 3", "limit: int @from(^) = 3", ["request", "person", "search"], ["min"]),
    ("limit: int = 3", "limit: int @from(request, search.^) = 3", ["claim"], ["request"]),
    (
        "    before_finish",
        "    before_dispatch write, count { with = has_text  endorse = [^] }\n    before_finish",
        ["findings", "tone"],
        ["output", "search"],
    ),
    (
        "    before_finish",
        "    after_dispatch search { with = has_text  endorse = [^] }\n    before_finish",
        ["output", "claim"],
        ["search"],
    ),
    ("import Finding\n", "import ^\n", ["Finding", "fast", "style"], ["search"]),
    ('" for explain', '" for ^', ["explain", "search", "has_text"], ["shared.fast"]),
    ("param words", "^\nparam words", ["worker", "schema", "test"], ["orch"]),
    ('import "shared.orch" as shared', 'import "shared.orch" ^', ["as"], ["import"]),
    ('"shared.orch" import Finding\n', '"shared.orch" ^\n', ["import"], ["as"]),
    ('" for explain {', '" ^ {', ["for"], ["explain"]),
    ("{ id: string } via llm", "{ id: string } ^ llm", ["via"], ["schema"]),
    ("(topic: string) -> { text: string }", "(topic: string) -> { text: ^ }", ["int"], ["goal"]),
    # Literals.
    (
        'tone: "plain" | "formal" = "plain"',
        'tone: "plain" | "formal" = "^"',
        ["plain", "formal"],
        [],
    ),
    ("({{ f.level }})", '{% if f.level == "^" %}{% endif %}', ["low", "high"], []),
    # Templates.
    ("{{ f.claim | upper }}", "{{ f.^ }}", ["claim", "quote", "level"], ["search"]),
    ("{{ f.claim | upper }}", "{{ f.cl^", ["claim"], ["search"]),
    ("{{ f.claim | upper }}", "{{ ^ }}", ["f", "findings", "tone", "param", "loop"], ["secret"]),
    ("{{ f.claim | upper }}", "{{ f.claim | ^ }}", ["upper", "json", "untrusted"], ["safe"]),
    ("{{ f.claim | upper }}", "{% if f.^ %}", ["claim"], []),
    ("{{ f.claim | upper }}", "{% if f.claim is ^ %}", ["defined", "none"], []),
    ("{{ f.claim | upper }}", "{% ^ %}", ["if", "endfor"], []),
    ("words=param.words)", "words=param.^)", ["words"], ["search"]),
    ('goal    = "Explain {{ topic }}."', 'goal = "Explain {{ ^', ["topic"], ["findings"]),
    ("{{ question }}, ", "plain text ^ ", [], ["question", "search"]),
    # Expressions.
    ("assert result.text | length > 3", "assert result.^", ["text"], ["search"]),
    ("assert result.text | length > 3", "assert ^", ["result"], ["search"]),
    ("assert result.text | length > 3", "assert result.text | ^", ["length"], ["result"]),
    ("assert run.status ==", "assert run.^ ==", ["status", "rounds"], []),
    ('run.status == "finished"', 'run.status == "^"', ["finished", "exhausted"], []),
    # Paths.
    ('"shared.orch" as', '"^" as', ["shared.orch"], ["tools.py", "ticket.schema.json"]),
    ('"prompts/file.j2"', '"prompts/^"', ["prompts/file.j2"], ["tools.py"]),
    ('"ticket.schema.json#/$defs/Ticket"', '"ti^"', ["ticket.schema.json"], ["tools.py"]),
    (
        '"ticket.schema.json#/$defs/Ticket"',
        '"ticket.schema.json#^"',
        ["ticket.schema.json#/$defs/Customer"],
        [],
    ),
    ('"tools:count_words"', '"to^"', ["tools"], ["main"]),
    ('"tools:count_words"', '"tools:^"', ["tools:shorten", "tools:count_words"], []),
]


@pytest.mark.parametrize(("piece", "typed", "offered", "not_offered"), CASES)
def test_completion(
    work: Any, piece: str, typed: str, offered: list[str], not_offered: list[str]
) -> None:
    found = work.pick(piece, typed)
    assert [label for label in offered if label not in found] == [], found[:40]
    assert [label for label in not_offered if label in found] == []


def test_nothing_in_comments(work: Any) -> None:
    assert work.pick("param words", "// param ^\nparam words") == []


def test_completion_of_a_model_id(work: Any) -> None:
    text = 'orch 1\nmodel m { id = "^" }\n'
    assert {"openai/", "python/", "scripted/"} <= set(work.type(text))
    assert "openai/gpt-5-mini" in work.type('orch 1\nmodel m { id = "openai/gpt-5-m^" }\n')


def test_a_snippet_and_its_documentation(work: Any) -> None:
    text = work.text.replace("    max_rounds = 3\n", "    \n")
    work.set(text)
    place = work.at("policy {", "\n    \n", 5)
    items = {item["label"]: item for item in work.ask("completion", place)["items"]}
    item = items["max_rounds"]
    assert item["insertText"] == "max_rounds = $0"
    assert item["insertTextFormat"] == 2
    assert "The maximum number of rounds" in item["documentation"]["value"]
    assert items["repair"]["insertText"].startswith("repair {")
    # What is required comes first.
    assert item["sortText"] < items["max_depth"]["sortText"]


def test_a_dotted_name_replaces_what_is_written_of_it(work: Any) -> None:
    work.replace("model   = shared.fast\n  goal", "model = shared.fa\n  goal")
    place = work.at("shared.fa\n", "", len("shared.fa"))
    [item] = work.ask("completion", place)["items"]
    start = work.at("shared.fa\n")["position"]
    assert item["textEdit"]["newText"] == "shared.fast"
    assert item["textEdit"]["range"]["start"] == start


def test_completion_in_a_template_file(work: Any) -> None:
    uri = work.uri("prompts/file.j2")
    work.client.open(uri, "😀 {{ ti")
    found = work.client.request("textDocument/completion", work.client.at(uri, 0, 8))
    assert "ticket" in [item["label"] for item in found["items"]]


# ---------------------------------------------------------------- signatures


def signature(work: Any, text: str) -> tuple[str, int] | None:
    start = text.index("^")
    work.set(text.replace("^", ""))
    before = text[:start]
    place = work.client.at(work.main, before.count("\n"), len(before.rpartition("\n")[2]))
    found = work.ask("signatureHelp", place)
    if found is None:
        return None
    return found["signatures"][0]["label"], found["activeParameter"]


@pytest.mark.parametrize(
    ("piece", "typed", "label", "active"),
    [
        ("shared.style(tone, words", "shared.style(^", "style(tone: string, words: int = 200)", 0),
        ("shared.style(tone, words", "shared.style(tone, ^", "words: int", 1),
        ("shared.style(tone, words", "shared.style(words=^", "words: int", 1),
        ("f.claim | upper", "f.claim | truncate(1, ^", "value | truncate(length=255", 1),
        ("limit: int = 3", "limit: string @length(1, ^", "@length(min, max)", 1),
    ],
)
def test_signature_help(work: Any, piece: str, typed: str, label: str, active: int) -> None:
    found = signature(work, work.text.replace(piece, typed))
    assert found is not None
    assert label in found[0]
    assert found[1] == active


def test_no_signature_outside_of_calls(work: Any) -> None:
    assert signature(work, work.text.replace("{{ topic }}", "{{ topic }} ^")) is None
    assert signature(work, work.text.replace("f.claim | upper", "nothing(^")) is None
