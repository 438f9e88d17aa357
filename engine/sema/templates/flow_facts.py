"""What a template knows at a place: which names there are, and which values are not null.

`Names` is the chain of scopes of a template; `facts` says what a condition proves, so that
`{% if f.quote %}{{ f.quote.text }}{% endif %}` needs no second guard.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from jinja2 import nodes

from engine.sema.types.definitions import ANY, INT, Array, Field, Function, Type

__all__ = ["BUILTINS", "Names", "facts", "path_of"]

#: What every template sees besides its scope.
BUILTINS: dict[str, Type] = {
    "cycler": ANY,
    "dict": ANY,
    "joiner": ANY,
    "namespace": ANY,
    "range": Function("range", (Field("a", INT), Field("b", INT), Field("c", INT)), Array(INT)),
    "self": ANY,
}


class Names:
    """One scope: its own names, those around it, and what is known not to be null.

    Attributes:
        used: The names of the outermost scope that were read, shared by all inner ones.
    """

    def __init__(
        self,
        given: Mapping[str, Type],
        outer: Names | None = None,
        known: frozenset[str] = frozenset(),
    ) -> None:
        self._outer = outer
        self._own: dict[str, Type] = dict(given)
        self._known = known
        self.used: set[str] = set() if outer is None else outer.used

    def inner(self) -> Names:
        """A scope inside this one."""
        return Names({}, self, self._known)

    def narrowed(self, known: Iterable[str]) -> Names:
        """This same scope (assignments reach it) where more is known not to be null."""
        result = Names({}, self._outer, self._known | frozenset(known))
        result._own = self._own
        result.used = self.used
        return result

    def learn(self, known: Iterable[str]) -> None:
        """From here on these paths are not null."""
        self._known |= frozenset(known)

    def is_known(self, path: str | None) -> bool:
        """Whether the value at a path is known not to be null."""
        return path is not None and path in self._known

    def bind(self, name: str, type_: Type) -> None:
        """Give a name a value here; what was known of an older one is forgotten."""
        self._own[name] = type_
        self._known = frozenset(path for path in self._known if path.partition(".")[0] != name)

    def use(self, name: str) -> Type | None:
        """The type of a name, which counts as used; None if it is not defined."""
        scope: Names | None = self
        while scope is not None:
            if name in scope._own:
                if scope._outer is None:
                    self.used.add(name)
                return scope._own[name]
            scope = scope._outer
        return BUILTINS.get(name)

    def peek(self, name: str) -> Type | None:
        """The type of a name, which does not count as used; None if it is not defined."""
        scope: Names | None = self
        while scope is not None:
            if name in scope._own:
                return scope._own[name]
            scope = scope._outer
        return None

    def is_given(self, name: str) -> bool:
        """Whether the caller gave the template that name."""
        scope = self
        while scope._outer is not None:
            scope = scope._outer
        return name in scope._own

    def all(self) -> list[str]:
        """Every name that could be meant here."""
        found: list[str] = []
        scope: Names | None = self
        while scope is not None:
            found.extend(scope._own)
            scope = scope._outer
        return [*found, *BUILTINS]

    def own(self) -> Mapping[str, Type]:
        """The names bound in this scope."""
        return self._own


def path_of(node: nodes.Node) -> str | None:
    """`f.quote` for a name or a chain of attributes, else None."""
    if isinstance(node, nodes.Name):
        return node.name
    if isinstance(node, nodes.Getattr):
        before = path_of(node.node)
        return None if before is None else f"{before}.{node.attr}"
    if (
        isinstance(node, nodes.Getitem)
        and isinstance(node.arg, nodes.Const)
        and isinstance(node.arg.value, str | int)
    ):
        before = path_of(node.node)
        return None if before is None else f"{before}.{node.arg.value}"
    return None


def _prefixes(path: str | None) -> frozenset[str]:
    """A value that is there proves the values it was read from."""
    if path is None:
        return frozenset()
    parts = path.split(".")
    return frozenset(".".join(parts[: end + 1]) for end in range(len(parts)))


def facts(test: nodes.Node, outcome: bool) -> frozenset[str]:
    """The paths that are not null when a condition came out true (or false)."""
    match test:
        case nodes.Not():
            return facts(test.node, not outcome)
        case nodes.And() | nodes.Or():
            left, right = facts(test.left, outcome), facts(test.right, outcome)
            both = isinstance(test, nodes.And) == outcome
            return left | right if both else left & right
        case nodes.Test():
            return _facts_of_test(test, outcome)
        case nodes.Compare(ops=[nodes.Operand() as operand]):
            return _facts_of_comparison(test, operand, outcome)
        case nodes.Filter(name="length" | "count" | "trim" | "string", node=nodes.Node() as inner):
            return facts(inner, outcome) if outcome else frozenset()
    return _prefixes(path_of(test)) if outcome else frozenset()


def _facts_of_test(test: nodes.Test, outcome: bool) -> frozenset[str]:
    path = _prefixes(path_of(test.node))
    if test.name == "none":
        return frozenset() if outcome else path
    if test.name in ("defined", "undefined", "sameas", "eq", "equalto", "ne", "in", "false"):
        return frozenset()
    return path if outcome else frozenset()


def _facts_of_comparison(
    test: nodes.Compare, operand: nodes.Operand, outcome: bool
) -> frozenset[str]:
    left, right = test.expr, operand.expr
    if isinstance(left, nodes.Const):
        left, right = right, left
    if not isinstance(right, nodes.Const):
        return frozenset()
    same = {"eq": True, "ne": False}.get(operand.op)
    if same is None:
        return _prefixes(path_of(left)) if outcome and operand.op != "notin" else frozenset()
    # `x != none`, and `x == "something"`.
    if (same != outcome) if right.value is None else (same == outcome):
        return _prefixes(path_of(left))
    return frozenset()
