"""Types left out, or as other languages write them: `List<T>`, `Optional[T]`, `string(1, 9)`.

Repairs like those of `engine.syntax.common_mistakes`: each is recognised by what is around the
place where the parser stopped, keeps all positions, and tells how the type is written here. What is
inside the brackets is left as it is, for its name may be wrong too.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from engine.diagnostics import Edit, Fix, diagnostic
from engine.syntax.problem import Problem, Repair, blank, short

__all__ = ["type_slips"]

_INSIDE = r"[ \t]*((?:[^\W\d][\w.]*|\"[^\"\n]*\")(?:\[\]|\?)*)[ \t]*"
_GENERIC = re.compile(rf"([^\W\d]\w*)(?:\[{_INSIDE}\]|<{_INSIDE}>)")
_LIST = re.compile(rf"\[{_INSIDE}\]")
_LIMITS = re.compile(r"\([^()\n]*\)")
#: How a type with an argument is written here, by its name in small letters.
_SUFFIXES = {
    "array": "[]",
    "list": "[]",
    "sequence": "[]",
    "set": "[]",
    "vec": "[]",
    "maybe": "?",
    "nullable": "?",
    "option": "?",
    "optional": "?",
}


def type_slips(problem: Problem) -> Iterator[Repair]:
    """The repairs of types that can be recognised at this place."""
    yield from _generic(problem)
    yield from _bracketed(problem)
    yield from _called(problem)
    yield from _param(problem)


def _generic(problem: Problem) -> Iterator[Repair]:
    """`List<string>`, `Optional[Finding]`."""
    for distance in (1, 2):
        item = problem.at(problem.index - distance)
        if item is None or item.text.lower() not in _SUFFIXES:
            continue
        found = _GENERIC.match(problem.text, item.start)
        if found is not None and found.end() > problem.offset:
            better = (found[2] or found[3]) + _SUFFIXES[item.text.lower()]
            yield _written(problem, found.start(), found.end(), better)


def _bracketed(problem: Problem) -> Iterator[Repair]:
    """`[string]` for a list."""
    token, before = problem.token, problem.at(problem.index - 1)
    if token is None or before is None or token.text != "[" or before.text not in (":", "->"):
        return
    found = _LIST.match(problem.text, token.start)
    if found is not None:
        yield _written(problem, found.start(), found.end(), found[1] + "[]")


def _called(problem: Problem) -> Iterator[Repair]:
    """`string(1, 9)` for `string @length(1, 9)`."""
    token, before = problem.token, problem.at(problem.index - 1)
    if token is None or before is None or token.text != "(" or before.text != "string":
        return
    found = _LIMITS.match(problem.text, token.start)
    if found is not None:
        better = f" @length{found[0]}"
        report = diagnostic(
            "ORC001",
            "a type takes no arguments; constraints follow it",
            problem.span(found.start(), found.end()),
            help=f"write `{short(before.text + better)}`",
            fix=Fix(
                "make it a constraint",
                (Edit(problem.span(found.start(), found.end()), better),),
                "unsafe",
            ),
        )
        yield Repair(blank(problem.text, found.start(), found.end()), report)


def _param(problem: Problem) -> Iterator[Repair]:
    """`param depth = "quick"`, where only a default is given."""
    name, token, value = problem.at(1), problem.token, problem.at(3)
    if problem.tokens[0].text != "param" or problem.index != 2 or not (name and token and value):
        return
    number = "float" if "." in value.text else "int"
    kinds = {"string": "string", "text": "string", "number": number}
    kind = "bool" if value.text in ("true", "false") else kinds.get(value.kind)
    room = value.end - name.end
    if token.text != "=" or kind is None or room < len(":int"):
        return
    edit = Edit(problem.span(name.end, name.end), f": {kind}")
    report = diagnostic(
        "ORC001",
        f"param `{name.text}` has no type",
        problem.span(name.start, name.end),
        help=f"write its type: `{name.text}: {kind} = {short(value.text)}`",
        fix=Fix("say its type", (edit,), "unsafe"),
    )
    # Nothing is known of the values it may have.
    typed = ":json" if room >= len(":json") else ":int"
    text = problem.text
    yield Repair(text[: name.end] + typed.ljust(room) + text[value.end :], report)


def _written(problem: Problem, start: int, end: int, better: str) -> Repair:
    """The repair of a type that has the same meaning here in other words."""
    text = problem.text
    report = diagnostic(
        "ORC001",
        f"this type is written `{short(better)}` here",
        problem.span(start, end),
        fix=Fix(f"write `{short(better)}`", (Edit(problem.span(start, end), better),)),
    )
    return Repair(text[:start] + better.ljust(end - start) + text[end:], report)
