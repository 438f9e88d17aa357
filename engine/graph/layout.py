"""Where the boxes and lines of a drawing go: a small layered layout, left to right.

The steps are those of Sugiyama, Tagawa and Toda (1981). Turn back edges around. Put each node in a
column by the longest path that leads to it, and give a line that passes a column its own place
there. Sort the columns by barycentres so that few lines cross. Then move everything as near to its
neighbours as the order allows (isotonic regression, solved by pooling adjacent violators).

Pure and deterministic. Units are pixels; it knows nothing of SVG.
"""

from __future__ import annotations

from bisect import bisect_right, insort
from collections.abc import Mapping, Sequence
from itertools import pairwise

import msgspec

__all__ = ["Box", "Layout", "Link", "Route", "layout"]

_GAP_X = 56.0
_GAP_Y = 18.0
_MARGIN = 16.0
_LANE = 10.0
_SWEEPS = 12


class Box(msgspec.Struct, frozen=True):
    """A node's size, and the first column it may be in; `last` pushes it behind all others."""

    width: float
    height: float
    first: int = 0
    last: bool = False


class Link(msgspec.Struct, frozen=True):
    """A line to lay; `label_width` is the room its label needs between two columns."""

    source: str
    target: str
    label_width: float = 0.0


class Route(msgspec.Struct, frozen=True):
    """Where a line runs: points from `source` to `target`, entering and leaving horizontally."""

    points: tuple[tuple[float, float], ...]
    label: tuple[float, float]


class Layout(msgspec.Struct, frozen=True):
    """The left upper corner of each box, the route of each link in order, and the whole size."""

    corners: Mapping[str, tuple[float, float]]
    routes: tuple[Route, ...]
    width: float
    height: float


def layout(boxes: Mapping[str, Box], links: Sequence[Link]) -> Layout:
    """Lay out boxes and links. Links of a box with itself are not supported."""
    forward = _turned(boxes, links)
    column = _columns(boxes, forward)
    chains, columns = _chains(boxes, forward, column)
    heights = {name: box.height for name, box in boxes.items()}
    order = _ordered(columns, chains)
    centre = _placed(order, chains, heights)
    return _drawn(boxes, links, forward, order, chains, centre)


def _turned(boxes: Mapping[str, Box], links: Sequence[Link]) -> list[tuple[str, str]]:
    """Each link as a pair that goes forward: back edges of a depth-first walk are turned.

    So are links that leave a `last` box for one that is not.
    """
    pairs = [
        (link.target, link.source)
        if boxes[link.source].last > boxes[link.target].last
        else (link.source, link.target)
        for link in links
    ]
    successors: dict[str, list[str]] = {name: [] for name in boxes}
    for source, target in pairs:
        successors[source].append(target)
    state: dict[str, int] = {}
    back: set[tuple[str, str]] = set()
    for root in boxes:
        if root in state:
            continue
        state[root] = 1
        work = [(root, iter(successors[root]))]
        while work:
            name, rest = work[-1]
            for target in rest:
                if target not in state:
                    state[target] = 1
                    work.append((target, iter(successors[target])))
                    break
                if state[target] == 1:
                    back.add((name, target))
            else:
                state[name] = 2
                work.pop()
    return [(pair[1], pair[0]) if pair in back else pair for pair in pairs]


def _columns(boxes: Mapping[str, Box], pairs: Sequence[tuple[str, str]]) -> dict[str, int]:
    """The column of each box: one behind the last of those that lead to it."""
    outgoing: dict[str, list[str]] = {name: [] for name in boxes}
    missing = dict.fromkeys(boxes, 0)
    for source, target in pairs:
        outgoing[source].append(target)
        missing[target] += 1
    column = {name: box.first for name, box in boxes.items()}

    def settle(last: bool) -> None:
        ready = [name for name in boxes if boxes[name].last == last and not missing[name]]
        for name in ready:  # grows while it is walked
            for target in outgoing[name]:
                column[target] = max(column[target], column[name] + 1)
                missing[target] -= 1
                if not missing[target] and boxes[target].last == last:
                    ready.append(target)

    settle(last=False)
    behind = 1 + max((column[name] for name, box in boxes.items() if not box.last), default=-1)
    for name, box in boxes.items():
        if box.last:
            column[name] = max(column[name], behind)
    settle(last=True)
    return column


def _chains(
    boxes: Mapping[str, Box], pairs: Sequence[tuple[str, str]], column: Mapping[str, int]
) -> tuple[list[list[str]], list[list[str]]]:
    """Each link as a chain with one stop in every column, and the columns with all stops."""
    columns: list[list[str]] = [[] for _ in range(max(column.values(), default=-1) + 1)]
    for name in boxes:
        columns[column[name]].append(name)
    chains: list[list[str]] = []
    for number, (source, target) in enumerate(pairs):
        chain = [source]
        for at in range(column[source] + 1, column[target]):
            stop = f"\0{number}/{at}"
            columns[at].append(stop)
            chain.append(stop)
        chains.append([*chain, target])
    return chains, columns


def _neighbours(
    chains: Sequence[Sequence[str]],
) -> tuple[dict[str, list[str]], dict[str, list[str]]]:
    left: dict[str, list[str]] = {}
    right: dict[str, list[str]] = {}
    for chain in chains:
        for one, other in pairwise(chain):
            right.setdefault(one, []).append(other)
            left.setdefault(other, []).append(one)
    return left, right


def _ordered(columns: list[list[str]], chains: list[list[str]]) -> list[list[str]]:
    left, right = _neighbours(chains)
    best = current = [list(column) for column in columns]
    fewest = _crossings(best, right)
    for sweep in range(_SWEEPS):
        current = [list(column) for column in current]
        ahead = sweep % 2 == 0
        beside = left if ahead else right
        rank = {name: at for column in current for at, name in enumerate(column)}
        for number in range(len(current)) if ahead else range(len(current) - 1, -1, -1):
            column = current[number]
            weight = {
                name: sum(rank[other] for other in beside[name]) / len(beside[name])
                if name in beside
                else rank[name]
                for name in column
            }
            column.sort(key=lambda name: (weight[name], rank[name]))
            rank.update((name, at) for at, name in enumerate(column))
        crossing = _crossings(current, right)
        if crossing < fewest:
            best, fewest = current, crossing
    return best


def _crossings(columns: list[list[str]], right: Mapping[str, list[str]]) -> int:
    total = 0
    for column, following in pairwise(columns):
        rank = {name: at for at, name in enumerate(following)}
        ends = [at for name in column for at in sorted(rank[o] for o in right.get(name, ()))]
        seen: list[int] = []
        for end in ends:
            total += len(seen) - bisect_right(seen, end)
            insort(seen, end)
    return total


def _placed(
    order: list[list[str]], chains: list[list[str]], heights: Mapping[str, float]
) -> dict[str, float]:
    """The vertical centre of every stop."""
    left, right = _neighbours(chains)
    centre: dict[str, float] = {}
    for column in order:
        at = 0.0
        for name in column:
            height = heights.get(name, _LANE)
            centre[name] = at + height / 2
            at += height + _GAP_Y
    for sweep in range(_SWEEPS):
        for column in order if sweep % 2 else reversed(order):
            wanted: list[tuple[float, float]] = []
            for name in column:
                beside = [*left.get(name, ()), *right.get(name, ())]
                mean = sum(centre[o] for o in beside) / len(beside) if beside else centre[name]
                # A straight long line matters more than a box right at its neighbours' middle.
                wanted.append((mean, 1.0 if name in heights else 4.0))
            sizes = [heights.get(name, _LANE) for name in column]
            centre.update(zip(column, _spread(wanted, sizes), strict=True))
    return centre


def _spread(wanted: Sequence[tuple[float, float]], sizes: Sequence[float]) -> list[float]:
    """The places nearest to `wanted` (value, weight) that keep the order and the gaps."""
    offsets = [0.0]
    for one, other in pairwise(sizes):
        offsets.append(offsets[-1] + (one + other) / 2 + _GAP_Y)
    pools: list[tuple[float, float, int]] = []  # mean, weight, how many
    for (value, weight), offset in zip(wanted, offsets, strict=False):
        pools.append((value - offset, weight, 1))
        while len(pools) > 1 and pools[-2][0] > pools[-1][0]:
            mean, heavy, count = pools.pop()
            before, light, many = pools.pop()
            total = heavy + light
            pools.append(((mean * heavy + before * light) / total, total, count + many))
    placed = [mean for mean, _, count in pools for _ in range(count)]
    return [mean + offset for mean, offset in zip(placed, offsets, strict=False)]


def _drawn(
    boxes: Mapping[str, Box],
    links: Sequence[Link],
    pairs: Sequence[tuple[str, str]],
    order: list[list[str]],
    chains: list[list[str]],
    centre: dict[str, float],
) -> Layout:
    column = {name: number for number, names in enumerate(order) for name in names}
    widths = [max((boxes[n].width for n in names if n in boxes), default=0.0) for names in order]
    gaps = [_GAP_X] * len(order)
    for link, (source, _) in zip(links, pairs, strict=True):
        gaps[column[source]] = max(gaps[column[source]], link.label_width + 52)
    lefts = [_MARGIN]
    for width, gap in zip(widths, gaps, strict=True):
        lefts.append(lefts[-1] + width + gap)
    tops = [centre[name] - (boxes[name].height if name in boxes else _LANE) / 2 for name in centre]
    shift = _MARGIN - min(tops, default=0.0)
    middle = {name: y + shift for name, y in centre.items()}
    corners = {
        name: (lefts[column[name]], middle[name] - box.height / 2) for name, box in boxes.items()
    }
    port = _ports(boxes, chains, middle)
    routes = tuple(
        _route(number, link, pair, chain, column, widths, lefts, boxes, middle, port)
        for number, (link, pair, chain) in enumerate(zip(links, pairs, chains, strict=True))
    )
    height = max((middle[n] + boxes[n].height / 2 for n in boxes), default=0.0)
    lanes = max((middle[n] for n in middle), default=0.0)
    right = lefts[-1] - gaps[-1] if order else _MARGIN
    return Layout(corners, routes, right + _MARGIN, max(height, lanes) + _MARGIN)


def _ports(
    boxes: Mapping[str, Box], chains: Sequence[Sequence[str]], middle: Mapping[str, float]
) -> dict[tuple[int, str], float]:
    """For each end of each link, how high it meets its box: spread, in the order they come."""
    port: dict[tuple[int, str], float] = {}
    for side in (0, 1):
        meeting: dict[str, list[tuple[float, int]]] = {}
        for number, chain in enumerate(chains):
            box, beside = (chain[0], chain[1]) if side == 0 else (chain[-1], chain[-2])
            meeting.setdefault(box, []).append((middle[beside], number))
        for name, ends in meeting.items():
            step = min(12.0, (boxes[name].height - 12) / len(ends))
            first = middle[name] - step * (len(ends) - 1) / 2
            for at, (_, number) in enumerate(sorted(ends)):
                port[number, name] = first + step * at
    return port


def _route(
    number: int,
    link: Link,
    pair: tuple[str, str],
    chain: Sequence[str],
    column: Mapping[str, int],
    widths: Sequence[float],
    lefts: Sequence[float],
    boxes: Mapping[str, Box],
    middle: Mapping[str, float],
    port: Mapping[tuple[int, str], float],
) -> Route:
    source, target = pair
    points = [(lefts[column[source]] + boxes[source].width, port[number, source])]
    if boxes[source].width < widths[column[source]]:
        points.append((lefts[column[source]] + widths[column[source]], port[number, source]))
    for stop in chain[1:-1]:
        at = column[stop]
        points.append((lefts[at], middle[stop]))
        points.append((lefts[at] + widths[at], middle[stop]))
    points.append((lefts[column[target]], port[number, target]))
    tail = points[-2] if len(points) < 4 else points[1 if points[0][1] == points[1][1] else 0]
    head = points[points.index(tail) + 1]
    # The point of the curve at 0.6: past the middle, where lines from one box have parted.
    label = (tail[0] + 0.576 * (head[0] - tail[0]), tail[1] + 0.648 * (head[1] - tail[1]))
    if pair != (link.source, link.target):
        points.reverse()
    return Route(tuple(points), label)
