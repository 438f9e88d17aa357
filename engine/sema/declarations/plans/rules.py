"""The rules of plans; the areas of their codes are those of `engine.diagnostics.catalogue`.

They are raised in the files of this folder by their code; what they mean is written once, here (see
`engine.diagnostics.rule`).
"""

from __future__ import annotations

from engine.diagnostics.rule import Rule

_SURVEY = """\
worker list_all(q: string) -> string[] via llm { model = fast  prompt = "List {{ q }}" }
"""

NULL_NOT_TAKEN = Rule(
    code="ORC220",
    name="null-not-taken",
    severity="error",
    summary="A value of a plan may be null where null is not valid.",
    why="A step with `when` is null if it is skipped, and an input with `?` if it is left out.",
    bad="""\
worker ask(q: string) -> string via plan {
  max_items = 2
  step first { when = q != ""  call = search(query=q) }
  result = first
}""",
    good="""\
worker ask(q: string) -> string via plan {
  max_items = 2
  step first { when = q != ""  call = search(query=q) }
  result = first if first is not none else "nothing"
}""",
    allowable=False,
)

NOT_A_LIST = Rule(
    code="ORC221",
    name="not-a-list",
    severity="error",
    summary="A step selects from a value that is not a list, or not a map with `entries`.",
    why="`each`, `reduce` and `flatten` need a list; such a step would always fail.",
    bad="""\
worker ask(q: string) -> string[] via plan {
  max_items = 9
  step first { call = search(query=q) }
  step all { each = first  call = search(query=item) }
  result = all
}""",
    good=_SURVEY
    + """\
worker ask(q: string) -> string[] via plan {
  max_items = 9
  step first { call = list_all(q=q) }
  step all { each = first  take = 5  call = search(query=item) }
  result = all
}""",
    allowable=False,
)

NEVER_TRUE = Rule(
    code="ORC222",
    name="never-true",
    severity="error",
    summary="A test of a plan compares values that cannot be compared, so it is never true.",
    why="Tests raise no errors: text is not less than a number, and a list is not equal to one.",
    bad=_SURVEY
    + """\
worker ask(q: string) -> string[] via plan {
  max_items = 9
  step first { call = list_all(q=q) }
  step all { each = first  take = 5  where = first > 3  call = search(query=item) }
  result = all
}""",
    good=_SURVEY
    + """\
worker ask(q: string) -> string[] via plan {
  max_items = 9
  step first { call = list_all(q=q) }
  step all { each = first  take = 5  where = item > "c"  call = search(query=item) }
  result = all
}""",
    allowable=False,
)

OVER_MAX_ITEMS = Rule(
    code="ORC424",
    name="over-max-items",
    severity="error",
    summary="A plan needs more tasks than its `max_items` allows, in every run.",
    why="Every run of it would fail as `over_budget`.",
    bad="""\
worker ask(q: string) -> string via plan {
  max_items = 1
  step first { call = search(query=q) }
  step second { call = search(query=first) }
  result = second
}""",
    good="""\
worker ask(q: string) -> string via plan {
  max_items = 2
  step first { call = search(query=q) }
  step second { call = search(query=first) }
  result = second
}""",
    allowable=False,
)

UNBOUNDED_LIST = Rule(
    code="ORC421",
    name="unbounded-list",
    severity="warning",
    summary="A plan may need more tasks than its `max_items` allows.",
    why="What does not fit fails as a whole, before any of it starts. `take`, or `@items(max: N)` "
    "on the list, says how many there are at most.",
    bad=_SURVEY
    + """\
worker ask(q: string) -> string[] via plan {
  max_items = 9
  step first { call = list_all(q=q) }
  step all { each = first  call = search(query=item) }
  result = all
}""",
    good=_SURVEY
    + """\
worker ask(q: string) -> string[] via plan {
  max_items = 9
  step first { call = list_all(q=q) }
  step all { each = first  take = 8  call = search(query=item) }
  result = all
}""",
    allowable=True,
)

RECURSIVE_PLAN = Rule(
    code="ORC422",
    name="recursive-plan",
    severity="error",
    summary="A plan calls itself, directly or through other plans.",
    why="Plans have no rounds and no depth: nothing would end the calls.",
    bad="""\
worker ask(q: string) -> string via plan {
  max_items = 2
  step again { call = ask(q=q) }
  result = again
}""",
    good="""\
worker ask(q: string) -> string via plan {
  max_items = 2
  step again { call = search(query=q) }
  result = again
}""",
    allowable=False,
)

CONSTANT_UNTIL = Rule(
    code="ORC423",
    name="constant-until",
    severity="error",
    summary="The `until` of a `repeat` reads nothing that a pass changes.",
    why="Its value is the same after every pass, so the passes never end by it, or end at once.",
    bad="""\
worker ask(q: string) -> string via plan {
  max_items = 9
  step best {
    repeat { max = 3  until = q == "enough"  gives = draft }
    step draft { call = search(query=q) }
  }
  result = best
}""",
    good="""\
worker ask(q: string) -> string via plan {
  max_items = 9
  step best {
    repeat { max = 3  until = draft == "enough"  gives = draft }
    step draft { call = search(query=q) }
  }
  result = best
}""",
    allowable=False,
)

REDUCED_EFFECT = Rule(
    code="ORC520",
    name="reduced-effect",
    severity="error",
    summary="A `reduce` calls a worker whose effect is `write` or `once`.",
    why="How often a `reduce` calls its worker follows from the number of values, and a group "
    "that fails is combined again.",
    bad="""\
worker post(parts: string[]) -> string via http {
  url = "https://a.example/" timeout = 5s method = "POST" effect = write json = parts
}
worker ask(q: string[] @items(max: 9)) -> string via plan {
  max_items = 9
  step all { reduce = q  size = 2  call = post(parts=parts) }
  result = all
}""",
    good="""\
worker join(parts: string[]) -> string via llm { model = fast  prompt = "{{ parts }}" }
worker ask(q: string[] @items(max: 9)) -> string via plan {
  max_items = 9
  step all { reduce = q  size = 2  call = join(parts=parts) }
  result = all
}""",
    allowable=False,
)

FORWARD_STEP = Rule(
    code="ORC710",
    name="forward-step",
    severity="error",
    summary="A step reads itself or a later step.",
    why="Steps are written in the order in which their values are known.",
    bad="""\
worker ask(q: string) -> string via plan {
  max_items = 2
  step first { call = search(query=second) }
  step second { call = search(query=q) }
  result = first
}""",
    good="""\
worker ask(q: string) -> string via plan {
  max_items = 2
  step second { call = search(query=q) }
  step first { call = search(query=second) }
  result = first
}""",
    allowable=False,
)

UNUSED_STEP = Rule(
    code="ORC711",
    name="unused-step",
    severity="warning",
    summary="Nothing reads what a step gives, and its worker changes nothing.",
    why="The step costs time and money for nothing.",
    bad="""\
worker ask(q: string) -> string via plan {
  max_items = 2
  step first { call = search(query=q) }
  step second { call = search(query=q) }
  result = first
}""",
    good="""\
worker ask(q: string) -> string via plan {
  max_items = 2
  step first { call = search(query=q) }
  step second { call = search(query=first) }
  result = second
}""",
    allowable=True,
)

UNKNOWN_STEP = Rule(
    code="ORC712",
    name="unknown-step",
    severity="error",
    summary="A plan names a step that does not exist, or one inside a `repeat`.",
    why="Of a `repeat`, only what it gives is seen outside.",
    bad="""\
worker ask(q: string) -> string via plan {
  max_items = 2
  step first { call = search(query=q) }
  step second { after = [frist]  call = search(query=first) }
  result = second
}""",
    good="""\
worker ask(q: string) -> string via plan {
  max_items = 2
  step first { call = search(query=q) }
  step second { after = [first]  call = search(query=first) }
  result = second
}""",
    allowable=False,
)
