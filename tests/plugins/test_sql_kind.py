"""A kind of worker from another package: installed by pip, used from the command line and editors.

The package is `tests/plugins/orch-sql`. It touches no file of the engine.
"""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from doc_pages import write_files
from lsp_client import Client

PACKAGE = Path(__file__).parent / "orch-sql"

PROGRAM = """orch 1

model planner { id = "scripted/plan.json" }

/// Orders of one city.
worker orders(city: string) -> { id: int, note: string }[] via sql {
  database = "shop.db"
  query    = "SELECT id, note FROM orders WHERE city = :city ORDER BY id"
}

orchestrator ask(city: string) -> int {
  model = planner  goal = "Count orders of {{ city }}"  workers = [orders]
  policy { max_rounds = 3 }
}

test "two orders" for ask {
  input = { city: "Rome" }
  mock orders { returns = [{ id: 1, note: "a" }, { id: 2, note: "b" }] }
  mock orchestrator { script = [
    { tasks: [{ id: "a", worker: "orders", input: { city: "Rome" } }] },
    { finish: 2 },
  ] }
  assert output == 2
}
"""
PLAN = [
    {"tasks": [{"id": "a", "worker": "orders", "input": {"city": "Rome"}}]},
    {"finish": 2},
]

Orch = Callable[..., "subprocess.CompletedProcess[str]"]


def install(package: Path, target: Path) -> Path:
    """Install a package as pip does, into a folder of its own."""
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    options = ["--no-index", "--no-deps", "--no-build-isolation", "--target", str(target)]
    subprocess.run([*pip, *options, str(package)], check=True, capture_output=True)
    return target


@pytest.fixture(scope="session")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the package."""
    return install(PACKAGE, tmp_path_factory.mktemp("site"))


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    """A folder with the program, its database and its script."""
    with sqlite3.connect(tmp_path / "shop.db") as database:
        database.execute("CREATE TABLE orders (id INTEGER, city TEXT, note TEXT)")
        rows = [(1, "Rome", "a"), (2, "Rome", "b"), (3, "Oslo", "c")]
        database.executemany("INSERT INTO orders VALUES (?, ?, ?)", rows)
    database.close()
    (tmp_path / "shop.orch").write_text(PROGRAM)
    (tmp_path / "plan.json").write_text(json.dumps(PLAN))
    return tmp_path


@pytest.fixture
def orch(shop: Path, installed: Path) -> Orch:
    """Runs `orch` in that folder, with packages to find beside its own."""

    def run(*arguments: str, packages: Path = installed) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "orch", *arguments],
            cwd=shop,
            env={**os.environ, "PYTHONPATH": str(packages), "NO_COLOR": "1"},
            capture_output=True,
            text=True,
        )

    return run


def edited(shop: Path, old: str, new: str) -> None:
    assert old in PROGRAM
    (shop / "shop.orch").write_text(PROGRAM.replace(old, new))


def test_it_lints_tests_and_runs(orch: Orch) -> None:
    assert orch("lint", "shop.orch").returncode == 0
    assert orch("test", "shop.orch").returncode == 0
    ran = orch("run", "shop.orch", "-i", "city=Rome")
    assert (ran.returncode, ran.stdout) == (0, "2\n"), ran.stderr
    shown = orch("show", "last", "--task", "a")
    assert '"note": "b"' in shown.stdout
    assert orch("replay", "last").returncode == 0


def test_a_query_cannot_write(shop: Path, orch: Orch) -> None:
    edited(
        shop,
        "SELECT id, note FROM",
        "WITH x AS (SELECT 1) INSERT INTO orders SELECT 9, 'r', 'n' FROM",
    )
    ran = orch("run", "shop.orch", "-i", "city=Rome")
    assert "readonly database" in ran.stderr
    rows = sqlite3.connect(shop / "shop.db")
    assert rows.execute("SELECT count(*) FROM orders").fetchone() == (3,)
    rows.close()


@pytest.mark.parametrize(
    ("old", "new", "code", "words"),
    [
        ("database = ", "databse = ", "ORC103", "did you mean `database`?"),
        ('database = "shop.db"\n', "", "ORC104", "needs `database`"),
        ("city = :city", "city = :ctiy", "ORC101", "did you mean `:city`?"),
        ("SELECT id", "DELETE id", "ORC202", "`query` must be a `SELECT`"),
        ("query  ", "max_rows = 0\n  query", "ORC202", "must be at least 1"),
        ("query  ", "effect = write\n  query", "ORC202", "only reads"),
        ("via sql", "via sqk", "ORC101", "did you mean `sql`?"),
        ('"shop.db"', '"postgresql://db.example.com/shop"', "ORC504", "has no `timeout`"),
    ],
)
def test_what_is_wrong_is_found(
    shop: Path, orch: Orch, old: str, new: str, code: str, words: str
) -> None:
    edited(shop, old, new)
    found = orch("lint", "shop.orch")
    assert code in found.stdout, found.stdout + found.stderr
    assert words in found.stdout


def test_its_rows_are_untrusted_and_reach_no_effect(shop: Path, orch: Orch) -> None:
    pay = (
        "worker pay(to: string) -> string via command {\n"
        '  run = ["echo", to]  effect = once  timeout = 5s\n}\n'
    )
    text = PROGRAM.replace("orchestrator ask", f"{pay}\norchestrator ask")
    (shop / "shop.orch").write_text(text.replace("[orders]", "[orders, pay]"))
    assert "ORC801" in orch("lint", "shop.orch").stdout
    edited(shop, "query  ", "trust = trusted\n  query")
    assert "ORC801" not in orch("lint", "shop.orch").stdout


def test_its_page_and_its_graph(orch: Orch) -> None:
    page = orch("doc", "shop.orch")
    assert "Via `sql`, effect `read`, its output is untrusted." in page.stdout
    assert "orders" in orch("graph", "shop.orch", "--format", "json").stdout
    assert "sql      orch-sql 0.1.0" in orch("kinds").stdout


def test_editors_know_it(shop: Path, installed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(installed))
    uri = (shop / "shop.orch").as_uri()
    client = Client(shop)
    try:
        found = client.open(uri, PROGRAM)
        assert [item["code"] for item in found] == ["ORC601"]
        assert "can only read" in hover(client, uri, position(PROGRAM, "sql {", 1))
        assert "One `SELECT`" in hover(client, uri, position(PROGRAM, "query ", 1))
        kinds = completed(client, uri, position(PROGRAM, "sql {", 0))
        assert {"sql", "http", "python"} <= kinds
        settings = completed(client, uri, position(PROGRAM, "database =", 0))
        assert {"max_rows", "trust"} <= settings
        assert client.close() == 0
    finally:
        client.kill()


def position(text: str, mark: str, offset: int) -> tuple[int, int]:
    at = text.index(mark) + offset
    return text.count("\n", 0, at), at - (text.rfind("\n", 0, at) + 1)


def hover(client: Client, uri: str, place: tuple[int, int]) -> str:
    found: Any = client.request("textDocument/hover", client.at(uri, *place))
    return str(found["contents"]["value"])


def completed(client: Client, uri: str, place: tuple[int, int]) -> set[str]:
    found: Any = client.request("textDocument/completion", client.at(uri, *place))
    items = found["items"] if isinstance(found, dict) else found
    return {item["label"] for item in items}


# ---------------------------------------------------------------- packages that do not work


def package(folder: Path, name: str, kind: str, body: str) -> Path:
    """A package that brings `kind`, whose record module has this body."""
    (folder / f"{name}.py").write_text(body)
    info = folder / f"{name}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[orch.workers]\n{kind} = {name}:KIND\n")
    return folder


HEAD = (
    "from orch.kinds import *\n"
    "ROWS = worker_settings()\n"
    "def made(name='sql', **more):\n"
    "    return WorkerKind(name=name, summary='x', **more)\n"
)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("import nowhere_to_be_found", "cannot be loaded: ModuleNotFoundError"),
        ("raise SystemExit(3)", "cannot be loaded: SystemExit: 3"),
        ("KIND = 3", "is a int, not a WorkerKind"),
        (HEAD + "KIND = made('other', worker=ROWS)", "is named `other`"),
        (HEAD + "KIND = made()", "neither workers nor verifiers"),
        (
            HEAD + "KIND = made(worker=(*ROWS, ROWS[0]))",
            "the setting `effect` twice",
        ),
        (
            HEAD + "KIND = made(worker=ROWS, port='a:b', check=lambda it: 1 / 0)",
            "failed: ZeroDivisionError",
        ),
        (
            HEAD + "KIND = made(worker=ROWS, port='a:b', check=lambda it: ['bad'])",
            "the check of the kind `sql` of broken_sql 1.0 failed: TypeError: it gave a str",
        ),
        (HEAD + "KIND = made(worker=ROWS, port='a:b', check=lambda it: exit(4))", "SystemExit: 4"),
        (HEAD + "KIND = made(worker=ROWS, port='a:b', facts=lambda it: None)", "not a Facts"),
        (
            HEAD + "KIND = made(worker=ROWS, port='a:b', derived=lambda it: None)",
            "the table of settings of the kind `sql` of broken_sql 1.0 failed: TypeError",
        ),
        (HEAD + "KIND = made(worker=ROWS)", "it has no `port`"),
        (HEAD + "KIND = made(worker=('file',))", "is a str, not a Row"),
        (
            HEAD + "N = Row('n', Int(), 'It.', default='many')\n"
            "KIND = made(worker=(N, *ROWS), port='a:b')",
            "the default of its setting `n` is 'many', but has to be an int, at least 1",
        ),
        (HEAD + "KIND = made(worker=3, port='a:b')", "the settings of its workers are a int"),
        (HEAD + "KIND = made(worker=ROWS[1:])", "its workers have no setting `effect`"),
        (HEAD + "KIND = made(verifier=())", "its verifiers have no setting `pass_when`"),
    ],
)
def test_a_package_that_does_not_work_is_named(
    shop: Path, orch: Orch, tmp_path_factory: pytest.TempPathFactory, body: str, words: str
) -> None:
    folder = package(tmp_path_factory.mktemp("broken"), "broken_sql", "sql", body)
    found = orch("lint", "shop.orch", packages=folder)
    assert found.returncode == 1
    assert words in found.stdout
    assert "broken_sql 1.0" in found.stdout
    assert "update or uninstall" in found.stdout
    assert "Traceback" not in found.stdout + found.stderr


def test_two_packages_with_one_kind_are_both_named(
    orch: Orch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = package(tmp_path_factory.mktemp("two"), "one_sql", "sql", "")
    package(folder, "other_sql", "sql", "")
    found = orch("lint", "shop.orch", packages=folder)
    assert "one_sql 1.0 and other_sql 1.0 both bring the kind `sql`" in found.stdout


def test_a_kind_that_is_built_in_is_not_replaced(
    shop: Path, orch: Orch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Nothing of a package is loaded for a file that uses only built-in kinds."""
    folder = package(tmp_path_factory.mktemp("same"), "my_python", "python", "raise SystemExit(9)")
    (shop / "plain.orch").write_text(
        'orch 1\nworker say(s: string) -> string via python { call = "inspect:getdoc"'
        "  args = { object: s } }\n"
    )
    assert orch("lint", "plain.orch", packages=folder).returncode == 0
    listed = orch("kinds", packages=folder)
    assert "my_python 1.0 brings `python`, which is built in: it is not used" in listed.stderr


PORTS = """
import asyncio
class Port:
    def __init__(self, call): self._call = call
    async def call(self, request): return self._call()
class Stuck(Port):
    async def close(self): raise RuntimeError("stuck")
def thrown(error):
    raise error
exits = lambda _: Port(lambda: thrown(SystemExit(7)))
interrupts = lambda _: Port(lambda: thrown(KeyboardInterrupt()))
cancels = lambda _: Port(lambda: thrown(asyncio.CancelledError()))
gives_a_dict = lambda _: Port(lambda: {"id": 1})
gives_an_object = lambda _: Port(lambda: WorkerReply([object()]))
closes = lambda _: Stuck(lambda: WorkerReply([]))
refuses = lambda _: exit(7)
"""


@pytest.mark.parametrize(
    ("port", "code", "words"),
    [
        ("exits", 0, "crashed: SystemExit: 7"),
        ("interrupts", 0, "crashed: KeyboardInterrupt"),
        ("cancels", 0, "crashed: CancelledError"),
        ("gives_a_dict", 0, "crashed: Port.call returned a dict, not a WorkerReply"),
        ("gives_an_object", 0, "invalid_output: the output is not JSON: at /0"),
        ("closes", 1, "error: Stuck.close failed: RuntimeError: stuck"),
        ("refuses", 0, "cannot be opened: SystemExit: 7"),
    ],
)
def test_a_port_that_breaks_its_contract_fails_its_call_only(
    shop: Path,
    orch: Orch,
    tmp_path_factory: pytest.TempPathFactory,
    port: str,
    code: int,
    words: str,
) -> None:
    """What the run has reached besides is not lost: it ends as its plan says."""
    rows = "(Row('database', Computed(), ''), Row('query', Computed(), ''), *ROWS)"
    body = f"{HEAD}KIND = made(worker={rows}, port='broken_sql:{port}')\n{PORTS}"
    folder = package(tmp_path_factory.mktemp("broken"), "broken_sql", "sql", body)
    ran = orch("run", "shop.orch", "-i", "city=Rome", packages=folder)
    assert (ran.returncode, ran.stdout) == (code, "2\n"), ran.stderr
    assert words in ran.stderr


# ---------------------------------------------------------------- the tutorial


def test_the_package_of_the_tutorial_works(orch: Orch, shop: Path, tmp_path: Path) -> None:
    folder = tmp_path / "tutorial"
    write_files("docs/howto/write-a-worker-kind.md", folder)
    (folder / "orch_jsonlines" / "__init__.py").touch()
    packages = install(folder, tmp_path / "site")
    (shop / "people.orch").write_text((folder / "people.orch").read_text())
    (shop / "people.jsonl").write_text('{"name": "Ada"}\n{"name": "Alan"}\n')
    task = {"id": "a", "worker": "people", "input": {"path": "people.jsonl"}}
    (shop / "plan.json").write_text(json.dumps([{"tasks": [task]}, {"finish": 2}]))
    assert orch("lint", "people.orch", packages=packages).returncode == 0
    ran = orch("run", "people.orch", "-i", "path=people.jsonl", packages=packages)
    assert (ran.returncode, ran.stdout) == (0, "2\n"), ran.stderr
    assert "Alan" in orch("show", "last", "--task", "a", packages=packages).stdout
    assert "jsonlines" in orch("kinds", packages=packages).stdout
