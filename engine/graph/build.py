"""`Program` -> graph: every callable and model, and every relation the file declares.

`collect` is the one place that reads the program; the light maps of `adjacency`, the networkx
graph and all drawings are made from what it returns, so they cannot disagree. Node ids are the
names things have in the program.

Relations, in the direction in which control or data flows:

    dispatch     orchestrator -> worker, or an orchestrator it may call
    return       worker -> orchestrator
    verify       before_dispatch W: orchestrator -> verifier -> W
                 after_dispatch W:  W -> verifier -> orchestrator
                 after_round, before_finish: orchestrator -> verifier -> orchestrator
    precedence   A -> W, for `limit W { after = [A] }`
    fallback     a worker or model -> the one that takes over
    uses         orchestrator, worker or verifier -> its model or server
    step         a plan, or a `repeat` in one -> its steps
    call         a step -> the worker that it calls
    data         a step -> a later one that reads it or waits for it
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from engine.graph.plans import steps_of
from engine.printable import printable
from engine.sema.model import Orchestrator, Program, Worker

if TYPE_CHECKING:
    import networkx

__all__ = [
    "Edge",
    "EdgeKind",
    "Node",
    "NodeKind",
    "WorkflowGraph",
    "adjacency",
    "collect",
    "to_networkx",
]

NodeKind = Literal["orchestrator", "worker", "verifier", "gate", "model", "server", "step"]
EdgeKind = Literal[
    "dispatch", "return", "verify", "precedence", "fallback", "uses", "step", "call", "data"
]


class Node(msgspec.Struct, frozen=True):
    """One thing of the program.

    Attributes:
        name: Its name, which is its id.
        kind: A gate is a verifier that a person answers.
        doc: Its doc comment.
        attributes: What else a reader may want: `via`, `effect`, `trust`, `fails`, `id`,
            `max_rounds`, of a step `does`, ... Plain values only; absent where they do not apply.
        file: The file that declares it.
        line: The 1-based line of the declaration.
    """

    name: str
    kind: NodeKind
    doc: str | None
    attributes: Mapping[str, Any]
    file: str
    line: int


class Edge(msgspec.Struct, frozen=True):
    """One relation.

    Attributes:
        orchestrator: Whose relation it is, where it holds for one orchestrator only.
        point: The hook of a `verify` edge.
        worker: The worker whose dispatch a `verify` edge guards.
        max_dispatches: The limit on a `dispatch` edge, where one is set.
    """

    source: str
    target: str
    kind: EdgeKind
    orchestrator: str | None = None
    point: str | None = None
    worker: str | None = None
    max_dispatches: int | None = None


class WorkflowGraph(msgspec.Struct, frozen=True):
    """Nodes by name and edges, both in the order of the file."""

    nodes: Mapping[str, Node]
    edges: tuple[Edge, ...]

    def part(self, orchestrator: str) -> WorkflowGraph:
        """What one orchestrator can reach, itself and the orchestrators it calls included."""
        owned: dict[str | None, list[Edge]] = {}
        outgoing: dict[str, list[Edge]] = {}
        for edge in self.edges:
            if edge.orchestrator is not None:
                owned.setdefault(edge.orchestrator, []).append(edge)
            else:
                outgoing.setdefault(edge.source, []).append(edge)
        reached: dict[str, None] = {}
        waiting = [orchestrator]
        while waiting:
            name = waiting.pop()
            if name in reached:
                continue
            reached[name] = None
            for edge in owned.get(name, []):
                waiting += (edge.source, edge.target)
            waiting += (edge.target for edge in outgoing.get(name, []))
        return WorkflowGraph(
            {name: node for name, node in self.nodes.items() if name in reached},
            tuple(
                edge
                for edge in self.edges
                if (edge.source if edge.orchestrator is None else edge.orchestrator) in reached
            ),
        )


def collect(program: Program) -> WorkflowGraph:
    """Every node and every relation of a program."""
    nodes = [*_orchestrators(program), *_workers(program), *_verifiers(program)]
    nodes += [*_models(program), *_servers(program), *_steps(program)]
    edges: list[Edge] = []
    for orchestrator in program.orchestrators.values():
        edges += _edges_of(orchestrator)
    for worker in program.workers.values():
        edges += [Edge(worker.name, other, "fallback") for other in worker.fallback]
        edges += _uses(worker.name, worker.settings)
        edges += _plan_edges(worker)
    for verifier in program.verifiers.values():
        edges += _uses(verifier.name, verifier.settings)
    for model in program.models.values():
        edges += [Edge(model.name, other, "fallback") for other in model.fallback]
    return WorkflowGraph({node.name: node for node in nodes}, tuple(dict.fromkeys(edges)))


def adjacency(program: Program) -> dict[str, dict[str, tuple[EdgeKind, ...]]]:
    """For each node its successors, each with the kinds of relation that lead there.

    The same nodes, edges and kinds as `to_networkx`, without the cost of importing it.
    """
    graph = collect(program)
    successors: dict[str, dict[str, tuple[EdgeKind, ...]]] = {name: {} for name in graph.nodes}
    for edge in graph.edges:
        kinds = successors[edge.source].get(edge.target, ())
        if edge.kind not in kinds:
            successors[edge.source][edge.target] = (*kinds, edge.kind)
    return successors


def to_networkx(program: Program) -> networkx.DiGraph:
    """The graph as a `networkx.DiGraph`, for analysis in Python and for other tools.

    Attributes are texts, numbers and bools, and absent where they do not apply, so that networkx
    can write the graph in each of its formats (GraphML, GEXF, GML).

    Of nodes: `kind`, `label`, `doc`, `file`, `line` and those of `Node.attributes`, with `model_id`
    for `id` (which formats keep for themselves) and names joined by commas. Of edges: `kinds`,
    joined by commas, since two nodes may be in several relations, and `relations`, a JSON list
    with an object for each: its `kind`, `orchestrator`, `point`, `worker` and `max_dispatches`
    where they apply.
    """
    # networkx costs 440 ms, and no command but this face needs it.
    import networkx

    graph = collect(program)
    result = networkx.DiGraph(**_plain({"entry": program.entry}))
    for node in graph.nodes.values():
        known = {("model_id" if name == "id" else name): v for name, v in node.attributes.items()}
        own = {"kind": node.kind, "label": node.name, "doc": node.doc}
        place = {"file": node.file, "line": node.line}
        result.add_node(node.name, **_plain({**known, **own, **place}))
    relations: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for edge in graph.edges:
        relations.setdefault((edge.source, edge.target), []).append(edge_attributes(edge))
    for (source, target), found in relations.items():
        kinds = dict.fromkeys(relation["kind"] for relation in found)
        result.add_edge(source, target, kinds=",".join(kinds), relations=json.dumps(found))
    return result


def _plain(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """Attributes as every format can hold them; those that are None are left out."""
    return {name: _scalar(value) for name, value in attributes.items() if value is not None}


def _scalar(value: Any) -> Any:
    if isinstance(value, (tuple, list)):
        value = ",".join(map(str, value))
    if not isinstance(value, str):
        return value
    text = printable(value).encode(errors="replace").decode()
    return text.replace("\ufffe", "\ufffd").replace("\uffff", "\ufffd")  # no XML can hold them


def edge_attributes(edge: Edge) -> dict[str, Any]:
    """The kind of a relation and what else is known of it, without what does not apply."""
    known = {
        "kind": edge.kind,
        "orchestrator": edge.orchestrator,
        "point": edge.point,
        "worker": edge.worker,
        "max_dispatches": edge.max_dispatches,
    }
    return {name: value for name, value in known.items() if value is not None}


def _edges_of(orchestrator: Orchestrator) -> list[Edge]:
    own = orchestrator.name
    edges: list[Edge] = []
    for worker in orchestrator.workers:
        limit = orchestrator.limits.get(worker)
        bound = limit.max_dispatches if limit is not None else None
        edges.append(Edge(own, worker, "dispatch", own, max_dispatches=bound))
        edges.append(Edge(worker, own, "return", own))
    for worker, limit in orchestrator.limits.items():
        edges += [Edge(before, worker, "precedence", own) for before in limit.after]
    for hook in orchestrator.hooks:
        before = hook.worker if hook.point == "after_dispatch" and hook.worker else own
        after = hook.worker if hook.point == "before_dispatch" and hook.worker else own
        for verifier in hook.every_verifier:
            edges.append(Edge(before, verifier, "verify", own, hook.point, hook.worker))
            edges.append(Edge(verifier, after, "verify", own, hook.point, hook.worker))
    edges.append(Edge(own, orchestrator.model, "uses"))
    return edges


def _uses(name: str, settings: Mapping[str, Any]) -> list[Edge]:
    used = (settings.get(setting) for setting in ("model", "server"))
    return [Edge(name, target, "uses") for target in used if isinstance(target, str)]


def _plan_edges(worker: Worker) -> list[Edge]:
    edges: list[Edge] = []
    for step in steps_of(worker):
        edges.append(Edge(step.owner, step.id, "step"))
        if step.worker is not None:
            edges.append(Edge(step.id, step.worker, "call"))
        edges += [Edge(read, step.id, "data") for read in step.reads]
    return edges


def _node(thing: Any, kind: NodeKind, **attributes: Any) -> Node:
    position = thing.span.begin_position
    known = {name: value for name, value in attributes.items() if value not in (None, ())}
    return Node(thing.name, kind, thing.doc, known, thing.span.source.path, position.line)


def _orchestrators(program: Program) -> list[Node]:
    return [
        _node(
            it,
            "orchestrator",
            fails=it.fails,
            max_rounds=it.policy.max_rounds,
            max_per_round=it.policy.max_per_round,
            max_parallel=it.policy.max_parallel,
            max_dispatches=it.policy.max_dispatches,
            entry=it.name == program.entry or None,
        )
        for it in program.orchestrators.values()
    ]


def _workers(program: Program) -> list[Node]:
    return [
        _node(it, "worker", via=it.kind, effect=it.effect, trust=it.trust, fails=it.fails)
        for it in program.workers.values()
    ]


def _steps(program: Program) -> list[Node]:
    found: list[Node] = []
    for worker in program.workers.values():
        for step in steps_of(worker):
            span = step.step.span or worker.span
            path = step.id.partition("/")[2].replace("/", ".")
            most = None if worker.plan is None else worker.plan.most.get(path)
            known = {"does": step.kind, "plan": worker.name, "max_tasks": most}
            attributes = {name: value for name, value in known.items() if value is not None}
            line = span.begin_position.line
            found.append(Node(step.id, "step", None, attributes, span.source.path, line))
    return found


def _verifiers(program: Program) -> list[Node]:
    return [
        _node(it, "gate" if it.facts.done_by == "person" else "verifier", via=it.kind)
        for it in program.verifiers.values()
    ]


def _models(program: Program) -> list[Node]:
    return [_node(it, "model", id=it.id) for it in program.models.values()]


def _servers(program: Program) -> list[Node]:
    return [_node(it, "server", via=it.kind) for it in program.servers.values()]
