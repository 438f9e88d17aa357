"""What an orchestrator reads about steps, where its policy has `max_items`: one section, two forms.

The contract's form is for models without structured output, the wire form for the others. Both say
the same: what a step is, how values are selected and tested, what a step gives. Without `max_items`
nothing of this is in a prompt.
"""

from __future__ import annotations

from engine.runtime.wire_schema import WireDecision

__all__ = ["EMPTY_STEP", "how_to_step", "limit", "wire_finish", "wire_steps", "wire_values"]

#: What a plain task begins with in the wire form.
EMPTY_STEP = '"step": [], '

_EACH = (
    '{"id": "all", "worker": "review", "each": {"$from": "s", "at": "/files", "where": '
    '[[{"value": {"$item": "/commits"}, "is": ">", "than": 3}]], "sort_by": "/commits", '
    '"desc": true, "take": 20}, "input": {"path": {"$item": "/path"}}}'
)
_REDUCE = (
    '{"id": "m", "worker": "merge", "reduce": {"$from": "all"}, "size": 20, "input": '
    '{"parts": {"$parts": true}}}'
)
_HEAD = """\
# Steps
One entry of `tasks` can become many tasks. Give a step instead of many tasks that are alike. You \
need not see a list to use it."""

_VIEWS = """\
of a step, {index, item, output} of each item that is done, or {index, item, mode, message} of \
each that failed"""

_TESTS = """\
`is` is one of == != < <= > >= in empty ok failed. The last two test how a task or step ended. \
What is not there is null."""

_CONTRACT = f"""\
{_HEAD}
{_EACH}
gives one task for each value that `each` selects, here the 20 files with the most commits. In \
`input` and `label`, {{"$item": "/path"}} is the part of the value at that JSON Pointer, \
{{"$item": ""}} all of it, and {{"$index": true}} its number.
A selection is {{"$from": id or list of ids, "at": pointer to the list}}, with any of these, \
applied in this order:
- "pairs": true or "failures": true: {_VIEWS};
- "entries": true: {{key, value}} of an object;
- "flatten": pointer to a list in each value;
- "where": TEST;
- "unique_by": pointer; "sort_by": pointer, with "desc": true; "take": number.
TEST is a list (any) of lists (all) of conditions {{"value": ..., "is": ..., "than": ...}}. \
`value` is {{"$item": pointer}} or a reference. {_TESTS} `empty`, `ok` and `failed` take no \
`than`.
An `each` may have "label": {{"$item": "/path"}}, "parallel": 4, "in_order": true, "tolerate": \
0.1 (the share or number of items that may fail; by default all but one).
{_REDUCE}
combines values, at most `size` in a call, until one is left. "empty": VALUE is its output if \
there are none.
Any entry may have "when": TEST (it is skipped if the test does not hold) and "after": [ids] (it \
waits for their end).
The output of an `each` is the list of the outputs that are done. {{"$from": "all[3]"}} is that \
of item 3. A reference may have "pairs": true or "failures": true. `finish` may hold references \
too: {{"$from": "m"}}."""

_WIRE_EACH = (
    '{"step": [{"each": "s"}, {"at": "/files"}, {"where": "/commits", "is": ">", "than": 3}, '
    '{"sort_by": "/commits", "desc": true}, {"take": 20}], "worker": "review", "id": "all", '
    '"input": [{"item": "/path", "name": "path"}]}'
)
_WIRE_REDUCE = (
    '{"step": [{"reduce": "all"}, {"size": 20}], "worker": "merge", "id": "m", "input": '
    '[{"parts": true, "name": "parts"}]}'
)

#: A condition that no part can say.
_OTHER = (
    r'{"json": "{\"value\": {\"$item\": \"/risk\"}, \"is\": \"in\", \"than\": [\"a\", \"b\"]}", '
    '"of": "where"}'
)

_WIRE = f"""\
{_HEAD} `step` is empty for a plain task.
{_WIRE_EACH}
gives one task for each value that is selected, here the 20 files with the most commits. In \
`input`, "item" is the part of the value at that JSON Pointer, "" all of it; {{"index": true, \
"name": ...}} is its number.
These parts select, in this order:
- {{"each": id}}, again for each further source;
- {{"at": pointer to the list}};
- {{"as": "pairs"}} or {{"as": "failures"}}: {_VIEWS};
- {{"as": "entries"}}: {{key, value}} of an object;
- {{"flatten": pointer to a list in each value}};
- conditions;
- {{"unique_by": pointer}}; {{"sort_by": pointer, "desc": true}}; {{"take": number}}.
Conditions: {{"where": pointer into the value, "is": ..., "than": ...}}, {{"where_empty": \
pointer}}. All of them must hold; {{"or": "where"}} between them begins an alternative. `is` is \
one of == != < <= > >= in. What is not there is null. Any other condition is JSON text: \
{_OTHER}.
Options: {{"label": pointer}}, {{"parallel": 4}}, {{"in_order": true}}, {{"tolerate": 0.1}} (the \
share or number of items that may fail; by default all but one).
{_WIRE_REDUCE}
combines values, at most `size` in a call, until one is left. {{"json": "...", "of": "empty"}} is \
its output if there are none.
Any entry may have {{"when": id, "at": pointer, "is": ..., "than": ...}}, {{"when_ended": id, \
"is": "ok" or "failed"}} or {{"when_empty": id, "at": pointer}} (it is skipped if that does not \
hold), and {{"after": id}} (it waits for its end).
The output of an `each` is the list of the outputs that are done. {{"from": "all[3]", ...}} is \
that of item 3; {{"pairs": "all", "at": "", "name": ...}} and {{"failures": ...}} are the views."""


def how_to_step() -> str:
    """The section on steps in the contract's form."""
    return _CONTRACT


def wire_steps() -> str:
    """The section on steps in the wire form."""
    return _WIRE


def limit(max_items: int) -> str:
    """How many tasks the steps of a decision become, for the line of limits."""
    return f"steps that become at most {max_items} tasks in a decision"


def wire_values() -> str:
    """How references inside a value are written in the wire form."""
    return (
        '{"json": "[{\\"$item\\": \\"/path\\"}, {\\"$from\\": \\"a1\\"}]", "name": "query"}, a '
        "value written as JSON text, where parts of it are references."
    )


def wire_finish(form: WireDecision) -> str:
    """How a result is written in the wire form, whole or by its fields."""
    lines = []
    if form.finish_as_json:
        lines.append('Write the whole result as JSON text: {"json": "...", "name": ""}.')
    elif form.wrapped:
        lines.append('Write the whole result as {"result": ...}.')
    lines.append(
        'The result may be an output: {"from": "m", "at": "", "name": ""}. Or give its fields one '
        'by one, as in `input`: [{"name": "summary", "value": "..."}, {"from": "all", "at": "", '
        '"name": "reviews"}].'
    )
    return "\n".join(lines)
