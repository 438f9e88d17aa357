"""What may be meant where a declaration does not parse: repairs to try, each with its report.

A repair is a changed text of (nearly always) the same length, so that positions stay: what is
removed becomes blanks, what is missing is written over a blank that is there. Which repair is
right is not decided here: `engine.syntax.recovery` keeps the one after which the parser gets
furthest, the earlier of equals, so the more likely ones come first.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from engine.diagnostics import Diagnostic, Edit, Fix, diagnostic
from engine.syntax.common_mistakes import slips
from engine.syntax.expected import expected_words
from engine.syntax.problem import (
    CLOSERS,
    PAIRS,
    Lexeme,
    Problem,
    Repair,
    blank,
    over_blank,
    short,
)

__all__ = ["repairs"]


def repairs(problem: Problem) -> Iterator[Repair]:
    """The repairs worth trying, likelier ones first."""
    yield from slips(problem)
    yield from _missing_else(problem)
    yield from _strings(problem)
    yield from _missing_value(problem)
    yield from _colon_for_equals(problem)
    yield from _dangling_operator(problem)
    yield from _hyphen(problem)
    yield from _missing_operator(problem)
    yield from _commas(problem)
    yield from _brackets(problem)
    yield from _stray(problem)
    yield from _lines(problem)


# ---------------------------------------------------------------- quotes


def _strings(problem: Problem) -> Iterator[Repair]:
    text = problem.text
    open_text = next((t for t in problem.tokens if t.kind == "text" and not t.closed), None)
    if open_text is not None:
        yield from _text_block(problem, open_text)
    token = problem.token
    line = problem.line_start(problem.offset)
    end = problem.line_end(problem.offset)
    for item in problem.tokens:
        if item.kind != "string" or item.closed or not line <= item.start <= end:
            continue
        report = diagnostic(
            "ORC005",
            "this string is never closed",
            problem.span(item.start, item.end),
            help='end it with `"` on the same line, or use a text block in `"""`',
        )
        tail = re.compile(r"[\s)\]},]*\Z").search(text, item.start, item.end)
        stops = [item.end]
        if tail and tail.start() < item.end:
            stops.insert(0, tail.start() + 1 if text[tail.start()].isspace() else tail.start())
        comma = text.find(",", item.start, item.end)
        if comma > 0:
            stops.append(comma)
        # A blank or the line feed gives way to the quote, else the last character does.
        for stop in stops:
            at = stop if stop == item.end and stop < len(text) else stop - 1
            if at > item.start:
                yield Repair(text[:at] + '"' + text[at + 1 :], report)
        if item.end == len(text):
            yield Repair(text + '"', report)
        # Or the quote is the closing one, and the opening one was forgotten.
        for k in range(problem.tokens.index(item), -1, -1):
            before = problem.tokens[k]
            if before.start < line:
                break
            if before.text in ("=", ":", "(", "[", ",", "else"):
                opened = over_blank(text, problem.tokens[k + 1].start, '"')
                if opened is not None and token is not None:
                    lost = diagnostic(
                        "ORC005",
                        "this string is never opened",
                        problem.span(problem.tokens[k + 1].start, item.start + 1),
                        help='strings need `"`',
                    )
                    yield Repair(opened, lost)
                break
        yield Repair(blank(text, item.start, item.end), report)


def _text_block(problem: Problem, opener: Lexeme) -> Iterator[Repair]:
    text = problem.text
    help_text = 'a text block begins and ends with `"""`'
    # The opening quotes before it lost one: `""` at the end of a line.
    broken = None
    for match in re.finditer(r'(?<!")""[ \t]*(?=\r?\n)', text[: opener.start]):
        broken = match
    if broken is not None:
        report = diagnostic(
            "ORC005",
            "this text block is not opened with three quotes",
            problem.span(broken.start(), broken.start() + 2),
            help=help_text,
        )
        at = broken.start()
        yield Repair(text[:at] + '"""' + text[at + 3 :], report)
    report = diagnostic(
        "ORC005",
        'this `"""` text block is never closed',
        problem.span(opener.start, opener.start + 3),
        help=help_text,
    )
    # The closing quotes lost one: `""` alone on a line, or at a line's end.
    for match in re.compile(r'(?<!")""(?=[ \t]*(?:\r?\n|\Z))').finditer(text, opener.start + 3):
        at = match.start()
        closed = text[:at] + '"""' + text[at + 3 :]
        yield Repair(closed, report)
        break
    # No closing quotes at all: the block ends before the first line that looks like a member.
    member = re.compile(r"^[ \t]*(?:\w+[ \t]*=[ \t]|\w+[ \t]+(?:\w+[ \t]+)?\{|\})", re.MULTILINE)
    for match in list(member.finditer(text, opener.start + 3))[:3]:
        empty = (
            text[: opener.start]
            + '""'
            + blank(text, opener.start + 2, match.start())[opener.start + 2 :]
        )
        yield Repair(empty, report)
    rest = blank(text, opener.start + 2, len(text))[opener.start + 2 :]
    yield Repair(text[: opener.start] + '""' + rest, report)


# ---------------------------------------------------------------- `:` and `=`


def _colon_for_equals(problem: Problem) -> Iterator[Repair]:
    text, token = problem.text, problem.token
    name = problem.at(problem.index - 1)
    if token is None or name is None or name.kind not in ("name", "string"):
        return
    following = problem.at(problem.index + 1)
    value = short(text[following.start : problem.line_end(following.start)]) if following else ""
    value = value.rstrip(" ,}")
    if token.text == ":" and name.kind == "name":
        replaced = text[: token.start] + "=" + text[token.end :]
        edit = (name.end, token.end, " =")
        message = f"settings use `=`; write `{name.text} = {value}`"
        report = problem.fixed(
            "ORC003", message, token.start, token.end, f"write `{name.text} =`", edit
        )
        yield Repair(replaced, report)
        if following is not None and following.text == "{":
            report = problem.fixed(
                "ORC001",
                f"a block has no `:`; write `{name.text} {{`",
                token.start,
                token.end,
                "remove the `:`",
                (token.start, token.end, ""),
            )
            yield Repair(blank(text, token.start, token.end), report)
        # `env { A: 1 }`: a map that lost its `=`.
        depth = 0
        for k in range(problem.index - 1, 0, -1):
            item = problem.tokens[k]
            depth += (item.text == "}") - (item.text == "{")
            if depth < 0:
                owner = problem.tokens[k - 1]
                inserted = over_blank(text, item.start, "=")
                if owner.kind == "name" and inserted is not None:
                    yield Repair(inserted, _missing_equals(problem, owner, item))
                break
    elif token.text == "=" and "COLON" in problem.accepted:
        replaced = text[: token.start] + ":" + text[token.end :]
        report = problem.fixed(
            "ORC001",
            f"fields and map entries use `:`; write `{name.text}: {value}`",
            token.start,
            token.end,
            f"write `{name.text}:`",
            (name.end, token.end, ":"),
        )
        yield Repair(replaced, report)


def _missing_equals(problem: Problem, name: Lexeme, value: Lexeme) -> Diagnostic:
    shown = short(problem.text[value.start : problem.line_end(value.start)]).rstrip(" ,}")
    if value.kind in ("number", "name", "string"):
        shown = short(value.text)
    return problem.fixed(
        "ORC004",
        f"`=` is missing; did you mean `{name.text} = {shown}`?",
        name.start,
        value.end if value.kind != "text" else value.start + 3,
        f"write `{name.text} = {shown}`",
        (name.end, value.start, " = "),
    )


def _missing_operator(problem: Problem) -> Iterator[Repair]:
    text, token = problem.text, problem.token
    before = problem.at(problem.index - 1)
    if before is None:
        return
    if token is not None and "COLON" in problem.accepted and "EQUAL" not in problem.accepted:
        inserted = over_blank(text, token.start, ":")
        if inserted is not None and before.kind in ("name", "string"):
            report = problem.fixed(
                "ORC001",
                f"expected `:` between `{short(before.text)}` and its type or value",
                token.start,
                token.end,
                f"write `{before.text}:`",
                (before.end, before.end, ":"),
            )
            yield Repair(inserted, report)
    # A run of names before the place: one of them is a setting, the next its value.
    first = problem.index
    while (item := problem.at(first - 1)) is not None and item.kind == "name":
        first -= 1
    last = problem.index if token is not None else problem.index - 1
    for k in range(max(first, problem.index - 6), last):
        name, value = problem.tokens[k], problem.tokens[k + 1]
        if value.text == "=":
            continue
        inserted = over_blank(text, value.start, "=")
        if inserted is None:
            continue
        if "\n" not in text[name.end : value.start]:
            yield Repair(inserted, _missing_equals(problem, name, value))
        opened = over_blank(text, value.start, "{")
        if opened is not None and value.text not in ("{", "[", "}", ")", "]"):
            report = diagnostic(
                "ORC001", f"expected `{{` after `{name.text}`", problem.span(name.start, name.end)
            )
            yield Repair(opened, report)
    if (
        token is not None
        and "LBRACE" in problem.accepted
        and "STRING" not in problem.accepted
        and before.kind != "name"
    ):
        opened = over_blank(text, token.start, "{")
        if opened is not None:
            yield Repair(opened, problem.plain())


# ---------------------------------------------------------------- values, commas


def _missing_value(problem: Problem) -> Iterator[Repair]:
    """`timeout =` with nothing after it: the next member was read as the value."""
    text = problem.text
    for distance in (1, 2):
        mark = problem.at(problem.index - distance)
        name = problem.at(problem.index - distance - 1)
        if mark is None or name is None or mark.text not in ("=", ":"):
            continue
        if distance == 2 and problem.tokens[problem.index - 1].kind not in ("name", "number"):
            continue
        thing = "a value"
        if distance == 1:
            thing = expected_words(problem.accepted)
        elif mark.text == ":" and problem.tokens[0].text == "schema":
            thing = "a type"
        shown = f"{short(name.text)} =" if mark.text == "=" else f"{short(name.text)}:"
        report = diagnostic(
            "ORC001", f"expected {thing} after `{shown}`", problem.span(name.start, mark.end)
        )
        token = problem.token
        end = mark.end
        if distance == 1 and token is not None and token.text == ",":
            end = token.end
        yield Repair(blank(text, name.start, end), report)
        yield Repair(blank(text, mark.start, mark.end), report)
        if distance == 1:
            if token is None:
                yield Repair(text + ' ""', report)
            else:
                filled = over_blank(text, token.start, "0")
                if filled is not None:
                    yield Repair(filled, report)


def _dangling_operator(problem: Problem) -> Iterator[Repair]:
    """`3 + }`, `int | }`: the operator goes."""
    before = problem.at(problem.index - 1)
    if before is None or not {"STRING", "NAME"} & problem.accepted:
        return
    if before.text in {"|", "+", "-", "*", "/", "~", "%", ".", "@", "<", ">", "and", "or", "is"}:
        yield Repair(blank(problem.text, before.start, before.end), problem.plain())


def _missing_else(problem: Problem) -> Iterator[Repair]:
    """`x if c` without its `else`: the condition goes."""
    if "ELSE" not in problem.accepted or "IF" in problem.accepted:
        return
    for item in reversed(problem.tokens[: problem.index]):
        if item.text == "if":
            report = diagnostic(
                "ORC001",
                "`x if c` needs its `else`",
                problem.span(item.start, problem.tokens[problem.index - 1].end),
                help="say what the value is otherwise: `x if c else null`",
            )
            yield Repair(blank(problem.text, item.start, problem.offset), report)
            return


def _commas(problem: Problem) -> Iterator[Repair]:
    text, token = problem.text, problem.token
    if token is None:
        return
    if token.text == ",":
        report = diagnostic(
            "ORC001", "there is a `,` too many", problem.span(token.start, token.end)
        )
        yield Repair(blank(text, token.start, token.end), report)
    elif "COMMA" in problem.accepted:
        inserted = over_blank(text, token.start, ",")
        before = problem.at(problem.index - 1)
        if inserted is not None and before is not None:
            report = problem.fixed(
                "ORC001",
                f"expected `,` before `{short(token.text)}`",
                token.start,
                token.end,
                "add the `,`",
                (before.end, before.end, ","),
            )
            yield Repair(inserted, report)


# ---------------------------------------------------------------- brackets


def _brackets(problem: Problem) -> Iterator[Repair]:
    text, token = problem.text, problem.token
    stack: list[Lexeme] = []
    closers_at_top: list[Lexeme] = []
    for item in problem.tokens[: problem.index]:
        if item.text in CLOSERS:
            stack.append(item)
        elif item.text in PAIRS and stack and stack[-1].text == PAIRS[item.text]:
            stack.pop()
            if not stack and item.text == "}":
                closers_at_top.append(item)
    if token is None:
        yield from _unclosed(problem, stack)
        return
    if token.text in PAIRS and not (stack and stack[-1].text == PAIRS[token.text]):
        if stack and stack[-1].text != "{":
            closer = CLOSERS[stack[-1].text]
            inserted = over_blank(text, token.start, closer)
            if inserted is not None:
                yield Repair(inserted, _never_closed(problem, stack[-1], problem.index - 1))
        for extra in (token, *reversed(closers_at_top)):
            report = problem.fixed(
                "ORC001",
                f"this `{extra.text}` closes nothing",
                extra.start,
                extra.end,
                f"remove the `{extra.text}`",
                (extra.start, extra.end, ""),
            )
            yield Repair(blank(text, extra.start, extra.end), report)
    elif stack and stack[-1].text != "{" and token.text not in PAIRS:
        # `(a: int -> T` or `[a, b  next = 1`: the bracket was never closed.
        inserted = over_blank(text, token.start, CLOSERS[stack[-1].text])
        if inserted is not None:
            yield Repair(inserted, _never_closed(problem, stack[-1], problem.index - 1))
        if token.text == "=" and problem.index:
            inserted = over_blank(
                text, problem.tokens[problem.index - 1].start, CLOSERS[stack[-1].text]
            )
            if inserted is not None:
                yield Repair(inserted, _never_closed(problem, stack[-1], problem.index - 2))


def _unclosed(problem: Problem, stack: list[Lexeme]) -> Iterator[Repair]:
    """The text ended inside brackets; the indentation tells which `}` was forgotten."""
    if not stack:
        return
    text = problem.text

    def indent(offset: int) -> int:
        start = problem.line_start(offset)
        blanks = re.compile(r"[ \t]*").match(text, start)
        return blanks.end() - start if blanks else 0

    open_now: list[Lexeme] = []
    line = -1
    for item in problem.tokens:
        start = problem.line_start(item.start)
        if start != line:
            line = start
            margin = item.start - start
            top = open_now[-1] if open_now else None
            if (
                top is not None
                and top.text == "{"
                and problem.line_start(top.start) != start
                and (
                    margin < indent(top.start)
                    or (margin == indent(top.start) != 0 and item.text != "}")
                )
            ):
                inserted = over_blank(text, start, "}")
                if inserted is not None:
                    own_line = "\n" + " " * indent(top.start) + "}"
                    before = problem.tokens.index(item) - 1
                    yield Repair(inserted, _never_closed(problem, top, before, own_line))
                break
        if item.text in CLOSERS:
            open_now.append(item)
        elif item.text in PAIRS and open_now:
            open_now.pop()
    closing = [CLOSERS[item.text] for item in reversed(stack)]
    last = len(problem.tokens) - 1
    report = _never_closed(problem, stack[0], last, "\n" + "\n".join(closing))
    yield Repair(f"{text}\n{''.join(closing)}", report)


def _never_closed(problem: Problem, opener: Lexeme, after: int, closing: str = "") -> Diagnostic:
    """The report of a bracket without a partner.

    Args:
        problem: Where the parser stopped.
        opener: The bracket.
        after: The index of the lexeme after which its partner was probably meant to be.
        closing: What to write there on lines of its own; by default the partner, in line.
    """
    at = problem.tokens[after].end
    if closing:
        at = problem.line_end(at)
    start = problem.line_start(opener.start)
    what = problem.text[start : opener.start].strip()
    head = re.match(r"[\w.]+(?:[ \t]+[\w.]+)?", what)
    line = problem.source.position(problem.base + opener.start).line
    if opener.text == "{" and head:
        message = f"`{head[0]}` opened at line {line} is never closed"
    else:
        message = f"this `{opener.text}` is never closed"
    return diagnostic(
        "ORC002",
        message,
        problem.span(opener.start, opener.end),
        help=f"add the missing `{CLOSERS[opener.text]}`",
        fix=Fix(
            f"add the missing `{CLOSERS[opener.text]}`",
            (Edit(problem.span(at, at), closing or CLOSERS[opener.text]),),
            "unsafe",
        ),
    )


# ---------------------------------------------------------------- anything else


def _stray(problem: Problem) -> Iterator[Repair]:
    text, token = problem.text, problem.token
    if token is None or token.kind != "other" or token.text in CLOSERS or token.text in PAIRS:
        return
    if token.text == "'":
        quoted = re.compile(r"'([^'\"\\\n]*)'").match(text, token.start)
        if quoted:
            better = f'"{quoted[1]}"'
            report = problem.fixed(
                "ORC001",
                "strings need double quotes",
                quoted.start(),
                quoted.end(),
                f"write `{short(better)}`",
                (quoted.start(), quoted.end(), better),
            )
            yield Repair(text[: quoted.start()] + better + text[quoted.end() :], report)
    words = {"&": "and", "|": "or", "!": "not"}
    known = token.text in ".,:=|@?~+-*/%<>" or len(token.text) > 1
    if known:
        report = problem.plain()
    else:
        shown = token.text if token.text.isprintable() else f"U+{ord(token.text):04X}"
        report = diagnostic(
            "ORC001",
            f"unexpected character `{shown}`",
            problem.span(token.start, token.end),
            help=f"write `{words[token.text]}`" if token.text in words else None,
        )
    yield Repair(blank(text, token.start, token.end), report)


def _hyphen(problem: Problem) -> Iterator[Repair]:
    """`model my-model`: a name with a hyphen."""
    token, before = problem.token, problem.at(problem.index - 1)
    after = problem.at(problem.index + 1)
    if token is None or token.text != "-" or before is None or after is None:
        return
    if before.kind == after.kind == "name" and before.end == token.start == after.start - 1:
        better = f"{before.text}_{after.text}"
        report = diagnostic(
            "ORC001",
            f"names have no `-`; write `{better}`",
            problem.span(before.start, after.end),
        )
        text = problem.text
        yield Repair(text[: token.start] + "_" + text[token.end :], report)


def _lines(problem: Problem) -> Iterator[Repair]:
    """Drop the line of the fault, or the one before if the fault begins its line."""
    text, token = problem.text, problem.token
    before = problem.at(problem.index - 1)
    head_end = problem.line_end(problem.tokens[0].start) if problem.tokens else 0
    report = problem.plain()
    spots: list[int] = []
    if token is not None:
        starts_line = before is None or problem.line_start(before.start) != problem.line_start(
            token.start
        )
        if starts_line and before is not None:
            spots.append(before.start)
        spots.append(token.start)
    elif before is not None:
        spots.append(before.start)
    for spot in spots:
        start, end = problem.line_start(spot), problem.line_end(spot)
        if start < head_end and len(problem.tokens) > 1 and problem.tokens[0].kind == "name":
            # Without its first line a body would be read as declarations of its own.
            continue
        yield Repair(_keeping_brackets(text, start, end, problem), report)
        yield Repair(blank(text, start, end), report)


def _keeping_brackets(text: str, start: int, end: int, problem: Problem) -> str:
    """Blank a line but for the brackets whose partners are on other lines."""
    open_here: list[Lexeme] = []
    keep: list[Lexeme] = []
    for item in problem.tokens:
        if not start <= item.start < end:
            continue
        if item.text in CLOSERS:
            open_here.append(item)
        elif item.text in PAIRS:
            if open_here and open_here[-1].text == PAIRS[item.text]:
                open_here.pop()
            else:
                keep.append(item)
    # An opening bracket needs what is before it to make sense: `name {`.
    head = re.compile(r"[^\W\d]\w*(?:[ \t]+[^\W\d][\w.]*)?[ \t]*\Z")
    stretches = [(item.start, item.end) for item in keep]
    for item in open_here:
        found = head.search(text, max(start, item.start - 100), item.start)
        stretches.append((found.start() if found else item.start, item.end))
    pieces: list[str] = []
    done = start
    for begin, stop in sorted(stretches):
        pieces += [" " * (begin - done), text[max(begin, done) : stop]]
        done = max(done, stop)
    return "".join([text[:start], *pieces, " " * (end - done), text[end:]])
