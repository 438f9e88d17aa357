"""What can be wrong with a step of a decision, one sentence each: what it is, and what to do.

The same for selections, tests and references in a result. What is wrong with plain tasks is said in
`engine.runtime.prompts.rejections`, which also has the words for places, ids and suggestions.
"""

from __future__ import annotations

from collections.abc import Iterable

from engine.runtime.prompts.rejections import did_you_mean

SELECTION = '{"$from": "a1", "at": "/items"}'
TEST = '[[{"value": {"$item": "/risk"}, "is": "==", "than": "high"}]]'

#: What the value of a key must be.
EXPECTED = {
    "after": "a list of ids of tasks and steps",
    "at": 'a JSON Pointer such as "/items", or ""',
    "desc": "true or false",
    "each": f"a selection such as {SELECTION}",
    "empty": "a JSON value",
    "entries": "true, or left out",
    "failures": "true, or left out",
    "flatten": "true, or the JSON Pointer of the list in each value",
    "$from": "an id, or a list of ids",
    "in_order": "true or false",
    "label": 'a string, or a part of the item such as {"$item": "/name"}',
    "pairs": "true, or left out",
    "parallel": "a whole number of 1 or more",
    "reduce": f"a selection such as {SELECTION}",
    "size": "a whole number of 2 or more",
    "sort_by": 'a JSON Pointer such as "/score"',
    "take": "a whole number of 0 or more",
    "than": (
        "a text, number, true, false, null, a list of these, a reference, "
        '{"$item": "/path"} or {"$literal": ...}'
    ),
    "tolerate": "a whole number of items, or a share below 1",
    "unique_by": 'a JSON Pointer such as "/name"',
    "value": 'a reference such as {"$from": "a1", "at": "/n"}, or {"$item": "/path"}',
    "when": f"a test: a list (any) of lists (all) of conditions, such as {TEST}",
    "where": f"a test: a list (any) of lists (all) of conditions, such as {TEST}",
}

CONDITION_KEYS = "`value`, `is` and `than`"


# ---------------------------------------------------------------- the form of an entry


def wrong_value(where: str, place: str, key: str) -> str:
    """A key whose value has the wrong form."""
    return f"{where}: `{place}` must be {EXPECTED[key]}"


def both_kinds(where: str) -> str:
    """An entry that is two kinds of step at once."""
    return f"{where} has `each` and `reduce`: make two entries, and let one refer to the other"


def key_of_kind(where: str, key: str, kind: str) -> str:
    """A key that belongs to another kind of entry."""
    return f"{where}: `{key}` is allowed only with `{kind}`: add `{kind}`, or leave out `{key}`"


def key_unknown(where: str, place: str, key: str, close: str | None) -> str:
    """A key that there is not; `place` is what it is in, "" for the entry."""
    inside = f": `{place}`" if place else ""
    return f"{where}{inside} has an unknown key `{key}`{did_you_mean(close)}"


def size_missing(where: str) -> str:
    """A `reduce` without `size`."""
    return f"{where} has no `size`: say how many values one call combines, at least 2"


def no_source(where: str, place: str) -> str:
    """A selection without a source."""
    return f"{where}: `{place}` has no `$from`: name the task or step whose values it selects"


def two_views(where: str, place: str) -> str:
    """`pairs` and `failures` together."""
    return f"{where}: `{place}` has `pairs` and `failures`: keep one of them"


def lone_desc(where: str, place: str) -> str:
    """`desc` without what it is about."""
    return f"{where}: `{place}` has `desc` without `sort_by`: add `sort_by`, or leave out `desc`"


def condition_key_missing(where: str, place: str, key: str) -> str:
    """A condition without one of its keys."""
    return f"{where}: the condition at `{place}` has no `{key}`; its keys are {CONDITION_KEYS}"


def condition_key_unknown(where: str, place: str, key: str) -> str:
    """A condition with another key."""
    return (
        f"{where}: the condition at `{place}` has an unknown key `{key}`; its keys are "
        f"{CONDITION_KEYS}"
    )


def operator_unknown(where: str, place: str, operators: Iterable[str]) -> str:
    """A condition that compares in a way that there is not."""
    return f"{where}: `{place}` must be one of {', '.join(f'`{name}`' for name in operators)}"


def needs_no_than(where: str, place: str, operator: str) -> str:
    """`than` where nothing is compared."""
    return f"{where}: `{place}` is not used with `{operator}`: leave it out"


def written(form: str, view: str) -> str:
    """A form of reference as it is written, such as `{"$item": ...}`."""
    return f'{{"{form}": ...}}' if view == "outputs" else f'{{"$from": ..., "{view}": true}}'


def needs_max_items(where: str, what: str) -> str:
    """A step, or a reference as only steps have, in an orchestrator that has none.

    Args:
        what: The key or the reference, as it is written.
    """
    return (
        f"{where}: {what} needs `max_items` in the policy of the orchestrator, and it is not set: "
        "give plain tasks, and write values out"
    )


# ---------------------------------------------------------------- values in the wrong place


def item_outside(where: str, place: str, form: str) -> str:
    """`$item` or `$index` where there is no item."""
    return (
        f'{where}: {place} holds {{"{form}": ...}}, which exists only in an entry with `each`: '
        'add `each`, or refer to an output with {"$from": ...}'
    )


def item_in_when(where: str, place: str, form: str) -> str:
    """`$item` in a test that is made once."""
    return (
        f'{where}: {place} holds {{"{form}": ...}}, but `when` is tested once for the whole step: '
        "test an output, or put the test under `where`"
    )


def item_in_reduce(where: str, place: str, form: str) -> str:
    """`$item` in the input of a reduce."""
    return (
        f'{where}: {place} holds {{"{form}": ...}}, but a call of `reduce` combines many values: '
        'use {"$parts": true}, the list of them'
    )


def parts_outside(where: str, place: str) -> str:
    """`$parts` where nothing is combined."""
    return (
        f'{where}: {place} holds {{"$parts": true}}, which exists only in the input of an entry '
        "with `reduce`: add `reduce`, or refer to an output"
    )


def only_outputs_in_finish(place: str, form: str) -> str:
    """A part of a step in a result."""
    return f'finish{place} holds {{"{form}": ...}}, which has no value there: use {{"$from": ...}}'


# ---------------------------------------------------------------- what the values can be


def no_such_source(place: str, name: str | None, close: str | None) -> str:
    """A reference to what is not there; `name` is None where it is not even an id."""
    if name is None:
        return f"{place} refers to something that is not an id{did_you_mean(close)}"
    return f"{place} refers to `{name}`, which is not a task or step{did_you_mean(close)}"


def no_items(place: str, name: str, base: str) -> str:
    """An item of what has none."""
    return f"{place} refers to `{name}`, but `{base}` is a single task: refer to `{base}`"


def not_a_number(place: str, name: str) -> str:
    """An item by something that is not a number."""
    return f"{place} refers to `{name}`: an item is named by its number, as in `r[3]`"


def refers_to_itself(place: str) -> str:
    """A reference to the step that holds it."""
    return f"{place} refers to the step itself: refer to another one"


def refers_to_failed(place: str, name: str, mode: str) -> str:
    """A reference to what has no output."""
    return (
        f"{place} refers to `{name}`, which failed ({mode}) and has no output: refer to something "
        "else"
    )


def no_view(place: str, name: str, view: str) -> str:
    """A view of what is a single task."""
    return f"{place}: `{name}` has no `{view}`, only an entry with `each` has: leave out `{view}`"


def nothing_at(place: str, what: str, at: str, close: str | None) -> str:
    """A pointer to what cannot be there; `close` is one that was perhaps meant."""
    told = did_you_mean(close) or ": correct the pointer"
    return f"{place}: {what} can have nothing at `{at}`{told}"


def not_a_list(place: str, what: str) -> str:
    """A selection from what is not a list."""
    return f"{place}: {what} is not a list: point at a list with `at`"


def not_a_map(place: str, what: str) -> str:
    """`entries` of what is not a map."""
    return f"{place}: {what} is not an object: leave out `entries`, or correct `at`"


def nothing_to_flatten(place: str, at: str, close: str | None) -> str:
    """`flatten` where there is no list; `close` is a pointer that was perhaps meant."""
    inside = f"have no list at `{at}`" if at else "are not lists"
    told = did_you_mean(close) or ": correct `flatten`, or leave it out"
    return f"{place}: the values {inside}{told}"


def cannot_be_sorted(place: str, at: str) -> str:
    """A sorting by objects or lists."""
    return f"{place}: what is at `{at}` is neither a number nor a text: sort by something else"


def not_comparable(place: str, left: str, operator: str, right: str) -> str:
    """A comparison that can never hold."""
    return (
        f"{place}: `{operator}` cannot compare {left} with {right}: "
        "both must be numbers, or both texts"
    )


def not_searchable(place: str, right: str) -> str:
    """`in` what holds nothing."""
    return f"{place}: `in` cannot look into {right}: `than` must be a list, or a text for a text"


def not_an_end(place: str, operator: str) -> str:
    """`ok` or `failed` of a value."""
    return (
        f"{place}: `{operator}` is about how a task or step ended: "
        'refer to it as a whole, {"$from": "a1"}'
    )


def does_not_fit(place: str, worker: str, what: str) -> str:
    """A value that the worker's contract rules out."""
    return f"{place} of `{worker}` cannot take {what}: pass a value of the right type"


def finish_does_not_fit(place: str, what: str) -> str:
    """A value that the orchestrator's contract rules out."""
    return f"finish{place} cannot be {what}: refer to a value of the right type"


def parts_unused(where: str) -> str:
    """A reduce whose calls do not get what they combine."""
    return f'{where}: its input must hold {{"$parts": true}}, the list of values to combine'


def parts_do_not_fit(place: str, worker: str, what: str) -> str:
    """Values that a reduce cannot combine."""
    return f"{place} of `{worker}` takes a list that cannot hold {what}, which `reduce` puts there"


def reduce_with_effect(where: str, worker: str, effect: str) -> str:
    """A reduce whose calls change something outside."""
    return (
        f"{where}: `{worker}` has the effect `{effect}` and cannot be used with `reduce`: combine "
        "with a worker that only computes or reads"
    )


def too_deep(most: int) -> str:
    """A decision whose values are nested too deep to be searched for references."""
    return f"a decision may be nested {most} levels deep: give less, or refer to an output"


def cycle(names: Iterable[str]) -> str:
    """Entries that wait for each other."""
    listed = ", ".join(f"`{name}`" for name in names)
    return f"{listed} wait for each other: references, `after` and limits must not form a cycle"


# ---------------------------------------------------------------- the wire form

PART_NOT_OBJECT = 'each item of `step` is an object such as {"each": "a1"}'


def part_unknown(key: str, close: str | None) -> str:
    """A part of a step that there is not."""
    return f"`step` has an unknown part `{key}`{did_you_mean(close)}"


def part_twice(key: str) -> str:
    """Two parts that contradict each other."""
    return f"`step` gives `{key}` twice: keep one"


def part_of_nothing(known: Iterable[str]) -> str:
    """A part of JSON text that does not say what it is."""
    return f"a part with `json` needs `of`, one of {', '.join(f'`{name}`' for name in known)}"


def part_not_json(key: str, why: object) -> str:
    """A part whose JSON text cannot be read."""
    return f"the JSON text of `{key}` in `step` cannot be read: {why}"
