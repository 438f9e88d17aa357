"""A workspace of several files, and a language server that has it open."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "support"))

from lsp_client import Client

SHARED = """orch 1

model fast { id = "openai/gpt-5-mini" }

/// What was found.
schema Finding {
  /// One checkable statement.
  claim: string
  quote: string?
  level: "low" | "high"
}

template style(tone: string, words: int = 200) = "Write in a {{ tone }} tone, {{ words }} words."
"""

MAIN = '''orch 1

import "shared.orch" as shared
from "shared.orch" import Finding

param words: int = 100

schema Ticket from "ticket.schema.json#/$defs/Ticket"

/// Finds things.
worker search(question: string, limit: int = 3) -> Finding[] fails not_found via llm {
  model   = shared.fast
  prompt  = """
    {{ question }}, {{ limit }} times
    """
  retry   { max = 2  on = [not_found] }
  timeout = 60s
}

/// Writes it up.
worker write(findings: Finding[], tone: "plain" | "formal" = "plain") -> { text: string } via llm {
  model  = shared.fast
  prompt = """
    {% for f in findings %}{{ f.claim | upper }} ({{ f.level }}){% endfor %}
    {{ shared.style(tone, words=param.words) }}
    """
}

worker count(text: string) -> int via python {
  call = "tools:count_words"
}

worker file_it(ticket: Ticket) -> { id: string } via llm {
  model  = shared.fast
  prompt = file("prompts/file.j2")
}

verifier has_text(result: { text: string }) via rules {
  assert result.text | length > 3 else "too short"
}

/// Explains a topic.
orchestrator explain(topic: string) -> { text: string } {
  model   = shared.fast
  goal    = "Explain {{ topic }}."
  workers = [search, write, count, file_it]
  policy {
    max_rounds = 3
    budget { cost = $1.00  time = 5m }
    stall { after = 2  action = replan }
  }
  limit write { max_dispatches = 2  after = [search] }
  verify {
    before_finish { with = has_text  on_fail = revise  max_revisions = 1  then = abort }
  }
}

test "it explains" for explain {
  input = { topic: "tides" }
  mock orchestrator { script = [{ assessment: "done", finish: { text: "The moon." } }] }
  assert run.status == "finished"
}
'''

SCHEMA = """{
  "$defs": {
    "Customer": {"type": "object"},
    "Ticket": {
      "type": "object",
      "required": ["title"],
      "properties": {"title": {"type": "string"}}
    }
  }
}
"""

TOOLS = '''"""Tools of the workflow."""


def shorten(text: str) -> str:
    return text[:10]


def count_words(text: str) -> int:
    return len(text.split())
'''


class Workspace:
    """The files, and an editor that has opened `main.orch`."""

    def __init__(self, root: Path, client: Client) -> None:
        self.root = root
        self.client = client
        self.main = self.uri("main.orch")
        self.text = MAIN
        self._version = 1

    def uri(self, name: str) -> str:
        return (self.root / name).as_uri()

    def set(self, text: str) -> list[dict[str, Any]]:
        """Replace the text of `main.orch`; gives its diagnostics."""
        self._version += 1
        self.text = text
        return self.client.change(self.main, self._version, {"text": text})

    def replace(self, old: str, new: str) -> list[dict[str, Any]]:
        """Change a piece of it."""
        assert self.text.count(old) == 1, old
        return self.set(self.text.replace(old, new))

    def at(self, piece: str, inside: str = "", offset: int = 0) -> dict[str, Any]:
        """The parameters of a request about a place: the beginning of `inside` in `piece`."""
        start = self.text.index(piece)
        start = self.text.index(inside, start) + offset if inside else start + offset
        before = self.text[:start]
        line = before.rpartition("\n")[2]
        return self.client.at(self.main, before.count("\n"), len(line.encode("utf-16-le")) // 2)

    def ask(self, method: str, place: dict[str, Any], **more: Any) -> Any:
        """Ask about a place in `textDocument/...`."""
        return self.client.request(f"textDocument/{method}", {**place, **more})

    def ask_all(self, method: str, **more: Any) -> Any:
        """Ask about the whole document."""
        return self.ask(method, {"textDocument": {"uri": self.main}}, **more)

    def type(self, text: str, **more: Any) -> Any:
        """What is completed at the mark `^` of a text that is put into `main.orch`."""
        start = text.index("^")
        self.set(text.replace("^", ""))
        before = text[:start]
        line = before.rpartition("\n")[2]
        units = len(line.encode("utf-16-le")) // 2
        place = self.client.at(self.main, before.count("\n"), units)
        return [item["label"] for item in self.ask("completion", place, **more)["items"]]

    def pick(self, piece: str, typed: str) -> list[str]:
        """What is completed where a piece of the text is replaced by one with a mark `^`."""
        assert MAIN.count(piece) == 1, piece
        return list(self.type(MAIN.replace(piece, typed)))


CAPABILITIES: dict[str, Any] = {
    "textDocument": {
        "completion": {"completionItem": {"snippetSupport": True}},
        "definition": {"linkSupport": False},
    },
    "workspace": {"didChangeWatchedFiles": {"dynamicRegistration": True}},
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The files of the workspace."""
    root = tmp_path / "work space"
    (root / "prompts").mkdir(parents=True)
    (root / "shared.orch").write_text(SHARED)
    (root / "main.orch").write_text(MAIN)
    (root / "ticket.schema.json").write_text(SCHEMA)
    (root / "tools.py").write_text(TOOLS)
    (root / "prompts" / "file.j2").write_text("File {{ ticket.title }}.\n")
    return root


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    """An editor; a server takes a second to start, so the tests of a module share one."""
    client = Client(tmp_path_factory.mktemp("editor"), CAPABILITIES)
    yield client
    try:
        assert client.close() == 0
        assert client.stderr == ""
    finally:
        client.kill()


@pytest.fixture
def work(folder: Path, client: Client) -> Iterator[Workspace]:
    """The editor with the folder, and nothing else, open, and in it `main.orch`."""
    client.folder(folder)
    workspace = Workspace(folder, client)
    client.open(workspace.main, MAIN)
    yield workspace
    client.close_all()
