"""`orch doc` as a process, and what its page says of a workflow."""

from __future__ import annotations

import re

import orch_fork
import pytest

from engine.doc import page
from engine.sema.check import check_file

PROGRAM = """\
orch 1
/// Decides | plans.
model planner { id = "scripted/none.json"  max_tokens = 1k }
param depth: int = 3
secret KEY

/// What was <b>found</b>.
schema Finding {
  /// A sentence.
  claim: string @length(3, 40)
  kind: "a|b" | "c"
  places: { path: string, line: int @min(1) }[]
  assert claim != "" else "no claim"
}
/// Looks it up.
worker find(topic: string, most: int = 3 @max(9)) -> Finding[] fails nothing, late via http {
  method = "GET"
  url = "https://example.org/" ~ topic
  headers = { Authorization: secret.KEY }
  trust = untrusted
  retry { max = 2 }
  timeout = 90s
}
verifier known(result: Finding[]) via rules { assert result | length > 0 else "empty" }
/// Finds | reports.
orchestrator review(topic: string) -> Finding[] {
  model = planner
  goal = "Find {{ topic }}."
  workers = [find]
  policy { max_rounds = param.depth  budget { cost = $2.00  time = 5m } }
  limit find { max_dispatches = 4 }
  verify { before_finish { with = known  on_fail = revise  max_revisions = 2  then = abort } }
}
"""


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "a.orch").write_text(PROGRAM)
    return tmp_path


def orch(*arguments, cwd):
    done = orch_fork.run(["doc", *arguments], cwd=cwd)
    assert "Traceback" not in done.stderr
    return done


def chapter(text, title):
    """The lines under a heading, up to the next of its rank."""
    rank = title.split()[0]
    until = rf"(?=^#{{2,{len(rank)}}} |\Z)"
    found = re.search(rf"^{re.escape(title)}\n(.*?){until}", text, re.M | re.S)
    return found[1]


def test_the_page_says_what_the_program_says(folder):
    text = orch("a.orch", cwd=folder).stdout

    assert text.startswith("# review\n\nFinds \\| reports.\n")
    assert "```mermaid\nflowchart LR\n" in chapter(text, "## Graph")
    assert "| `review` | 3 | 4 |" in chapter(text, "## The most a run can use")
    review = chapter(text, "## Orchestrator `review`")
    assert "$ orch run a.orch -i topic=..." in review
    assert "| budget | $2.00, 5 m |" in review
    assert "| `find` | 4 | its beginning | Looks it up. |" in review
    assert "| before finish | `known` | revise, at most 2 times, then abort |" in review
    find = chapter(text, "### `find`")
    assert "Via `http`, effect `read`, its output is untrusted, timeout 90 s, 2 retries." in find
    assert "| `most` | `int` | `3` | at most 9 |" in find
    assert "Returns `Finding[]`. May fail with `nothing`, `late`." in find
    assert "- `result | length > 0`" not in find
    assert "| `depth` | `int` | `3` |" in chapter(text, "## Params")
    assert "- `KEY`" in chapter(text, "## Secrets")
    finding = chapter(text, "### `Finding`")
    assert "What was &lt;b>found&lt;/b>." in finding
    assert (
        "| `claim` | `string` | at least 3 characters, at most 40 characters | A sentence. |"
        in finding
    )
    assert '| `kind` | `"a\\|b" \\| "c"` |' in finding
    assert "| `places[].line` | `int` | at least 1 |" in finding


def test_every_row_of_a_table_has_as_many_cells_as_its_head(folder):
    text = page(check_file(str(folder / "a.orch")).program)

    tables = re.findall(r"(?:^\|.*\|\n)+", text, re.M)
    assert len(tables) > 8
    for lines in tables:
        cells = {len(re.split(r"(?<!\\)\|", line)) for line in lines.splitlines()}
        assert len(cells) == 1, lines


def test_a_file_without_orchestrator_has_a_page_too(folder):
    (folder / "b.orch").write_text("orch 1\nschema A { x: int }\n")

    text = orch("b.orch", cwd=folder).stdout

    assert text.startswith("# b.orch\n")
    assert "## Graph" not in text
    assert "| `x` | `int` |" in chapter(text, "### `A`")


def test_a_folder_takes_a_page_for_each_file(folder):
    (folder / "b.orch").write_text("orch 1\nschema A { x: int }\n")
    (folder / "pages").mkdir()

    done = orch("a.orch", "b.orch", "-o", "pages", cwd=folder)

    assert (done.returncode, done.stdout) == (0, "")
    assert sorted(path.name for path in (folder / "pages").iterdir()) == ["a.md", "b.md"]


def test_several_pages_need_a_folder(folder):
    (folder / "b.orch").write_text("orch 1\nschema A { x: int }\n")

    done = orch("a.orch", "b.orch", "-o", "page.md", cwd=folder)

    assert done.returncode == 2
    assert "several pages need a folder" in done.stderr
    assert not (folder / "page.md").exists()


def test_two_files_of_one_name_are_refused(folder):
    for name in ("x", "y", "pages"):
        (folder / name).mkdir()
    for name in ("x", "y"):
        (folder / name / "a.orch").write_text("orch 1\nschema A { x: int }\n")

    done = orch("x", "y", "-o", "pages", cwd=folder)

    assert done.returncode == 2
    assert "would both be written to" in done.stderr


def test_a_file_that_does_not_check_gets_no_page(folder):
    (folder / "a.orch").write_text(PROGRAM.replace("{{ topic }}", "{{ topc }}"))

    done = orch("a.orch", "-o", "page.md", cwd=folder)

    assert done.returncode == 3
    assert "did you mean `topic`?" in done.stderr
    assert not (folder / "page.md").exists()


def test_a_policy_with_steps_says_how_many_tasks_a_round_may_have(folder):
    limits = "max_rounds = param.depth  max_items = 50  max_per_round = 6 "
    program = PROGRAM.replace("max_rounds = param.depth", limits)
    (folder / "a.orch").write_text(program.replace("  limit find { max_dispatches = 4 }\n", ""))
    said = chapter(page(check_file(str(folder / "a.orch")).program), "## Orchestrator `review`")
    assert "| steps and tasks per decision | 6 |" in said
    assert "| tasks per round | 50, 8 at once |" in said
