"""Slips that have a name: habits from other languages, misspelt keywords, forgotten values.

Each is recognised by what is around the place where the parser stopped, and comes as a
repair (see `engine.syntax.repairs`) whose report says what is written here instead. They are
tried before the general repairs, so each looks for something no correct program holds.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from engine.diagnostics import Diagnostic, Edit, Fix, diagnostic
from engine.syntax.problem import Lexeme, Problem, Repair, blank, over_blank, short
from engine.syntax.type_slips import type_slips

__all__ = ["UNITS", "slips"]

_KEYWORDS = ("via", "fails", "from", "import", "as", "for", "else", "assert")
#: Units as they are written.
UNITS = frozenset({"ms", "s", "m", "h", "d", "k", "M", "B", "KB", "MB", "GB", "KiB", "MiB", "GiB"})
#: Settings that are blocks, which look like maps when an `=` is before them.
_BLOCKS = frozenset(
    {
        "after_round",
        "before_finish",
        "before_round",
        "breaker",
        "budget",
        "context",
        "on_escalate",
        "on_exit",
        "on_status",
        "policy",
        "price",
        "repair",
        "repeat",
        "retry",
        "sandbox",
        "stall",
        "verify",
    }
)
#: Settings that are maps, which look like blocks without their `=`.
_MAPS = frozenset(
    {"args", "env", "extra", "form", "headers", "input", "json", "params", "query", "returns"}
)
_OPERATORS = frozenset(
    {"+", "-", "*", "/", "%", "**", "~", "==", "!=", "<", "<=", ">", ">=", "and", "or", "not"}
)
#: A function where an expression is expected, by its parameters: `lambda i:`, `i =>`, `(i) =>`.
_FUNCTION = re.compile(
    r"lambda[ \t]+(?P<python>\w+(?:[ \t]*,[ \t]*\w+)*)[ \t]*:"
    r"|(?P<arrow>\w+|\([ \t]*\w+(?:[ \t]*,[ \t]*\w+)*[ \t]*\))[ \t]*=>"
)
#: What follows a quote inside a placeholder, to the end of the string.
_REST_OF_STRING = re.compile(r'[^"\n]*"[^"\n]*(?:"[^"\n]*"[^"\n]*)*?[%}]\}[^"\n]*"')


def slips(problem: Problem) -> Iterator[Repair]:
    """The repairs of slips that can be recognised at this place."""
    yield from _block_comment(problem)
    yield from _function(problem)
    yield from _misspelt_keyword(problem)
    yield from _arrow(problem)
    yield from _double_equals(problem)
    yield from _foreign_operator(problem)
    yield from _comparison(problem)
    yield from _quotes_inside(problem)
    yield from type_slips(problem)
    yield from _block_or_map(problem)
    yield from _number_in_pieces(problem)
    yield from _money(problem)
    yield from _bare_url(problem)
    yield from _triple_quotes(problem)
    yield from _nothing_to_say(problem)
    yield from _no_type(problem)
    yield from _no_value(problem)


def _report(
    problem: Problem, message: str, start: int, end: int, help: str | None, new: str | None = None
) -> Diagnostic:
    span = problem.span(start, end)
    fix = None if new is None else Fix(f"write `{short(new)}`", (Edit(span, new),))
    return diagnostic("ORC001", message, span, help=help, fix=fix)


def _put(text: str, start: int, end: int, new: str) -> str | None:
    """`new` instead of a range, with as many characters; None where there is no room."""
    room = end - start
    if len(new) <= room:
        return text[:start] + new.ljust(room) + text[end:]
    if len(new) == room + 1:
        if text[start - 1 : start].isspace() and not re.match(
            r"[\w$]", text[start - 2 : start - 1]
        ):
            return text[: start - 1] + new + text[end:]
        if text[end : end + 1].isspace() and not re.match(r"\w", text[end + 1 : end + 2]):
            return text[:start] + new + text[end + 1 :]
    return None


def _same_line(problem: Problem, first: Lexeme, second: Lexeme) -> bool:
    return "\n" not in problem.text[first.end : second.start]


def _block_comment(problem: Problem) -> Iterator[Repair]:
    """`/* ... */`, as in C."""
    text = problem.text
    start = text.rfind("/*", 0, problem.offset + 2)
    if start == -1:
        return
    end = text.find("*/", start + 2)
    if end == -1 or problem.offset > end + 2:
        return
    report = _report(problem, "comments begin with `//`, not `/*`", start, start + 2, None)
    yield Repair(blank(text, start, end + 2), report)


def _function(problem: Problem) -> Iterator[Repair]:
    """`where = lambda i: i.size > 3`: an expression names the value itself."""
    text = problem.text
    for index in range(max(2, problem.index - 6), problem.index + 1):
        name, equals, first = problem.at(index - 2), problem.at(index - 1), problem.at(index)
        if not (name and equals and first) or equals.text != "=" or name.kind != "name":
            continue
        found = _FUNCTION.match(text, first.start)
        if found is None or not found.end() > problem.offset:
            continue
        body = text[found.end() : problem.line_end(found.end())].partition("//")[0].strip()
        names = re.findall(r"\w+", found["python"] or found["arrow"])
        uses = re.compile(rf"(?<![\w.]){re.escape(names[0])}\b")
        if found["python"] is None and not uses.search(body):
            continue  # `a => 3` is a comparison
        better = uses.sub("item", body)
        span = problem.span(first.start, text.index(body, found.end()) + len(body))
        plain = len(names) == 1 and body and not re.search(r'["{}]|[^=<>!]=[^=]', body)
        fix = Fix("name the value itself", (Edit(span, better),), "unsafe") if plain else None
        report = diagnostic(
            "ORC001",
            "an expression is not a function: the value is `item`",
            problem.span(first.start, found.end()),
            help=f"write `{name.text} = {short(better) if plain else 'item...'}`",
            fix=fix,
        )
        yield Repair(blank(text, first.start, found.end()), report)
        return


def _misspelt_keyword(problem: Problem) -> Iterator[Repair]:
    """`vai llm`, `esle "..."`, `asesrt x > 3`."""
    # 2 ms of CPU, and only a mistake needs it.
    from difflib import get_close_matches

    for distance in range(9):
        item = problem.at(problem.index - distance)
        if item is None:
            continue
        if distance and item.text in ("{", "}", "="):
            return
        if item.kind != "name" or item.text in _KEYWORDS:
            continue
        near = get_close_matches(item.text, _KEYWORDS, n=1, cutoff=0.65)
        if not near or (near[0] != "assert" and distance > 2):
            continue
        if near[0] == "assert" and not _begins_member(problem, item):
            continue
        repaired = _put(problem.text, item.start, item.end, near[0])
        if repaired is None and len(near[0]) == item.end - item.start + 1:
            # `-> Ticket fail not_found`: the type moves to the arrow to make room.
            arrow = re.search(r"->[ \t]([^\n]+)\Z", problem.text[: item.start])
            if arrow is not None:
                head = problem.text[: arrow.start() + 2] + arrow[1]
                repaired = head + near[0] + problem.text[item.end :]
        if repaired is not None:
            message = f"unexpected `{item.text}`"
            help_text = f"did you mean `{near[0]}`?"
            report = _report(problem, message, item.start, item.end, help_text, near[0])
            yield Repair(repaired, report)


def _begins_member(problem: Problem, item: Lexeme) -> bool:
    before = problem.text[problem.line_start(item.start) : item.start].rstrip()
    return not before or before[-1] in "{,;}"


def _arrow(problem: Problem) -> Iterator[Repair]:
    """`=>`, `- >` or `:` before the output type."""
    text, token = problem.text, problem.token
    if token is None or "ARROW" not in problem.accepted:
        return
    following = problem.at(problem.index + 1)
    end = token.end
    if token.text in ("=", "-") and following is not None and following.text == ">":
        end = following.end
    elif token.text not in (":", "→"):
        return
    repaired = _put(text, token.start, end, "->")
    if repaired is None and text[token.start - 1 : token.start].isspace():
        repaired = text[: token.start - 1] + "->" + text[end:]
    elif repaired is None and text[end : end + 1].isspace():
        repaired = text[: token.start] + "->" + text[end + 1 :]
    if repaired is not None:
        message = "the output type follows `->`"
        report = _report(problem, message, token.start, end, "write `->`", "->")
        yield Repair(repaired, report)


def _double_equals(problem: Problem) -> Iterator[Repair]:
    token = problem.token
    before = problem.at(problem.index - 1)
    if token is None or before is None or "EQUAL" not in problem.accepted:
        return
    after = problem.at(problem.index + 1)
    if token.text == "==":
        report = _report(
            problem, "settings use `=`", token.start, token.end, f"write `{before.text} =`", "="
        )
        yield Repair(problem.text[: token.start] + "= " + problem.text[token.end :], report)
    elif (
        token.text in ("+", ":", "?")
        and after is not None
        and after.text == "="
        and after.start == token.end
    ):
        report = _report(
            problem, "settings use `=`", token.start, after.end, f"write `{before.text} =`", "="
        )
        yield Repair(blank(problem.text, token.start, token.end), report)


def _foreign_operator(problem: Problem) -> Iterator[Repair]:
    """`&&`, `||`, `=>` between values."""
    text, token = problem.text, problem.token
    if token is None:
        return
    for index in (problem.index, problem.index - 1):
        first, second = problem.at(index), problem.at(index + 1)
        if first is None or second is None or first.end != second.start:
            continue
        pair = first.text + second.text
        if pair in ("&&", "||") and ("AND" in problem.accepted or "SCHEMA" not in problem.accepted):
            word = "and" if pair == "&&" else "or"
            # After its first `|` a type continues with a type, an expression with a filter.
            in_type = "AND" not in problem.accepted and "STRING" in problem.accepted
            word = "|" if in_type else word
            repaired = text[: first.start] + ("| " if in_type else "or") + text[second.end :]
            message = f"there is no operator `{pair}`"
            yield Repair(
                repaired,
                _report(problem, message, first.start, second.end, f"write `{word}`", word),
            )
        if pair == "=>" and "ARROW" not in problem.accepted:
            repaired = text[: first.start] + ">=" + text[second.end :]
            message = "there is no operator `=>`"
            yield Repair(
                repaired, _report(problem, message, first.start, second.end, "write `>=`", ">=")
            )


def _comparison(problem: Problem) -> Iterator[Repair]:
    """`assert a = b`: one `=` too few."""
    token = problem.token
    if token is None or token.text != "=" or "AND" not in problem.accepted:
        return
    for item in reversed(problem.tokens[: problem.index]):
        if item.text == "assert":
            break
        if item.text in ("{", "}", "else"):
            return
    if problem.text[token.start - 1].isspace():
        repaired = problem.text[: token.start - 1] + "==" + problem.text[token.end :]
        message = "values are compared with `==`"
        report = _report(problem, message, token.start, token.end, "write `==`", "==")
        yield Repair(repaired, report)


def _quotes_inside(problem: Problem) -> Iterator[Repair]:
    """`"{{ items | map(attribute="x") }}"`: a string that ends inside its own placeholder."""
    text = problem.text
    line = problem.line_start(problem.offset)
    for item in problem.tokens[: problem.index + 1]:
        if item.kind != "string" or item.start < line:
            continue
        inside = max(item.text.rfind("{{"), item.text.rfind("{%"))
        if inside == -1 or re.search(r"[%}]\}", item.text[inside:]):
            continue
        rest = _REST_OF_STRING.match(text, item.end)
        if rest is None:
            return
        end = rest.end()
        inner = text[item.start + 1 : end - 1]
        better = '"' + inner.replace('"', "'") + '"'
        report = diagnostic(
            "ORC001",
            'this `"` ends the string inside a placeholder',
            problem.span(item.end - 1, item.end),
            help=f"write quotes inside a string as `'`: `{short(better)}`",
            fix=None
            if "'" in inner
            else Fix("write `'` inside", (Edit(problem.span(item.start, end), better),)),
        )
        yield Repair(text[: item.start] + better + text[end:], report)
        return


def _block_or_map(problem: Problem) -> Iterator[Repair]:
    """`policy = {` for `policy {`, and `headers {` for `headers = {`."""
    depth = 0
    for k in range(problem.index - 1, 0, -1):
        item = problem.tokens[k]
        depth += (item.text == "}") - (item.text == "{")
        if depth >= 0:
            continue
        depth = 0
        before, name = problem.tokens[k - 1], problem.at(k - 2)
        if before.text == "=" and name is not None and name.text in _BLOCKS:
            message = f"`{name.text}` is a block, not a setting"
            report = diagnostic(
                "ORC001",
                message,
                problem.span(before.start, before.end),
                help=f"write `{name.text} {{ ... }}`",
                fix=Fix("remove the `=`", (Edit(problem.span(before.start, before.end), ""),)),
            )
            yield Repair(blank(problem.text, before.start, before.end), report)
        if before.text in _MAPS and "=" not in problem.text[before.end : item.start]:
            repaired = over_blank(problem.text, item.start, "=")
            if repaired is not None:
                message = f"`=` is missing; did you mean `{before.text} = {{`?"
                span = problem.span(before.end, item.start)
                yield Repair(
                    repaired,
                    diagnostic(
                        "ORC004",
                        message,
                        problem.span(before.start, item.end),
                        help=f"write `{before.text} = {{`",
                        fix=Fix("add the `=`", (Edit(span, " = "),)),
                    ),
                )


def _number_in_pieces(problem: Problem) -> Iterator[Repair]:
    """`600,000`, `$3,00`, `2 KiB`, `60 %`."""
    text = problem.text
    for k in range(max(problem.index - 3, 0), problem.index):
        first, middle = problem.tokens[k], problem.at(k + 1)
        if first.kind != "number" or middle is None or not _same_line(problem, first, middle):
            continue
        last = problem.at(k + 2)
        if middle.text == "," and last is not None and last.kind == "number":
            if first.end == middle.start and middle.end == last.start:
                mark = "_" if re.match(r"\d{3}(?!\d)", last.text) else "."
                better = f"{first.text}{mark}{last.text}"
                report = _report(
                    problem,
                    f"a number has no `,`; write `{better}`",
                    first.start,
                    last.end,
                    None,
                    better,
                )
                yield Repair(text[: first.start] + better + text[last.end :], report)
        elif middle.text in UNITS or middle.text == "%":
            better = first.text + middle.text
            report = _report(
                problem,
                f"a unit is part of its number; write `{better}`",
                first.start,
                middle.end,
                None,
                better,
            )
            yield Repair(
                text[: first.start] + better.ljust(middle.end - first.start) + text[middle.end :],
                report,
            )


def _money(problem: Problem) -> Iterator[Repair]:
    """`€3`, `3$`, `$-3`."""
    text, token = problem.text, problem.token
    before, after = problem.at(problem.index - 1), problem.at(problem.index + 1)
    if token is None:
        return
    if token.text in "€£¥" and after is not None and after.kind == "number":
        message = f"amounts of money are in dollars; write `${after.text}`"
        report = _report(problem, message, token.start, after.end, None, f"${after.text}")
        yield Repair(text[: token.start] + "$" + text[token.end :], report)
    elif token.text in "$€£" and before is not None and before.kind == "number":
        better = f"${before.text}"
        report = _report(
            problem,
            f"the `$` stands first; write `{better}`",
            before.start,
            token.end,
            None,
            better,
        )
        yield Repair(text[: before.start] + better + text[token.end :], report)
    elif token.text == "$" and after is not None and after.text == "-":
        report = _report(
            problem, "an amount of money is not negative", token.start, after.end, None
        )
        yield Repair(text[: token.start] + "-$" + text[after.end :], report)


def _bare_url(problem: Problem) -> Iterator[Repair]:
    """`url = https://...` without quotes."""
    text, token = problem.text, problem.token
    before = problem.at(problem.index - 1)
    if token is None or before is None or token.text != ":" or before.kind != "name":
        return
    match = re.compile(rf"{re.escape(before.text)}://[^\s,\"}}]*").match(text, before.start)
    if match:
        message = "strings need double quotes"
        better = f'"{match[0]}"'
        report = _report(
            problem, message, match.start(), match.end(), f"write `{short(better)}`", better
        )
        yield Repair(
            text[: match.start()] + '""'.ljust(len(match[0])) + text[match.end() :], report
        )


def _triple_quotes(problem: Problem) -> Iterator[Repair]:
    """`'''` for a text block, as in Python."""
    text, token = problem.text, problem.token
    if token is None or not text.startswith("'''", token.start):
        return
    end = text.find("'''", token.start + 3)
    closed = text.find('"""', token.start + 3)
    report = _report(
        problem,
        'text blocks need `"""`',
        token.start,
        token.start + 3,
        'write `"""`',
        '"""',
    )
    opened = text[: token.start] + '"""' + text[token.start + 3 :]
    if end != -1:
        yield Repair(opened[:end] + '"""' + opened[end + 3 :], report)
    if closed != -1:
        yield Repair(opened, report)


def _nothing_to_say(problem: Problem) -> Iterator[Repair]:
    """What a declaration does not have: a secret's value, a verifier's output, `via` here."""
    text, token = problem.text, problem.token
    if token is None or not problem.tokens:
        return
    keyword = problem.tokens[0].text
    if keyword == "secret" and token.text in ("=", ":") and problem.index == 2:
        report = _report(
            problem,
            "a secret has no value in the file; it comes from the environment",
            token.start,
            problem.line_end(token.start),
            "remove the value",
        )
        yield Repair(blank(text, token.start, problem.line_end(token.start)), report)
    if keyword == "verifier" and token.text == "->":
        for item in problem.tokens[problem.index :]:
            if item.text == "via":
                report = _report(
                    problem,
                    "a verifier has no output type: it gives a verdict",
                    token.start,
                    item.start,
                    "remove the `->` and the type",
                    "",
                )
                yield Repair(blank(text, token.start, item.start), report)
                return
    after = problem.at(problem.index + 1)
    if keyword == "orchestrator" and token.text == "via" and after is not None:
        message = "an orchestrator has no `via`: its model plans"
        report = _report(problem, message, token.start, after.end, f"remove `via {after.text}`")
        yield Repair(blank(text, token.start, after.end), report)


def _no_type(problem: Problem) -> Iterator[Repair]:
    """`worker w(query, limit: int)`: an input without a type."""
    token, before = problem.token, problem.at(problem.index - 1)
    if token is None or before is None or before.kind != "name" or token.text not in (",", ")"):
        return
    opener = problem.at(problem.index - 2)
    if "COLON" not in problem.accepted or opener is None or opener.text not in ("(", ","):
        return
    report = _report(
        problem,
        f"`{before.text}` has no type",
        before.start,
        before.end,
        f"write its type: `{before.text}: string`",
    )
    end = token.end if token.text == "," else before.end
    start = opener.start if token.text == ")" and opener.text == "," else before.start
    yield Repair(blank(problem.text, start, end), report)


def _no_value(problem: Problem) -> Iterator[Repair]:
    """A name alone on its line, a `.` or an operator at the end of one."""
    text = problem.text
    last, mark = problem.at(problem.index - 1), problem.at(problem.index - 2)
    if last is None or mark is None or problem.token is None:
        return
    if last.kind == "name" and mark.text == "." and not _same_line(problem, mark, last):
        report = _report(problem, "expected a name after `.`", mark.start, mark.end, None)
        yield Repair(blank(text, mark.start, mark.end), report)
    if last.text == "else" and mark.text in _OPERATORS:
        report = _report(
            problem, f"expected a value after `{mark.text}`", mark.start, mark.end, None
        )
        yield Repair(blank(text, mark.start, mark.end), report)
    if problem.token.text == "}" and "EQUAL" in problem.accepted:
        mark, last = last, problem.token
    line = text[problem.line_start(mark.start) : problem.line_end(mark.start)]
    if (
        problem.token.text in ("=", "{", "}")
        and mark.kind == "name"
        and line.partition("//")[0].strip() == mark.text
        and not _same_line(problem, mark, last)
    ):
        message = f"`{mark.text}` has no value"
        report = _report(
            problem, message, mark.start, mark.end, f"write `{mark.text} = ...`, or remove it"
        )
        yield Repair(blank(text, mark.start, mark.end), report)
