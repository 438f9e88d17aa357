"""What the steps of a decision mean, as naively as possible: whole lists, one after the other.

It knows the records of `engine.sema.plans` and nothing of the machine. A step that was stopped on
its way has run some of its items by then, and which is a matter of time: such a step is `loose`,
and its rest is not compared.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

from engine.errors import Failure
from engine.sema.plans.steps import EachStep, ReduceStep, TaskStep
from engine.sema.plans.values import FromItem, FromStep, Index, Parts

Number = tuple[int, ...]
NOTHING = object()


class Fails(Exception):
    """Something that is needed has failed, or is not there."""


class Loose(Exception):
    """It depends on the order of ends."""


class End:
    """How a task, step or item has ended."""

    def __init__(self, status: str, output: Any = None, mode: str = "") -> None:
        self.status = status
        self.output = output
        self.mode = mode
        self.items: dict[Number, End] = {}
        self.item: Any = None
        self.loose = False
        self.each = False

    def view(self, view: str) -> Any:
        if not self.each:
            return self.output
        found = sorted(self.items.items())
        if view == "outputs":
            return [one.output for _, one in found if one.status == "done"]
        if view == "pairs":
            return [
                {"index": text(n), "item": one.item, "output": one.output}
                for n, one in found
                if one.status == "done"
            ]
        return [
            {"index": text(n), "item": one.item, "mode": one.mode}
            for n, one in found
            if one.status == "failed"
        ]


def text(number: Number) -> int | str:
    return number[0] if len(number) == 1 else ".".join(map(str, number))


class Oracle:
    """The ends of all entries of a decision.

    Args:
        specs: Its entries by id.
        outcome: What a worker gives for an input.
        no_null: Inputs that take no null, as `worker.input`.
    """

    def __init__(
        self,
        specs: Mapping[str, Any],
        outcome: Callable[[str, dict[str, Any]], Any],
        no_null: frozenset[str] = frozenset(),
    ) -> None:
        self.specs = specs
        self.outcome = outcome
        self.no_null = no_null
        self.known: dict[str, End] = {}

    def end(self, name: str) -> End:
        if name not in self.known:
            base, _, rest = name.partition("[")
            if rest:
                whole = self.end(base)
                if whole.loose:
                    raise Loose
                if whole.status == "skipped":
                    return whole
                number = tuple(map(int, rest.rstrip("]").split(".")))
                if number not in whole.items or whole.items[number].status == "dropped":
                    raise Fails
                return whole.items[number]
            ended = self.known[name] = self._entry(self.specs[name])
            ended.each = isinstance(self.specs[name], EachStep)
        return self.known[name]

    def value(self, leaf: FromStep) -> Any:
        found = self.end(leaf.name)
        if found.status == "skipped":
            return None
        if found.status == "failed" and leaf.view == "outputs":
            raise Fails
        if found.loose:
            raise Loose
        return found.view(leaf.view)

    # ------------------------------------------------------------ entries

    def _entry(self, spec: Any) -> End:
        for name in spec.after:
            self.end(name.partition("[")[0])
        try:
            if spec.when is not None and not self.holds(spec.when, NOTHING, 0):
                return End("skipped")
            for name, tree in spec.input.items():
                for leaf in leaves_in(tree):
                    needed = f"{spec.worker}.{name}" in self.no_null and tree is leaf
                    if needed and isinstance(leaf, FromStep) and self._is_skipped(leaf):
                        return End("skipped")
            if isinstance(spec, TaskStep):
                return self._call(spec.worker, self.fill(spec.input, NOTHING, 0, None))
            for leaf in leaves_in(spec.input):
                if isinstance(leaf, FromStep) and not self._is_gap(leaf):
                    self.value(leaf)
        except Fails:
            return End("failed", mode="unmet_reference")
        sources = (spec.each if isinstance(spec, EachStep) else spec.reduce).sources
        if all(self.end(source.name).status == "skipped" for source in sources):
            return End("skipped")
        return self._each(spec) if isinstance(spec, EachStep) else self._reduce(spec)

    def _is_skipped(self, leaf: FromStep) -> bool:
        try:
            return self.end(leaf.name).status == "skipped"
        except Fails:
            return False

    def _is_gap(self, leaf: FromStep) -> bool:
        """Whether it names an item that is not there: that is found item by item."""
        try:
            self.end(leaf.name)
        except Fails:
            return True
        return False

    def _call(self, worker: str, input: dict[str, Any]) -> End:
        for name, value in input.items():
            if f"{worker}.{name}" in self.no_null and not isinstance(value, str):
                raise Fails
        value = self.outcome(worker, input)
        if isinstance(value, Failure):
            return End("failed", mode=value.mode)
        return End("done", value)

    def _each(self, spec: EachStep) -> End:
        ended = End("done")
        try:
            entries = self.selected(spec.each)
        except Fails:
            ended.status, ended.mode, ended.loose = "failed", "unmet_reference", True
            return ended
        for number, value in entries:
            try:
                one = self._call(spec.worker, self.fill(spec.input, value, text(number), None))
            except Fails:
                one = End("failed", mode="unmet_reference")
            one.item = value
            ended.items[number] = one
        failed = [one for _, one in sorted(ended.items.items()) if one.status == "failed"]
        most = spec.tolerate
        if most is None:
            most = len(entries)
        elif isinstance(most, float) and most < 1:
            most = most * len(entries) + 1e-9
        if failed and (len(failed) == len(entries) or len(failed) > most):
            ended.status = "failed"
            ended.mode = Counter(one.mode for one in failed).most_common(1)[0][0]
        else:
            ended.output = [
                one.output for _, one in sorted(ended.items.items()) if one.status == "done"
            ]
        return ended

    def _reduce(self, spec: ReduceStep) -> End:
        try:
            values = [value for _, value in self.selected(spec.reduce)]
            if not values:
                return End("done", self.fill(spec.empty, NOTHING, 0, None))
            level = 0
            items: dict[Number, End] = {}
            while len(values) > 1:
                groups = [values[i : i + spec.size] for i in range(0, len(values), spec.size)]
                values = []
                for place, parts in enumerate(groups):
                    if len(parts) == 1:
                        values += parts
                        continue
                    one = self._call(spec.worker, self.fill(spec.input, NOTHING, 0, parts))
                    if one.status == "failed":
                        failed = End("failed", mode=one.mode)
                        failed.loose = True
                        return failed
                    items[level, place] = one
                    values.append(one.output)
                level += 1
        except Fails:
            return End("failed", mode="unmet_reference")
        ended = End("done", values[0])
        ended.items = items
        return ended

    # ------------------------------------------------------------ values

    def selected(self, selection: Any) -> list[tuple[Number, Any]]:
        found: list[tuple[Number, Any]] = []
        for place, source in enumerate(selection.sources):
            head: Number = (place,) if selection.several else ()
            ended = self.end(source.name)
            if ended.status == "skipped":
                continue
            if ended.status == "failed" and source.view == "outputs":
                raise Fails
            if ended.loose:
                raise Loose
            if ended.each and not source.at and not selection.entries:
                numbered = self._numbered(ended, source.view)
            else:
                value = pointed(ended.view(source.view), source.at)
                if selection.entries:
                    if not isinstance(value, dict):
                        raise Fails
                    value = [{"key": key, "value": inner} for key, inner in value.items()]
                if not isinstance(value, list):
                    raise Fails
                numbered = [((place,), inner) for place, inner in enumerate(value)]
            found += [((*head, *number), value) for number, value in numbered]
        if selection.flatten is not None:
            flat = []
            for number, value in found:
                inner = pointed(value, selection.flatten)
                if not isinstance(inner, list):
                    raise Fails
                flat += [((*number, place), one) for place, one in enumerate(inner)]
            found = flat
        if selection.where is not None:
            found = [(n, v) for n, v in found if self.holds(selection.where, v, text(n))]
        if selection.unique_by is not None:
            kept: list[tuple[Number, Any]] = []
            for n, v in found:
                key = or_null(v, selection.unique_by)
                if not any(same(key, or_null(other, selection.unique_by)) for _, other in kept):
                    kept.append((n, v))
            found = kept
        if selection.sort_by is not None:
            found = in_order(found, selection.sort_by, selection.desc)
        return found if selection.take is None else found[: selection.take]

    def _numbered(self, ended: End, view: str) -> list[tuple[Number, Any]]:
        wanted = "failed" if view == "failures" else "done"
        numbers = [n for n, one in sorted(ended.items.items()) if one.status == wanted]
        return list(zip(numbers, ended.view(view), strict=True))

    def fill(self, tree: Any, item: Any, index: Any, parts: Any) -> Any:
        match tree:
            case FromItem():
                found = pointed(item, tree.at)
            case FromStep():
                if self._is_skipped(tree):
                    return None
                found = pointed(self.value(tree), tree.at)
            case Index():
                found = index
            case Parts():
                found = parts
            case dict():
                found = {k: self.fill(v, item, index, parts) for k, v in tree.items()}
            case list():
                found = [self.fill(v, item, index, parts) for v in tree]
            case _:
                found = tree
        if found is NOTHING:
            raise Fails
        return found

    def holds(self, test: Any, item: Any, index: Any) -> bool:
        return any(all(self._one(c, item, index) for c in group) for group in test.any_of)

    def _one(self, condition: Any, item: Any, index: Any) -> bool:
        operator, value = condition.operator, condition.value
        if operator in ("ok", "failed"):
            try:
                status = self.end(value.name).status
            except Fails:
                status = ""
            return status == {"ok": "done", "failed": "failed"}[operator]
        left = self._seen(value, item, index)
        if operator == "empty":
            return left is None or left in ("", [], {})
        right = self._seen(condition.than, item, index)
        if operator in ("==", "!="):
            return same(left, right) == (operator == "==")
        if left is None or right is None:
            return False
        if operator == "in":
            if isinstance(right, list):
                return any(same(left, one) for one in right)
            return isinstance(left, str) and isinstance(right, (str, dict)) and left in right
        numbers = all(
            isinstance(x, (int, float)) and not isinstance(x, bool) for x in (left, right)
        )
        if not numbers and not (isinstance(left, str) and isinstance(right, str)):
            return False
        return bool(
            {"<": left < right, "<=": left <= right, ">": left > right, ">=": left >= right}[
                operator
            ]
        )

    def _seen(self, leaf: Any, item: Any, index: Any) -> Any:
        if isinstance(leaf, FromStep):
            found = pointed(self.value(leaf), leaf.at)
        else:
            found = (
                self.fill(leaf, item, index, None)
                if not isinstance(leaf, FromItem)
                else (pointed(item, leaf.at))
            )
        return None if found is NOTHING else found


def leaves_in(tree: Any) -> list[Any]:
    if isinstance(tree, dict):
        return [leaf for value in tree.values() for leaf in leaves_in(value)]
    if isinstance(tree, list):
        return [leaf for value in tree for leaf in leaves_in(value)]
    return [tree] if isinstance(tree, (FromStep, FromItem, Index, Parts)) else []


def pointed(value: Any, pointer: str) -> Any:
    for token in pointer.split("/")[1:]:
        if isinstance(value, dict) and token in value:
            value = value[token]
        elif isinstance(value, list) and token.isdecimal() and int(token) < len(value):
            value = value[int(token)]
        else:
            return NOTHING
    return value


def or_null(value: Any, pointer: str) -> Any:
    found = pointed(value, pointer)
    return None if found is NOTHING else found


def same(left: Any, right: Any) -> bool:
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(same(left[k], right[k]) for k in left)
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(same, left, right))
    return bool(left == right)


def in_order(found: list[Any], pointer: str, desc: bool) -> list[Any]:
    """Sorted by insertion: an entry goes behind all that may be before it."""
    done: list[Any] = []
    for entry in found:
        place = len(done)
        while place and _before(entry, done[place - 1], pointer, desc):
            place -= 1
        done.insert(place, entry)
    return done


def _before(one: Any, other: Any, pointer: str, desc: bool) -> bool:
    left, right = or_null(one[1], pointer), or_null(other[1], pointer)
    if left is None or right is None:
        return left is not None
    left, right = _kind(left), _kind(right)
    return right < left if desc else left < right


def _kind(value: Any) -> tuple[int, Any]:
    if isinstance(value, bool):
        return 2, value
    if isinstance(value, (int, float)):
        return 0, value
    return (1, value) if isinstance(value, str) else (3, 0)
