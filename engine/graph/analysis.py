"""Questions about the shape of a workflow, answered on plain maps.

Pure functions over names, shared by the rules of `engine.lint` and by drawings; what a finding
says is theirs. They are checked against networkx by a property test.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

__all__ = ["cycles", "reachable", "strong_components"]

Successors = Mapping[str, Iterable[str]]


def reachable(successors: Successors, start: Iterable[str]) -> set[str]:
    """Every node that can be reached from `start`, the start itself included."""
    found: set[str] = set()
    waiting = list(start)
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting.extend(successors.get(name, ()))
    return found


def strong_components(successors: Successors) -> list[list[str]]:
    """The strongly connected components, each in the order of the map (Tarjan, iterative)."""
    order: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    on_stack: set[str] = set()
    rank = {name: at for at, name in enumerate(successors)}
    components: list[list[str]] = []
    for root in successors:
        if root in order:
            continue
        order[root] = low[root] = len(order)
        stack.append(root)
        on_stack.add(root)
        work = [(root, iter(successors[root]))]
        while work:
            name, rest = work[-1]
            for target in rest:
                if target not in order:
                    order[target] = low[target] = len(order)
                    stack.append(target)
                    on_stack.add(target)
                    work.append((target, iter(successors.get(target, ()))))
                    break
                if target in on_stack:
                    low[name] = min(low[name], order[target])
            else:
                work.pop()
                if work:
                    parent = work[-1][0]
                    low[parent] = min(low[parent], low[name])
                if low[name] == order[name]:
                    component = [stack.pop()]
                    while component[-1] != name:
                        component.append(stack.pop())
                    on_stack.difference_update(component)
                    components.append(sorted(component, key=lambda n: (rank.get(n, len(rank)), n)))
    return components


def cycles(successors: Successors) -> list[list[str]]:
    """One shortest cycle through each knot of the graph: `[a, b]` for a -> b -> a.

    A knot is a strongly connected component of more than one node, or a node that leads to
    itself. Each is named once, from its first node in the order of the map, so that one fault
    gives one finding.
    """
    found: list[list[str]] = []
    for component in strong_components(successors):
        first = component[0]
        if len(component) > 1 or first in set(successors.get(first, ())):
            found.append(_shortest_cycle(successors, first, set(component)))
    rank = {name: at for at, name in enumerate(successors)}
    return sorted(found, key=lambda cycle: rank.get(cycle[0], len(rank)))


def _shortest_cycle(successors: Successors, first: str, inside: set[str]) -> list[str]:
    came_from: dict[str, str] = {}
    layer = [first]
    while layer:
        following: list[str] = []
        for name in layer:
            for target in successors.get(name, ()):
                if target == first:
                    path = [name]
                    while path[-1] != first:
                        path.append(came_from[path[-1]])
                    return path[::-1]
                if target in inside and target not in came_from:
                    came_from[target] = name
                    following.append(target)
        layer = following
    raise AssertionError("a strongly connected component has a cycle through each of its nodes")
