"""The tree-sitter grammar beside the engine's own parser, on the same files.

`make test-tree-sitter` fetches the header that the generated parser includes. The parser is
compiled here, and run by tree-sitter's own library.
"""

from __future__ import annotations

import ctypes
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from engine.source import SourceFile
from engine.syntax import ast
from engine.syntax.parser import parse

pytestmark = pytest.mark.treesitter

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "grammar" / "tree-sitter"
HEADERS = FOLDER / "node_modules" / "tree-sitter-json" / "src"
sys.path.insert(0, str(ROOT / "tests" / "fuzz"))

FILES = sorted(
    path
    for folder in ("tests", "workflows", "engine/scaffold")
    for path in (ROOT / folder).rglob("*.orch")
)
KINDS = {
    ast.Edition: "edition",
    ast.Import: "import",
    ast.FromImport: "import_names",
    ast.ParamDecl: "param",
    ast.SecretDecl: "secret",
    ast.SchemaDecl: "schema",
    ast.ModelDecl: "model",
    ast.ServerDecl: "server",
    ast.TemplateDecl: "template",
    ast.WorkerDecl: "worker",
    ast.VerifierDecl: "verifier",
    ast.OrchestratorDecl: "orchestrator",
    ast.TestDecl: "test",
}


@pytest.fixture(scope="session")
def language(tmp_path_factory):
    import tree_sitter

    compiler = shutil.which("cc")
    assert compiler, "a C compiler is needed"
    library = tmp_path_factory.mktemp("build") / "orch.so"
    source = FOLDER / "src" / "parser.c"
    subprocess.run(
        [compiler, "-shared", "-fPIC", "-O1", "-Wall", f"-I{HEADERS}", source, "-o", library],
        check=True,
    )
    function = ctypes.CDLL(str(library)).tree_sitter_orch
    function.restype = ctypes.c_void_p
    wrap = ctypes.pythonapi.PyCapsule_New
    wrap.restype = ctypes.py_object
    wrap.argtypes = (ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p)
    return tree_sitter.Language(wrap(function(), b"tree_sitter.Language", None))


@pytest.fixture(scope="session")
def tree(language):
    import tree_sitter

    parser = tree_sitter.Parser(language)
    kept = []  # a node does not keep its tree alive

    def root(text):
        kept.append(parser.parse(text.encode()))
        return kept[-1].root_node

    return root


def walk(node):
    yield node
    for child in node.children:
        yield from walk(child)


def read(path):
    return path.read_text("utf-8", errors="replace")


def is_valid(text):
    """Whether the engine's parser takes a text; None where it and tree-sitter differ by design."""
    document, found = parse(SourceFile("x", text))
    for item in found:
        if item.code == "ORC008" or "is not a" in item.message:
            return None  # editions and units of numbers are no matter of syntax there
    unknown = any(isinstance(node, ast.UnknownDecl) for node in document.declarations)
    return not unknown and all(item.code == "ORC007" for item in found)


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_both_take_the_same_files(tree, path):
    valid = is_valid(read(path))

    assert valid is None or tree(read(path)).has_error is not valid


def test_both_take_the_same_faulty_texts(tree):
    from fuzz_texts import text_of

    compared = differing = 0
    for seed in range(3000):
        text, faults = text_of(seed)
        valid = None if faults is None else is_valid(text)
        if valid is not None:
            compared += 1
            differing += tree(text).has_error is valid
    assert compared > 1000
    assert differing <= compared / 100


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_both_see_the_same_declarations_settings_and_comments(tree, path):
    text = read(path)
    if not is_valid(text):
        pytest.skip("the file has syntax errors on purpose")
    document, _ = parse(SourceFile("x", text))
    root = tree(text)

    declared = [(KINDS[type(d)], d.span.begin_position.line) for d in document.declarations]
    named = [n for n in root.children if n.is_named and n.type not in ("comment", "doc_comment")]
    assert [(n.type, n.start_point.row + 1) for n in named] == declared
    comments = [n.text.decode() for n in walk(root) if n.type == "comment"]
    dangling = re.compile(r"///(?!/)")
    assert comments == [c.text for c in document.comments if not dangling.match(c.text)]
    settings = [n for n in walk(root) if n.type == "setting"]
    names = [n.child_by_field_name("name").text.decode() for n in settings]
    assert names == [s.name.text for d in document.declarations for s in settings_of(d)]


def settings_of(node):
    """The settings in the bodies of a declaration, outer before inner, in order."""
    body = getattr(node, "body", None)
    for member in getattr(body, "members", ()):
        if isinstance(member, ast.Setting):
            yield member
        elif isinstance(member, ast.Block):
            yield from settings_of(member)


@pytest.mark.parametrize(
    "line",
    [
        "orch 1 model m { x = a  if = 3  and = 4  or = 5  in = 6 }",
        'orch 1 model m { x = "a" if b else "c" if d else "e"  y = 2 }',
        'orch 1 verifier v(x: int) via rules { assert x if y else z else "m"  assert not x }',
        "orch 1 model m { a = b not in c  d = e is not none  f = g[1:2]  h = -1 ** -2 }",
        "orch 1 schema S { if: int, in: string? @length(1, 2), n: int = 3 @min(1) }",
        'orch 1 schema S { n: int = 3 @min(1) assert n else "" }',
        'orch 1 template t(a: string = "x") = """ a "b" ""c {{ d }} """ template u = ""',
        "orch 1 model naïve_日本 { x = é }",
    ],
)
def test_words_are_keywords_only_where_they_must_be(tree, line):
    assert is_valid(line)
    assert not tree(line).has_error


def test_queries_name_what_stands_there(language, tree):
    import tree_sitter

    text = (
        "orch 1\n/// Doc.\nschema Finding { claim: string }\n"
        'worker find(n: int) -> Finding via llm { prompt = "{{ n }}"  retry { max = 2 } }\n'
    )
    query = tree_sitter.Query(language, (FOLDER / "queries" / "highlights.scm").read_text())
    found = tree_sitter.QueryCursor(query).captures(tree(text))
    words = {name: {node.text.decode() for node in nodes} for name, nodes in found.items()}

    assert words["type.definition"] == {"Finding"}
    assert words["function"] == {"find"}
    assert words["type.builtin"] == {"string", "int", "llm"}
    assert words["property"] == {"prompt", "retry", "max"}
    assert words["comment.documentation"] == {"/// Doc."}
    steps = tree("orch 1\nworker p(n: int) -> int via plan { step one { call = f(n=n) } }\n")
    words = {
        name: {node.text.decode() for node in nodes}
        for name, nodes in tree_sitter.QueryCursor(query).captures(steps).items()
    }
    assert "step" in words["keyword"]
    assert {"one", "n"} <= words["variable"]
    for name in ("injections", "folds", "tags"):
        other = tree_sitter.Query(language, (FOLDER / "queries" / f"{name}.scm").read_text())
        assert tree_sitter.QueryCursor(other).captures(tree(text)), name


def test_the_parser_is_made_from_the_grammar():
    source = (FOLDER / "grammar.js").read_text()
    rules = re.findall(r"^    (\w+): \(", source.partition("rules: {")[2], re.M)
    made = (FOLDER / "src" / "grammar.json").read_text()
    names = re.findall(r'^    "(\w+)": \{', made, re.M)

    assert rules == names
