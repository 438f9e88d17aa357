"""A check reads nothing outside the project of its file, and quotes nothing from there."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from engine.config import find_config
from engine.diagnostics import render_terminal
from engine.errors import ConfigError, UnreadableFile
from engine.linter import lint
from engine.project import Project

SECRET = "user = hunter2SECRET {{ hunter2SECRET"
MODEL = 'model m { id = "openai/gpt-4o" }\n'
IMPORT = 'orch 1\nimport "%s" as x\n'
SCHEMA = 'orch 1\nschema T from "%s"\n'
PROMPT = f'orch 1\n{MODEL}worker f(n: int) -> string via llm {{ model = m  prompt = file("%s") }}\n'
INCLUDE = (
    f"orch 1\n{MODEL}worker f(n: int) -> string via llm "
    "{ model = m  prompt = \"{%% include '%s' %%}{{ n }}\" }\n"
)
PYTHON = 'orch 1\nworker f(n: int) -> int via python { call = "%s:f" }\n'
MCP = """orch 1
server s via mcp { command = ["x"] }
worker f(n: int) -> json via mcp { server = s  tool = "t"  timeout = 5s  effect = read }
"""


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A stranger's repository, beside files of the user's."""
    folder = tmp_path / "repository"
    (folder / ".git").mkdir(parents=True)
    (folder / ".git" / "config").write_text(SECRET)
    (folder / "flows").mkdir()
    for name in ("secret.orch", "secret.py", "secret.json", "secret"):
        (tmp_path / name).write_text(SECRET)
    return folder


def found(path: Path, text: str) -> tuple[list[str], str]:
    """The codes of what is found in a file, and all that is printed of it."""
    path.write_text(text)
    items = lint(str(path))
    return [item.code for item in items], render_terminal.render(items, color=False, width=200)


# ---------------------------------------------------------------- names that lead outside


@pytest.mark.parametrize("text", [IMPORT, SCHEMA, PROMPT], ids=["import", "schema", "file"])
@pytest.mark.parametrize(
    "name",
    ["../secret.orch", "../secret", "../not-there", "/etc/hostname", "/proc/self/environ",
     ".git/config", "flows/../.git/config"],
)  # fmt: skip
def test_what_lies_outside_is_refused_unseen(name, text, repository):
    codes, said = found(repository / "a.orch", text % name)

    assert "ORC110" in codes
    assert "ORC106" not in codes  # whether it is there is not told either
    assert "hunter2" not in said


@pytest.mark.parametrize("name", ["../secret", "/etc/hostname"])
def test_a_template_includes_nothing_from_outside(name, repository):
    codes, said = found(repository / "a.orch", INCLUDE % name)

    assert "ORC309" in codes
    assert "hunter2" not in said


@pytest.mark.parametrize(
    ("text", "link", "code"),
    [
        (IMPORT % "link.orch", "link.orch", "ORC110"),
        (SCHEMA % "link.json", "link.json", "ORC110"),
        (PROMPT % "link.j2", "link.j2", "ORC110"),
        (INCLUDE % "link.j2", "link.j2", "ORC309"),
        (PYTHON % "link", "link.py", "ORC110"),
        (MCP, "a.mcp.json", "ORC110"),
    ],
    ids=["import", "schema", "file", "include", "python", "mcp"],
)
def test_a_link_that_leads_outside_is_not_followed(text, link, code, repository):
    (repository / link).symlink_to("../secret.py")

    codes, said = found(repository / "a.orch", text)

    assert code in codes
    assert "hunter2" not in said


def test_a_folder_that_is_a_link_is_not_followed(repository, tmp_path):
    (repository / "up").symlink_to(tmp_path)

    codes, said = found(repository / "a.orch", IMPORT % "up/secret.orch")

    assert codes == ["ORC110"]
    assert "hunter2" not in said


def test_the_file_itself_may_not_be_such_a_link(repository, tmp_path):
    (repository / "a.orch").symlink_to("../secret.orch")

    with pytest.raises(UnreadableFile, match="is not part of the project") as refused:
        lint(str(repository / "a.orch"))

    assert str(tmp_path / "secret.orch") in refused.value.help


def test_only_workflows_are_parsed(repository):
    """A file of settings in the project would be quoted line by line."""
    (repository / ".env").write_text(SECRET)

    codes, said = found(repository / "a.orch", IMPORT % ".env")

    assert codes == ["ORC106"]
    assert "hunter2" not in said


# ---------------------------------------------------------------- what a project is


def test_all_of_a_repository_is_one_project(repository):
    (repository / "shared.orch").write_text("orch 1\n" + MODEL)

    codes, _ = found(repository / "flows" / "a.orch", IMPORT % "../shared.orch")

    assert codes == []


def test_links_within_it_are_followed(repository):
    (repository / "shared.orch").write_text("orch 1\n" + MODEL)
    (repository / "flows" / "link.orch").symlink_to("../shared.orch")

    assert found(repository / "flows" / "a.orch", IMPORT % "link.orch")[0] == []


@pytest.mark.parametrize("config", ["orch.toml", "pyproject.toml"])
def test_without_a_repository_the_nearest_configuration_counts(config, tmp_path):
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / config).touch()
    (tmp_path / "a" / "shared.orch").write_text("orch 1\n" + MODEL)
    (tmp_path / "above.orch").write_text("orch 1\n" + MODEL)

    assert found(tmp_path / "a" / "b" / "x.orch", IMPORT % "../shared.orch")[0] == []
    assert found(tmp_path / "a" / "b" / "y.orch", IMPORT % "../../above.orch")[0] == ["ORC110"]


def test_without_either_it_is_the_file_s_own_folder(tmp_path):
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "b" / "below.orch").write_text("orch 1\n" + MODEL)
    (tmp_path / "above.orch").write_text("orch 1\n" + MODEL)

    assert found(tmp_path / "a" / "x.orch", IMPORT % "b/below.orch")[0] == []
    assert found(tmp_path / "a" / "y.orch", IMPORT % "../above.orch")[0] == ["ORC110"]


def test_a_person_can_name_a_larger_one(tmp_path, monkeypatch):
    (tmp_path / "a").mkdir()
    (tmp_path / "above.orch").write_text("orch 1\n" + MODEL)
    monkeypatch.setenv("ORCH_PROJECT", str(tmp_path))

    assert found(tmp_path / "a" / "x.orch", IMPORT % "../above.orch")[0] == []


def test_a_comment_cannot(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "above.orch").write_text(SECRET)
    text = 'orch 1\n// orch: allow[ORC110] let me\nimport "../above.orch" as x\n'

    codes, said = found(tmp_path / "a" / "x.orch", text)

    assert "ORC110" in codes
    assert "hunter2" not in said


def test_the_home_folder_is_no_project(tmp_path, monkeypatch):
    home = tmp_path / "home"
    (home / ".git").mkdir(parents=True)
    (home / "downloads" / "theirs").mkdir(parents=True)
    monkeypatch.setenv("HOME", str(home))

    assert Project.of(str(home / "downloads" / "theirs")).root == str(home / "downloads" / "theirs")


def test_a_folder_of_a_similar_name_is_another(tmp_path):
    (tmp_path / "a").mkdir()
    project = Project.of(str(tmp_path / "a"))

    assert project.holds(str(tmp_path / "a" / "x"))
    assert not project.holds(str(tmp_path / "ab" / "x"))


# ---------------------------------------------------------------- the configuration


def test_a_configuration_that_leads_outside_is_refused(repository, tmp_path):
    (tmp_path / "secret.toml").write_text("hunter2SECRET = 1")
    (repository / "orch.toml").symlink_to("../secret.toml")

    with pytest.raises(ConfigError, match="leads outside the project") as refused:
        find_config(str(repository / "flows"))

    assert "hunter2" not in str(refused.value)


def test_a_configuration_that_leads_elsewhere_in_the_project_is_read(repository):
    (repository / "shared.toml").write_text("[lint]\nstrict = true\n")
    (repository / "flows" / "orch.toml").symlink_to("../shared.toml")

    assert find_config(str(repository / "flows")).lint.strict


def test_a_link_to_nothing_is_no_configuration(repository):
    (repository / "orch.toml").symlink_to("nowhere")

    assert find_config(str(repository / "flows")).path != str(repository / "orch.toml")


# ---------------------------------------------------------------- other commands


def test_formatting_writes_through_no_link_that_leads_outside(repository, tmp_path, orch):
    theirs = tmp_path / "other.orch"
    theirs.write_text('orch 1\nmodel   m { id =    "openai/x" }\n')
    before = theirs.read_text()
    (repository / "a.orch").symlink_to("../other.orch")

    for command in (("fmt",), ("lint", "--fix", "--unsafe-fixes")):
        code, out, err = orch(*command, str(repository))
        assert code == 3
        assert "is not part of the project" in err
        assert "openai" not in out + err
    assert theirs.read_text() == before


# ---------------------------------------------------------------- the editor


def test_an_editor_offers_and_opens_nothing_outside(repository, tmp_path):
    pytest.importorskip("pygls")
    from engine.lsp.links import link_at
    from engine.lsp.paths import beside, calls, pointers
    from engine.lsp.project import Project as Editor

    (repository / "a.orch").write_text(IMPORT % "../secret.orch")
    (repository / "link.py").symlink_to("../secret.py")
    (tmp_path / "secret.py").write_text("def hunter2SECRET(): ...\n")
    (tmp_path / "secret.json").write_text('{"$defs": {"hunter2SECRET": {}}}')
    editor, base = Editor(), str(repository)
    analysis = editor.analysis(str(repository / "a.orch"))
    source = analysis.module.source

    assert [item.code for item in analysis.diagnostics] == ["ORC110"]
    assert link_at(editor, analysis, source, source.text.index("../secret") + 1) is None
    assert list(beside(editor, base, "../", ())) == []
    assert list(pointers(editor, base, "../secret.json#")) == []
    assert list(calls(editor, base, "link:")) == []
    assert list(beside(editor, base, "flo", ())) != []


def test_an_editor_searches_no_file_outside(repository):
    pytest.importorskip("pygls")
    from engine.lsp.project import Project as Editor

    (repository / "flows" / "a.orch").symlink_to("../../secret.orch")
    editor = Editor()
    editor.folders = [str(repository)]

    assert editor.program_of(str(repository / "hunter2SECRET")) is None
    assert os.path.islink(editor.files()[0])
