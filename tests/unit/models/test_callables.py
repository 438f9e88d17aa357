"""Functions named in a file: beside it first, without a trace in `sys.path`, never mixed up."""

import sys
from pathlib import Path
from typing import Any

import pytest

from engine.callables import CallableError, load_callable
from engine.errors import Failure


@pytest.fixture(autouse=True)
def clean_path():
    before = list(sys.path)
    yield
    assert sys.path == before


def write(folder, **files):
    for name, text in files.items():
        path = folder.joinpath(*(name.split("/") if "/" in name else name.split("__")))
        path = path.with_name(path.name + ".py")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def test_a_module_and_a_package_beside_the_file(tmp_path):
    write(tmp_path, tools="def f(): return 1", pack__deep__mod="class C:\n  def m(self): return 2")
    assert load_callable("tools:f", str(tmp_path))() == 1
    cls = load_callable("pack.deep.mod:C", str(tmp_path))
    assert cls().m() == 2
    assert load_callable("pack.deep.mod:C.m", str(tmp_path))(None) == 2
    assert "tools" not in sys.modules
    assert "pack" not in sys.modules


def test_the_same_name_in_two_projects(tmp_path):
    write(tmp_path / "a", tools="def f(): return 'a'")
    write(tmp_path / "b", tools="def f(): return 'b'")
    assert load_callable("tools:f", str(tmp_path / "a"))() == "a"
    assert load_callable("tools:f", str(tmp_path / "b"))() == "b"
    assert load_callable("tools:f", str(tmp_path / "a")) is load_callable(
        "tools:f", str(tmp_path / "a")
    )


def test_neighbours_are_imported_by_their_plain_names(tmp_path):
    tools = """
import helpers
import pack.one
import pack.two as second
from pack import two, one as first
from pack.one import NAME

def at_import():
    return helpers.NAME, pack.one.NAME, second.NAME, two.NAME, first.NAME, NAME

def later():
    from late import NAME
    import json
    return json.dumps(NAME)
"""
    for project in ("a", "b"):
        write(
            tmp_path / project,
            tools=tools,
            helpers=f"NAME = 'helpers {project}'",
            late=f"NAME = 'late {project}'",
            pack__one=f"from . import two\nNAME = 'one {project}'",
            pack__two=f"NAME = 'two {project}'",
        )
    for project in ("a", "b"):
        folder = str(tmp_path / project)
        at_import = load_callable("tools:at_import", folder)()
        kinds = ("helpers", "one", "two", "two", "one", "one")
        assert at_import == tuple(f"{kind} {project}" for kind in kinds)
        assert load_callable("tools:later", folder)() == f'"late {project}"'


def test_regular_packages_with_relative_imports(tmp_path):
    write(
        tmp_path,
        **{"tools/__init__": "from .text import words\n__all__ = ['words']"},
        tools__text="from tools.base import SEP\ndef words(t): return t.split(SEP)",
        tools__base="SEP = ','",
    )
    assert load_callable("tools:words", str(tmp_path))("a,b") == ["a", "b"]


def test_records_and_forward_references_work_inside(tmp_path):
    write(
        tmp_path,
        tools=(
            "from __future__ import annotations\n"
            "import dataclasses, typing\n"
            "@dataclasses.dataclass\n"
            "class Node:\n"
            "    left: Node | None = None\n"
            "    kind: typing.ClassVar[int] = 3\n"
            "def hints(): return sorted(typing.get_type_hints(Node))\n"
        ),
    )
    assert load_callable("tools:hints", str(tmp_path))() == ["kind", "left"]


def test_installed_modules_are_found_too(tmp_path):
    (tmp_path / "json").mkdir()  # data, not a package
    assert load_callable("json:dumps", str(tmp_path))([1]) == "[1]"


def test_a_module_written_later_is_found(tmp_path):
    with pytest.raises(CallableError):
        load_callable("tools:f", str(tmp_path))
    write(tmp_path, tools="def f(): return 1")
    assert load_callable("tools:f", str(tmp_path))() == 1


@pytest.mark.parametrize(
    ("files", "target", "message"),
    [
        ({}, "tools:f", "no module `tools` in {dir} or among the installed packages"),
        ({"tools": ""}, "tools.sub:f", "no module `tools.sub` in {dir}"),
        ({"tools": "def search(): 0"}, "tools:serch", "`tools` has no `serch`; did you mean"),
        ({"tools": "f = 3"}, "tools:f", "`tools:f` is not a function but int"),
        ({"tools": "def f(:"}, "tools:f", "SyntaxError: invalid syntax (tools.py:1)"),
        ({"tools": "\n1 / 0"}, "tools:f", "ZeroDivisionError: division by zero (tools.py:2)"),
        ({"tools": "import no_such"}, "tools:f", "No module named 'no_such' (tools.py:1)"),
        ({"tools": "import helpers", "helpers": "x"}, "tools:f", "is not defined (helpers.py:1)"),
        ({"tools": "raise SystemExit(3)"}, "tools:f", "SystemExit: 3 (tools.py:1)"),
        ({"tools": "from helpers import nope", "helpers": ""}, "tools:f", "ImportError"),
        ({}, "tools", "`tools` is not of the form package.module:function"),
        ({}, "tools:", "is not of the form package.module:function"),
        ({}, "../tools:f", "is not of the form package.module:function"),
        ({}, ".tools:f", "is not of the form package.module:function"),
    ],
)
def test_what_cannot_be_had(tmp_path, files, target, message):
    write(tmp_path, **files)
    with pytest.raises(CallableError) as caught:
        load_callable(target, str(tmp_path))
    assert message.format(dir=tmp_path) in str(caught.value)
    assert "_orch_" not in str(caught.value)
    assert "\n" not in str(caught.value)


def shared(folder: Path, name: str, text: str, tools: str) -> Any:
    """What `tools:f` gives, with a file beside it that has a name of ours."""
    (folder / f"{name}.py").write_text(text)
    (folder / "tools.py").write_text(tools)
    return load_callable("tools:f", str(folder))()


@pytest.mark.parametrize("name", ["orch", "engine"])
def test_names_of_the_public_face_are_ours_also_where_the_file_has_them(name, tmp_path):
    text = "class Failure: pass\n"
    tools = f"import {name}\nfrom {name} import Failure\ndef f(): return Failure, {name}.Failure\n"
    assert shared(tmp_path, name, text, tools) == (Failure, Failure)


@pytest.mark.parametrize("name", ["orch", "engine", "grammar"])
def test_other_names_are_the_file_s(name, tmp_path):
    tools = f"import {name}\nfrom {name} import COUNT\ndef f():\n  {name}.COUNT += 1\n"
    tools += f"  from {name} import COUNT as now\n  return COUNT, {name}.COUNT, now\n"
    assert shared(tmp_path, name, "COUNT = 1\n", tools) == (1, 2, 2)


def test_modules_below_our_packages_are_found_beside_a_file_of_their_name(tmp_path):
    tools = "import engine.errors\nfrom engine.errors import Failure\nfrom orch import kinds\n"
    tools += "from orch.kinds import WorkerKind\nimport orch.kinds as same\n"
    tools += "def f(): return Failure, engine.errors.Failure, kinds is same\n"
    (tmp_path / "orch.py").write_text("")
    assert shared(tmp_path, "engine", "", tools) == (Failure, Failure, True)


def test_a_package_of_the_user_keeps_its_modules(tmp_path):
    (tmp_path / "engine").mkdir()
    (tmp_path / "engine" / "__init__.py").write_text("from engine import models\n")
    (tmp_path / "engine" / "models.py").write_text("CAR = 4\n")
    tools = "from engine.models import CAR\nimport engine.models\nfrom engine import Failure\n"
    (tmp_path / "tools.py").write_text(tools + "def f(): return CAR, engine.models.CAR, Failure\n")
    assert load_callable("tools:f", str(tmp_path))() == (4, 4, Failure)


def test_a_name_that_nobody_has_is_said_to_be_in_neither(tmp_path):
    with pytest.raises(CallableError, match=r"neither orch's package `engine` nor .*engine.py has"):
        shared(tmp_path, "engine", "", "import engine\nengine.nothing\ndef f(): pass\n")
    with pytest.raises(CallableError, match="cannot import name 'nothing' from 'engine'"):
        shared(tmp_path / "..", "engine", "", "from engine import nothing\ndef f(): pass\n")


def test_a_call_may_name_a_file_with_a_name_of_ours(tmp_path):
    (tmp_path / "engine.py").write_text("from engine import Failure\ndef f(): return Failure\n")
    assert load_callable("engine:f", str(tmp_path))() is Failure
