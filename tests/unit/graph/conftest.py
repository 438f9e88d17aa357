"""Programs for the tests of the graph: checked from text, or grown at random from one of them."""

from __future__ import annotations

import pytest

from engine.sema.check import check_file

FLOW = """\
orch 1

model fast { id = "openai/gpt-5-mini" }
model smart {
  id = "anthropic/claude-sonnet-4-5"
  fallback = [fast]
}

/// Finds pages.
worker search(query: string) -> string[] fails rate_limited via python {
  call   = "tools:search"
  effect = read
}

worker write(pages: string[]) -> string via llm {
  model  = smart
  prompt = "{{ pages | json }}"
}

worker publish(text: string) -> string via python {
  call   = "tools:publish"
  effect = write
}

verifier cited(result: string) via rules {
  assert result | length > 3 else "too short"
}

verifier allowed(text: string) via human {
  message = "Publish {{ text }}?"
  timeout = 2h
}

verifier sane(output: string) via llm {
  model  = fast
  prompt = "Is this sane? {{ output }}"
}

/// Publishes one text.
orchestrator release(text: string) -> string {
  model   = fast
  goal    = "Publish {{ text }}"
  workers = [publish]
  policy  { max_rounds = 2  max_dispatches = 2  budget { cost = $0.10 } }
  limit publish { max_dispatches = 1 }
  verify  { before_dispatch publish { with = allowed  on_fail = abort } }
}

orchestrator report(topic: string) -> string {
  model   = smart
  goal    = "Report on {{ topic }}"
  workers = [search, write, release]
  policy  { max_rounds = 5  budget { cost = $1.00 } }
  limit write   { max_dispatches = 3  after = [search] }
  limit release { after = [write] }
  verify {
    after_dispatch write { with = sane  on_fail = revise  max_revisions = 1 }
    before_finish { with = cited  on_fail = revise  max_revisions = 1 }
  }
}
"""


TOOLS = """\
def search(query: str) -> list[str]:
    return [query]


def publish(text: str) -> str:
    return text
"""


@pytest.fixture(scope="session")
def flow(tmp_path_factory):
    """A program with every kind of node and edge."""
    folder = tmp_path_factory.mktemp("flow")
    (folder / "flow.orch").write_text(FLOW)
    (folder / "tools.py").write_text(TOOLS)
    checked = check_file(str(folder / "flow.orch"))
    assert checked.program is not None, [(d.location, d.message) for d in checked.diagnostics]
    return checked.program
