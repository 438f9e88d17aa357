"""Which rules count: words, the more exact of two, configurations, single files."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.config import Config, LintConfig, find_config
from engine.diagnostics import OPTIONAL, RULES, diagnostic
from engine.errors import ConfigError
from engine.linter.selection import Selection, UnknownRule, rules_named, selection_of
from engine.source import SourceFile, Span


def chosen(config: Config = Config(), select=None, ignore=None) -> Selection:  # noqa: B008
    return selection_of(
        config,
        None if select is None else rules_named(select),
        None if ignore is None else rules_named(ignore),
    )


def test_words_are_codes_beginnings_names_and_all() -> None:
    assert set(rules_named(["ORC302"])) == {"ORC302"}
    assert set(rules_named(["orc30"])) == {code for code in RULES if code.startswith("ORC30")}
    assert set(rules_named(["Unused-Worker"])) == {"ORC701"}
    assert set(rules_named(["all"])) == set(RULES) - OPTIONAL


def test_an_optional_rule_counts_only_where_it_is_named() -> None:
    assert OPTIONAL & chosen().codes == set()
    for word in ("ORC905", "not-formatted", "ORC9"):
        assert "ORC905" in chosen(select=[word]).codes
    extended = Config("/p/orch.toml", LintConfig(extend_select=("ORC905",)))
    assert chosen(extended).codes == set(RULES)


@pytest.mark.parametrize(
    ("word", "help"),
    [
        ("ORC30x", "did you mean `ORC309`?"),
        ("unused-worke", "did you mean `unused-worker`?"),
        ("?", "`orch explain` lists the rules"),
        ("", "`orch explain` lists the rules"),
    ],
)
def test_a_word_that_names_no_rule(word: str, help: str) -> None:
    with pytest.raises(UnknownRule, match="there is no rule") as caught:
        rules_named([word])
    assert caught.value.help == help


def test_the_more_exact_word_wins_and_of_equals_the_one_that_ignores() -> None:
    assert chosen(select=["ORC302"], ignore=["ORC3"]).codes == {"ORC302"}
    assert "ORC302" not in chosen(select=["ORC3"], ignore=["ORC302"]).codes
    assert chosen(select=["ORC302"], ignore=["unknown-template-field"]).codes == frozenset()
    assert chosen(select=["ORC405"], ignore=["ALL"]).codes == {"ORC405"}
    assert (
        chosen(ignore=["ORC3"]).codes == {code for code in RULES if code[:4] != "ORC3"} - OPTIONAL
    )


def test_the_command_line_replaces_what_is_configured() -> None:
    config = Config("/p/orch.toml", LintConfig(("ORC4",), ("ORC705",), ("ORC405",)))

    assert chosen(config).codes == {
        *(code for code in RULES if code.startswith("ORC4") and code != "ORC405"),
        "ORC705",
    }
    assert chosen(config, select=["ORC405"]).codes == {"ORC405"}
    assert "ORC411" not in chosen(config, ignore=["ORC411"]).codes
    assert "ORC405" not in chosen(config, ignore=["ORC411"]).codes


@pytest.mark.parametrize(
    ("pattern", "path", "fits"),
    [
        ("tests/*", "/p/tests/deep/a.orch", True),
        ("tests/", "/p/tests/a.orch", True),
        ("tests/**", "/p/tests/deep/a.orch", True),
        ("**/gen_*.orch", "/p/gen_a.orch", True),
        ("gen_*.orch", "/p/deep/gen_a.orch", True),
        ("a.orch", "/p/deep/ba.orch", False),
        ("./deep/a.orch", "/p/deep/a.orch", True),
        ("tests/*", "/p/a.orch", False),
        ("*.j2", "/p/prompts/a.j2", True),
    ],
)
def test_rules_of_single_files(pattern: str, path: str, fits: bool) -> None:
    config = Config("/p/orch.toml", LintConfig(per_file_ignores=((pattern, ("ORC405",)),)))
    span = Span(SourceFile(path, "x"), 0, 1)

    assert chosen(config).keeps(diagnostic("ORC405", "m", span)) is not fits
    assert chosen(config).keeps(diagnostic("ORC411", "m", span))
    assert chosen(config, select=["ORC4"]).keeps(diagnostic("ORC405", "m", span)) is not fits


def test_a_rule_of_a_configuration_that_there_is_not_is_told_with_its_line(tmp_path: Path) -> None:
    (tmp_path / "orch.toml").write_text('[lint]\nselect = ["ALL"]\nignore = ["ORC40y"]\n')

    with pytest.raises(ConfigError, match=r"orch\.toml:3: there is no rule `ORC40y`") as caught:
        chosen(find_config(str(tmp_path)))
    assert caught.value.help == "did you mean `ORC409`?"
