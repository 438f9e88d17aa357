"""`apply_fixes`: which fixes go together, and what the text is then."""

from __future__ import annotations

from engine.diagnostics import Diagnostic, Edit, Fix, diagnostic
from engine.linter.fixing import apply_fixes
from engine.source import SourceFile, Span

TEXT = "zero one two three"
SOURCE = SourceFile("a.orch", TEXT)


def finding(*edits: tuple[int, int, str], safety: str = "safe", source=SOURCE) -> Diagnostic:
    fix = Fix("fix it", tuple(Edit(Span(source, a, b), new) for a, b, new in edits), safety)
    return diagnostic("ORC101", "unknown", Span(source, edits[0][0], edits[0][1]), fix=fix)


def test_fixes_are_applied_in_the_order_of_the_text() -> None:
    late, early = finding((9, 12, "2")), finding((0, 4, "0"))
    assert apply_fixes(TEXT, [late, early]) == ("0 one 2 three", [early, late])


def test_of_two_that_overlap_the_first_is_applied() -> None:
    first, second = finding((0, 8, "1")), finding((5, 12, "2"))
    assert apply_fixes(TEXT, [second, first]) == ("1 two three", [first])


def test_two_that_touch_or_insert_at_one_place_are_not_applied_together() -> None:
    replaced, inserted, again = finding((5, 8, "1")), finding((8, 8, "!")), finding((8, 8, "?"))
    assert apply_fixes(TEXT, [replaced, inserted]) == ("zero 1 two three", [replaced])
    assert apply_fixes(TEXT, [inserted, again]) == ("zero one! two three", [inserted])


def test_a_fix_of_several_edits_is_applied_whole_or_not_at_all() -> None:
    whole = finding((0, 4, "0"), (13, 18, "3"))
    assert apply_fixes(TEXT, [whole]) == ("0 one two 3", [whole])
    inside = finding((5, 8, "1"))
    assert apply_fixes(TEXT, [whole, inside]) == ("0 1 two 3", [whole, inside])
    across = finding((5, 8, "1"), (14, 15, "H"))
    assert apply_fixes(TEXT, [whole, across]) == ("0 one two 3", [whole])


def test_a_fix_whose_edits_overlap_is_none() -> None:
    assert apply_fixes(TEXT, [finding((0, 4, "0"), (2, 6, "1"))]) == (TEXT, [])


def test_unsafe_fixes_only_where_asked_for() -> None:
    item = finding((0, 4, "0"), safety="unsafe")
    assert apply_fixes(TEXT, [item]) == (TEXT, [])
    assert apply_fixes(TEXT, [item], unsafe=True) == ("0 one two three", [item])


def test_a_fix_of_another_text_is_passed_over() -> None:
    other = SourceFile("b.orch", TEXT + " four")
    here, elsewhere = finding((0, 4, "0")), finding((5, 8, "1"), source=other)
    none = diagnostic("ORC101", "no fix", Span(SOURCE, 0, 4))
    assert apply_fixes(TEXT, [elsewhere, none, here]) == ("0 one two three", [here])


def test_line_ends_stay_those_of_the_text() -> None:
    source = SourceFile("a.orch", "a\r\nb\r\n")
    item = finding((0, 0, "orch 1\n\n"), source=source)
    assert apply_fixes(source.text, [item])[0] == "orch 1\r\n\r\na\r\nb\r\n"
