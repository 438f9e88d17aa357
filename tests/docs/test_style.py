"""Every sentence that a person or a model reads is in plain English: short, and without idioms.

It covers pages, help texts, messages, lint rules, docstrings and comments. `style_words.py` has the
idioms; `tests/support/prose.py` finds the prose.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from doc_pages import ROOT
from prose import Passage, markdown_passages, python_passages, sentences, words
from style_words import BANNED

MOST_WORDS = 40
PAGES = sorted(
    path
    for place, pattern in (
        ("", "*.md"),
        ("docs", "**/*.md"),
        ("workflows", "**/*.md"),
        ("grammar", "*/README.md"),
        ("findings", "*.md"),
        ("engine/scaffold", "**/*.md"),
    )
    for path in (ROOT / place).glob(pattern)
    if "node_modules" not in path.parts
)
MODULES = sorted(
    path
    for place in ("engine", "orch", "grammar", "docs", "workflows")
    for path in (ROOT / place).rglob("*.py")
    if not {"tests", "node_modules"} & set(path.parts)
)
_IDIOMS = [(re.compile(pattern, re.IGNORECASE), plain) for pattern, plain in BANNED.items()]


def faults(passages: list[Passage]) -> list[str]:
    """What is wrong with the style of some passages, one line each."""
    found = []
    for one in passages:
        where = f"{one.path.relative_to(ROOT)}:{one.line}"
        for pattern, plain in _IDIOMS:
            found += [f"{where}: `{hit[0]}`: write {plain}" for hit in pattern.finditer(one.text)]
        for sentence in sentences(one.text):
            if len(words(sentence)) > MOST_WORDS:
                found.append(f"{where}: {len(words(sentence))} words: {sentence[:80]}...")
    return found


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_pages_are_in_plain_english(path):
    assert faults(markdown_passages(path)) == []


def test_code_is_in_plain_english():
    found = [fault for path in MODULES for fault in faults(python_passages(path))]
    assert found == [], "\n".join(found)


def test_there_is_something_to_check():
    assert len(PAGES) > 100
    assert len(MODULES) > 300


def passages_of(tmp_path: Path, name: str, text: str) -> list[str]:
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    read = markdown_passages if name.endswith(".md") else python_passages
    return [one.text for one in read(path)]


def test_code_in_a_page_is_no_prose(tmp_path):
    text = """\
# Title

One `code span` and [a
link](x.md).

    indented code stands here

```text
fenced code stands here
```

- An item,
  in two lines.
- Another.

| a | b |
| --- | --- |
| cell | `code` |
"""
    assert passages_of(tmp_path, "page.md", text) == [
        "Title",
        "One X and a link.",
        "An item, in two lines.",
        "Another.",
        "a",
        "b",
        "cell",
        "X",
    ]


def test_texts_in_a_module_are_prose(tmp_path):
    text = '''\
"""What it holds.

Args:
    name: What it
        is called.
    other: Something else.
"""

#: A comment
#: in two lines.
KEY = "no prose"
raise ValueError(f"the name {KEY} is taken already")
'''
    assert passages_of(tmp_path, "module.py", text) == [
        "What it holds.",
        "Args:",
        "name: What it is called.",
        "other: Something else.",
        "the name X is taken already",
        "A comment in two lines.",
    ]


def test_sentences_end_at_full_stops_only():
    assert sentences("It ends. It begins, e.g. Here: 1.5 of 2. (Then more.) Done") == [
        "It ends.",
        "It begins, e.g. Here: 1.5 of 2.",
        "(Then more.)",
        "Done",
    ]


@pytest.mark.parametrize(
    ("text", "is_idiom"),
    [
        ("a mock stands in for a worker", True),
        ("a stand-in for a worker", False),
        ("standard output, understands", False),
        ("`x` is no template", True),
        ("there is no template", False),
        ("it is no longer there, and no larger than before", False),
        ("the run goes on", True),
        ("on the go", False),
        ("nobody answers", True),
        ("for ever", True),
        ("forever", False),
    ],
)
def test_idioms(text, is_idiom):
    assert any(pattern.search(text) for pattern, _ in _IDIOMS) is is_idiom
