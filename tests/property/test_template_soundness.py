"""What the template check calls clean renders; and no text at all makes it raise."""

from hypothesis import example, given, settings
from hypothesis import strategies as st

from engine.sema.expressions.template import Template
from engine.sema.templates.check_template import check_template_file
from engine.sema.types.contract import Contract
from engine.sema.types.definitions import (
    INT,
    STRING,
    Array,
    Definition,
    Field,
    Named,
    Optional,
    Record,
    Union,
)
from engine.source import SourceFile

LEAF = Record("Leaf", (Field("s", STRING), Field("o", Optional(STRING)), Field("n", INT)))
TREE = Definition("Tree")
TREE.type = Record(
    "Tree",
    (
        Field("s", STRING),
        Field("leaf", LEAF),
        Field("maybe", Optional(LEAF)),
        Field("kids", Array(Named(TREE)), default=[]),
        Field("few", Optional(Array(STRING))),
        Field("either", Union((LEAF, STRING))),
    ),
)
SCOPE = {
    "t": Named(TREE),
    "ts": Array(Named(TREE)),
    "x": Named(TREE),
    "o": Optional(Named(TREE)),
    "s": STRING,
}
INPUTS = Contract.of_fields([Field(name, type_) for name, type_ in SCOPE.items()], "w")

TEXT = st.text("ab<\n{}", max_size=3)
LEAVES = st.fixed_dictionaries(
    {"s": TEXT, "n": st.integers(0, 3)}, optional={"o": st.one_of(st.none(), TEXT)}
)
TREES = st.recursive(
    st.fixed_dictionaries(
        {"s": TEXT, "leaf": LEAVES, "either": st.one_of(LEAVES, TEXT)},
        optional={
            "maybe": st.one_of(st.none(), LEAVES),
            "few": st.one_of(st.none(), st.lists(TEXT, max_size=2)),
        },
    ),
    lambda inner: st.builds(
        lambda tree, kids: {**tree, "kids": kids}, inner, st.lists(inner, max_size=2)
    ),
    max_leaves=3,
)
VALUES = st.fixed_dictionaries(
    {"t": TREES, "x": TREES, "ts": st.lists(TREES, max_size=2), "s": TEXT},
    optional={"o": st.one_of(st.none(), TREES)},
)

PATHS = st.sampled_from(
    [
        "s",
        "t.s",
        "x.s",
        "t.leaf.s",
        "t.leaf.n",
        "x.leaf.o",
        "t.maybe",
        "x.maybe",
        "t.maybe.s",
        "x.maybe.o",
        "o",
        "o.s",
        "o.maybe.s",
        "o.maybe.o",
        "t.kids",
        "x.few",
        "t.either",
        "t.zzz",
        "y.s",
    ]
)
#: Paths that may be null.
OPTIONAL = st.sampled_from(["o", "o.maybe", "x.maybe", "t.maybe", "x.maybe.o", "t.leaf.o"])


@st.composite
def expressions(draw, depth=2):
    path = draw(PATHS)
    if depth == 0:
        return path
    inner = expressions(depth=depth - 1)
    form = draw(st.integers(0, 9))
    if form <= 3:
        return path
    if form == 4:
        return f"({draw(inner)} or {draw(inner)})"
    if form == 5:
        return f"({draw(inner)} if {draw(inner)} else {draw(inner)})"
    if form == 6:
        return f"({draw(inner)} and {draw(inner)})"
    if form == 7:
        test = draw(st.sampled_from(["is none", "is not none", "!= none", "== 'a'", "is string"]))
        return f"({path} {test})"
    if form == 8:
        name = draw(st.sampled_from(["length", "default('a')", "json", "upper", "list"]))
        return f"({path} | {name})"
    return f"(not {draw(inner)})"


@st.composite
def templates(draw, depth=3):
    parts = []
    for _ in range(draw(st.integers(1, 3))):
        form = draw(st.integers(0, 9)) if depth else 0
        if form <= 1:
            parts.append("{{ " + draw(expressions()) + " | json }}")
        elif form == 2:
            parts.append("{{ " + draw(expressions(depth=1)) + " }}")
        elif form == 3:
            test, then = draw(expressions()), draw(templates(depth=depth - 1))
            other = draw(templates(depth=depth - 1))
            parts.append("{% if " + test + " %}" + then + "{% else %}" + other + "{% endif %}")
        elif form == 4:
            name = draw(st.sampled_from(["x", "y"]))
            items = draw(st.sampled_from(["ts", "t.kids", "o.kids", "x.kids", "t.few or []"]))
            test = draw(st.sampled_from(["", "", f" if {name}.maybe", f" if {name}"]))
            body = draw(templates(depth=depth - 1))
            parts.append(f"{{% for {name} in {items}{test} %}}{body}{{% endfor %}}")
        elif form >= 6:
            # A guard, and what it ought to allow (or ought not).
            path = draw(OPTIONAL)
            test = draw(st.sampled_from(["", "not ", "t.s and ", "t.s or "])) + path
            test += draw(st.sampled_from(["", "", " is none", " is not none", " != none"]))
            used = "{{ " + path + draw(st.sampled_from([".s | json", " | json", ""])) + " }}"
            first, then = draw(st.permutations([used, draw(templates(depth=depth - 1))]))
            parts.append("{% if " + test + " %}" + first + "{% else %}" + then + "{% endif %}")
        else:
            name, value = draw(st.sampled_from(["x", "y"])), draw(expressions(depth=1))
            parts.append(f"{{% set {name} = {value} %}}")
    return "".join(parts)


def findings(text):
    found = []
    check_template_file(SourceFile("t.j2", text), SCOPE, report=found.append)
    return found


@settings(max_examples=250, deadline=None)
@given(templates(), VALUES)
def test_a_clean_template_renders(text, value):
    assert INPUTS.is_valid(value)
    if not findings(text):
        Template(text).render(INPUTS.with_defaults(value))


PIECES = st.sampled_from(
    [
        "{{",
        "}}",
        "{%",
        "%}",
        "{#",
        "#}",
        "{%-",
        "-%}",
        "{{-",
        "-}}",
        "if",
        "else",
        "elif",
        "endif",
        "for",
        "in",
        "endfor",
        "set",
        "macro",
        "endmacro",
        "block",
        "endblock",
        "include",
        "import",
        "from",
        "as",
        "with",
        "endwith",
        "raw",
        "endraw",
        "filter",
        "call",
        "is",
        "not",
        "none",
        "t.s",
        "t.leaf.n",
        "ts",
        "s",
        ".",
        "|",
        "[",
        "]",
        "(",
        ")",
        ",",
        ":",
        "=",
        "==",
        "+",
        "-",
        "*",
        "/",
        "~",
        "'a'",
        '"',
        "'",
        "1",
        "1.5",
        "\n",
        "\r\n",
        "\t",
        "é",
        "😀",
        "\x00",
        "x",
        "y",
        "loop",
    ]
)


@settings(max_examples=300, deadline=None)
@given(st.lists(PIECES, max_size=25).map(" ".join))
@example("{% for x in ts %}{% endfor %}{% set x.y = 1 %}")
@example("{% set a, b = t %}{{ a }}{{ b }}")
@example("{% for a, b in s %}{% endfor %}")
@example("{{ t[None] }}{{ t[1:2:3] }}{{ ts[-1].s }}{{ (1, 2)[5] }}")
@example("{{ [] | map | list }}{{ [] | groupby | list }}{{ x() | y }}")
@example("{% call(x) y() %}{% endcall %}{% filter nope %}{% endfilter %}")
def test_no_text_makes_the_check_raise(text):
    for found in findings(text):
        assert 0 <= found.span.start <= found.span.end <= len(text)
