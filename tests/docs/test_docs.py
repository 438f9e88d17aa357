"""What the documentation shows is true: programs check, links lead somewhere, pages are fresh."""

from __future__ import annotations

import importlib.util
import inspect
import re
from pathlib import Path
from types import ModuleType

import pytest
from doc_pages import BLOCKS, PAGES, ROOT, Block, write_files

import orch
from engine.linter import lint
from engine.sema.kinds import bodies
from engine.source import SourceFile
from engine.syntax.parser import parse

REFERENCE = ROOT / "docs" / "reference"
#: What a declaration begins with; a fragment that begins otherwise is part of an orchestrator.
DECLARING = (
    "orch|import|from|param|secret|schema|model|server|template|worker|verifier|orchestrator|test"
)


# ---------------------------------------------------------------- programs


def findings(block: Block, folder: Path) -> list[str]:
    """The codes of the errors in a program, and of all findings where one is expected."""
    write_files(block.page, folder)
    path = folder / (block.word("file") or "example.orch")
    path.write_text(block.text, encoding="utf-8")
    wanted = block.language == "orch-bad"
    found = [d for d in lint(str(path)) if wanted or d.severity == "error"]
    return [f"{d.location}: {d.code} {d.message}" for d in found]


@pytest.mark.parametrize(
    "block", [b for b in BLOCKS if b.language == "orch" and not b.word("append")], ids=str
)
def test_programs_check(block, tmp_path):
    assert findings(block, tmp_path) == []


@pytest.mark.parametrize("block", [b for b in BLOCKS if b.language == "orch-bad"], ids=str)
def test_faults_are_found(block, tmp_path):
    codes = {re.search(r"ORC\d+", said)[0] for said in findings(block, tmp_path)}
    assert codes == set(block.words)


@pytest.mark.parametrize("block", [b for b in BLOCKS if b.language == "orch-fragment"], ids=str)
def test_fragments_parse(block):
    text = block.text
    if not re.match(rf"(\s|//[^\n]*)*({DECLARING})\b", text):
        text = f"orchestrator o() -> int {{ {text} }}"
    if not text.startswith("orch 1"):
        text = f"orch 1\n{text}"
    _, found = parse(SourceFile("fragment.orch", text))
    assert [str(d.message) for d in found] == []


@pytest.mark.parametrize(
    "block", [b for b in BLOCKS if b.language == "python" and b.word("file")], ids=str
)
def test_python_files_compile(block):
    compile(block.text, str(block), "exec")


# ---------------------------------------------------------------- links


def anchors(page: Path) -> set[str]:
    """The anchors that GitHub gives the headings of a page."""
    text = re.sub(r"^( *)```.*?^\1```$", "", page.read_text(encoding="utf-8"), flags=re.M | re.S)
    found: dict[str, int] = {}
    result = set()
    for heading in re.findall(r"^#+ (.*)$", text, re.M):
        plain = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", heading).replace("`", "").strip().lower()
        slug = re.sub(r"[^\w\- ]", "", plain).replace(" ", "-")
        result.add(slug if slug not in found else f"{slug}-{found[slug]}")
        found[slug] = found.get(slug, 0) + 1
    return result


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page):
    text = re.sub(r"^( *)```.*?^\1```$", "", page.read_text(encoding="utf-8"), flags=re.M | re.S)
    dead = []
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"[a-z]+:", target):
            continue
        file, _, anchor = target.partition("#")
        goal = (page.parent / file).resolve() if file else page
        if not goal.exists() or (anchor and anchor not in anchors(goal)):
            dead.append(target)
    assert dead == []


def test_every_page_is_reached_from_the_index():
    seen: set[Path] = set()
    todo = [ROOT / "docs" / "index.md"]
    while todo:
        page = todo.pop()
        if page in seen:
            continue
        seen.add(page)
        for target in re.findall(r"\]\(([^)\s#]+\.md)", page.read_text(encoding="utf-8")):
            if not target.startswith("http") and (page.parent / target).exists():
                todo.append((page.parent / target).resolve())
    # A rule's page is named by `orch explain`; only the list of them has to be linked.
    pages = {p for p in (ROOT / "docs").rglob("*.md") if not p.name.startswith("ORC")}
    assert sorted(str(page.relative_to(ROOT)) for page in pages - seen) == []


# ---------------------------------------------------------------- generated pages


def generator() -> ModuleType:
    """The script that writes the generated pages."""
    spec = importlib.util.spec_from_file_location("docs_generate", ROOT / "docs" / "_generate.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_settings_page_is_fresh():
    """After a change of the table: python docs/_generate.py."""
    page = (REFERENCE / "settings.md").read_text(encoding="utf-8")
    assert page == generator().settings_page()


def test_the_events_page_is_fresh():
    """After a change of `engine/events.py`: python docs/_generate.py."""
    page = (REFERENCE / "events.md").read_text(encoding="utf-8")
    assert page == generator().events_page()


def test_the_tables_of_models_are_fresh():
    """After a change of a table of endpoints or dialects: python docs/_generate.py."""
    page = (ROOT / "docs" / "howto" / "models.md").read_text(encoding="utf-8")
    assert page == generator().with_models(page)


def test_the_layers_of_the_architecture_page_are_fresh():
    """After a change of the import contract or of a module's first line: docs/_generate.py."""
    page = (ROOT / "docs" / "explanation" / "architecture.md").read_text(encoding="utf-8")
    assert page == generator().with_layers(page)


def test_the_table_of_rules_is_fresh():
    """After a change of a rule: python docs/_generate.py."""
    rules = generator().table_text()
    assert (ROOT / "engine" / "diagnostics" / "table.py").read_text(encoding="utf-8") == rules


def test_the_pages_of_rules_are_fresh():
    """After a change of a rule: python docs/_generate.py."""
    folder = REFERENCE / "rules"
    found = {path.name: path.read_text(encoding="utf-8") for path in folder.iterdir()}
    assert found == generator().rule_pages()


def test_the_settings_page_has_every_kind_of_body():
    chapters = [name for _, names in generator()._CHAPTERS for name in names]
    assert sorted(chapters) == sorted(bodies())


# ---------------------------------------------------------------- the Python face

PYTHON = (REFERENCE / "python.md").read_text(encoding="utf-8")


def test_every_exported_name_is_documented():
    code = " ".join(re.findall(r"`([^`\n]+)`", PYTHON))
    assert [name for name in orch.__all__ if not re.search(rf"\b{name}\b", code)] == []


@pytest.mark.parametrize(
    "record", ["Run", "Usage", "Failure", "Gate", "TaskReport", "RunInfo", "Replay", "Divergence"]
)
def test_every_field_of_a_record_is_documented(record):
    kind = getattr(orch, record)
    fields = getattr(kind, "__struct_fields__", None) or kind.__annotations__
    heading = f"### `{record}`"
    section = PYTHON.partition(heading)[2].partition("\n#")[0] if heading in PYTHON else PYTHON
    written = set(re.findall(r"`(\w+)`", section))
    assert [name for name in fields if name[0] != "_" and name not in written] == []


def signature(value: object) -> str:
    """The parameters of a function, without types and without `self`."""
    shown = []
    parameters = list(inspect.signature(value).parameters.values())
    if parameters and parameters[0].name == "self":
        parameters = parameters[1:]
    for parameter in parameters:
        shown.append(parameter.replace(annotation=inspect.Parameter.empty))
    return str(inspect.Signature(shown))


@pytest.mark.parametrize(
    ("name", "parameters"), re.findall(r"^### `(?:await )?([\w.]+)(\(.*\))`", PYTHON, re.M)
)
def test_signatures_are_those_of_the_code(name, parameters):
    value = orch
    for part in name.split("."):
        value = getattr(value, part)
    assert signature(value) == parameters


def test_the_examples_of_the_python_page_run(tmp_path, monkeypatch):
    write_files("docs/reference/python.md", tmp_path)
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    ran = 0
    for block in BLOCKS:
        if block.page == "docs/reference/python.md" and block.words == ("run",):
            exec(compile(block.text, str(block), "exec"), names)
            ran += 1
    assert ran
