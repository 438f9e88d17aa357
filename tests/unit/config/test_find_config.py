"""`orch.toml` and `pyproject.toml`: which of them counts, and what is wrong with one."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.config import Config, LintConfig, find_config
from engine.errors import ConfigError

PYPROJECT = """
[project]
name = "x"

[tool.ruff.lint]
select = ["E"]

[tool.orch.lint]
select = ["ORC4", "unused-worker"]
extend-select = ["ORC705"]
ignore = ["ORC405"]
format = "json"
strict = true

[tool.orch.lint.per-file-ignores]
"tests/*" = ["ORC6"]
"""


def test_without_a_file_everything_is_as_it_comes(tmp_path: Path) -> None:
    assert find_config(str(tmp_path)).lint == LintConfig()


def test_a_project_file(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text(PYPROJECT)
    (tmp_path / "a" / "b").mkdir(parents=True)

    found = find_config(str(tmp_path / "a" / "b"))

    assert found.folder == str(tmp_path)
    assert found.lint == LintConfig(
        ("ORC4", "unused-worker"),
        ("ORC705",),
        ("ORC405",),
        (("tests/*", ("ORC6",)),),
        "json",
        True,
    )


def test_the_nearest_counts_and_orch_toml_before_pyproject_toml(tmp_path: Path) -> None:
    below = tmp_path / "a"
    below.mkdir()
    (tmp_path / "pyproject.toml").write_text(PYPROJECT)
    (tmp_path / "orch.toml").write_text('[lint]\nignore = ["ORC1"]\n')
    (below / "pyproject.toml").write_text('[project]\nname = "orchid"\n')
    known: dict[str, Config] = {}

    assert find_config(str(below), known).lint.ignore == ("ORC1",)
    (below / "orch.toml").write_text("")
    assert find_config(str(below), known).lint.ignore == ("ORC1",), "it is read once"
    assert find_config(str(below)).lint.ignore == ()


def test_a_byte_order_mark_is_no_fault(tmp_path: Path) -> None:
    (tmp_path / "orch.toml").write_bytes(b"\xef\xbb\xbf[lint]\nstrict = true\n")
    assert find_config(str(tmp_path)).lint.strict


@pytest.mark.parametrize(
    ("text", "message", "help"),
    [
        ('[lint]\n\nselct = ["ORC4"]', r"orch\.toml:3: unknown key `selct`", "`select`?"),
        ("[lnt]\n", r"orch\.toml:1: unknown key `lnt`", "`lint`?"),
        ("[lint]\nx = 1", r"orch\.toml:2: unknown key `x`", "known are `select`, "),
        ("lint = 3", r"orch\.toml:1: `lint` needs to be a table", None),
        ('[lint]\nselect = "ORC4"', r"orch\.toml:2: `select` needs a list of rules", None),
        ("[lint]\nignore = [4]", r"orch\.toml:2: `ignore` needs a list of rules", None),
        ('[lint]\nstrict = "yes"', r"orch\.toml:2: `strict` is `true` or `false`", None),
        ('[lint]\nformat = "xml"', r"orch\.toml:2: `format` is one of text, json, ", None),
        ("[lint]\nper-file-ignores = []", r"orch\.toml:2: `per-file-ignores` needs a table", None),
        (
            '[lint.per-file-ignores]\n"a/*" = "ORC4"',
            r"orch\.toml:2: `a/\*` needs a list of rules",
            None,
        ),
        ("[lint\n", r"orch\.toml is not valid TOML: .*line 1", None),
        ("a = " + "[" * 100_000, r"orch\.toml is nested too deeply", None),
        ("\udcff", r"orch\.toml is not UTF-8 text", None),
    ],
)
def test_what_is_wrong_is_told_with_its_line(tmp_path, text, message, help) -> None:
    (tmp_path / "orch.toml").write_bytes(text.encode(errors="surrogateescape"))

    with pytest.raises(ConfigError, match=message) as caught:
        find_config(str(tmp_path))
    assert (help is None) == (caught.value.help is None)
    assert help is None or help in caught.value.help


def test_the_line_is_that_of_our_own_table(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text(PYPROJECT.replace('["ORC4", "unused-worker"]', "4"))

    with pytest.raises(ConfigError, match=r"pyproject\.toml:9: `select`"):
        find_config(str(tmp_path))


def test_a_project_file_that_says_nothing_about_orch_may_be_broken(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text("[project\n")
    assert find_config(str(tmp_path)).lint == LintConfig()


def test_a_folder_of_that_name_is_no_configuration(tmp_path: Path) -> None:
    (tmp_path / "orch.toml").mkdir()
    with pytest.raises(ConfigError, match=r"cannot read .*it is a folder"):
        find_config(str(tmp_path))
