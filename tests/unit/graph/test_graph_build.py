"""Which nodes and relations a program has, and that all its views agree."""

from __future__ import annotations

import json

import networkx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from engine.graph import adjacency, collect, to_networkx
from engine.sema.flow import check_flow
from engine.sema.model import Hook, WorkerLimit


def relations(program, kind):
    return {(edge.source, edge.target) for edge in collect(program).edges if edge.kind == kind}


def test_every_declaration_is_a_node_of_its_kind(flow):
    assert {name: node.kind for name, node in collect(flow).nodes.items()} == {
        "release": "orchestrator",
        "report": "orchestrator",
        "search": "worker",
        "write": "worker",
        "publish": "worker",
        "cited": "verifier",
        "allowed": "gate",
        "sane": "verifier",
        "fast": "model",
        "smart": "model",
    }


def test_nodes_say_what_they_are_and_where(flow):
    nodes = collect(flow).nodes

    assert nodes["search"].doc == "Finds pages."
    assert nodes["search"].attributes["fails"] == ("rate_limited",)
    assert nodes["publish"].attributes["effect"] == "write"
    assert nodes["report"].attributes["max_rounds"] == 5
    assert nodes["report"].attributes["entry"] is True
    assert "entry" not in nodes["release"].attributes
    assert nodes["smart"].attributes["id"] == "anthropic/claude-sonnet-4-5"
    assert (nodes["fast"].line, nodes["fast"].file.endswith("flow.orch")) == (3, True)


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        (
            "dispatch",
            {("report", "search"), ("report", "write"), ("report", "release"),
             ("release", "publish")},
        ),
        (
            "return",
            {("search", "report"), ("write", "report"), ("release", "report"),
             ("publish", "release")},
        ),
        ("precedence", {("search", "write"), ("write", "release")}),
        ("fallback", {("smart", "fast")}),
        (
            "uses",
            {("report", "smart"), ("release", "fast"), ("write", "smart"), ("sane", "fast")},
        ),
        (
            "verify",
            {("release", "allowed"), ("allowed", "publish"),  # before_dispatch
             ("write", "sane"), ("sane", "report"),  # after_dispatch
             ("report", "cited"), ("cited", "report")},  # before_finish
        ),
    ],
)  # fmt: skip
def test_relations(flow, kind, expected):
    assert relations(flow, kind) == expected


def test_relations_carry_limits_and_hooks(flow):
    edges = {(e.source, e.target, e.kind): e for e in collect(flow).edges}

    assert edges["report", "write", "dispatch"].max_dispatches == 3
    guard = edges["allowed", "publish", "verify"]
    assert (guard.point, guard.worker, guard.orchestrator) == (
        "before_dispatch",
        "publish",
        "release",
    )


def test_networkx_keeps_several_relations_of_one_pair(flow):
    graph = to_networkx(flow)

    assert isinstance(graph, networkx.DiGraph)
    assert graph.nodes["allowed"]["kind"] == "gate"
    assert graph.edges["write", "report"]["kinds"] == "return"
    assert graph.edges["write", "release"]["kinds"] == "precedence"
    hooks = (Hook("after_round", None, ("cited",), "warn", flow.workers["search"].span),)
    report = flow.orchestrators["report"]
    both = replace(report, hooks=(*report.hooks, *hooks))
    graph = to_networkx(replace(flow, orchestrators={**flow.orchestrators, "report": both}))
    assert [r["point"] for r in json.loads(graph.edges["report", "cited"]["relations"])] == [
        "before_finish",
        "after_round",
    ]


def test_the_verifiers_of_else_are_in_the_picture_each_once(flow):
    span = flow.workers["search"].span
    chained = Hook("after_round", None, ("cited",), "warn", span, otherwise=("sane", "cited"))
    report = flow.orchestrators["report"]
    both = replace(report, hooks=(chained,))
    graph = collect(replace(flow, orchestrators={**flow.orchestrators, "report": both}))
    asked = [e.target for e in graph.edges if e.kind == "verify" and e.source == "report"]
    assert asked == ["cited", "sane"]


@pytest.mark.parametrize("form", ["graphml", "gexf", "gml"])
def test_networkx_can_write_the_graph_and_read_it_back(flow, form, tmp_path):
    odd = 'a "quote", <b>&amp;</b>\x1b[1m \ufffe \u00e9\n\ttwo'
    report = replace(flow.orchestrators["report"], doc=odd)
    graph = to_networkx(replace(flow, orchestrators={**flow.orchestrators, "report": report}))
    path = tmp_path / f"flow.{form}"
    getattr(networkx, f"write_{form}")(graph, path)
    back = getattr(networkx, f"read_{form}")(path)
    assert set(back.nodes) == set(graph.nodes)
    assert set(back.edges) == set(graph.edges)
    for name, known in graph.nodes(data=True):
        # What the reader of GML takes for the name is not given back as an attribute.
        for key, value in known.items():
            if key != "label":
                assert back.nodes[name][key] == value, (name, key)
    for start, end, known in graph.edges(data=True):
        assert back.edges[start, end]["kinds"] == known["kinds"]
        assert back.edges[start, end]["relations"] == known["relations"]


def test_attributes_are_plain_and_absent_where_they_do_not_apply(flow):
    graph = to_networkx(flow)
    values = [value for _, known in graph.nodes(data=True) for value in known.values()]
    values += [value for *_, known in graph.edges(data=True) for value in known.values()]
    assert {type(value) for value in values} <= {str, int, bool}
    assert "doc" not in graph.nodes["allowed"]


def test_a_part_holds_what_one_orchestrator_can_reach(flow):
    part = collect(flow).part("release")

    assert set(part.nodes) == {"release", "publish", "allowed", "fast"}
    assert {edge.kind for edge in part.edges} == {"dispatch", "return", "verify", "uses"}
    assert collect(flow).part("report") == collect(flow)


@st.composite
def grown(draw, program):
    """The program with random orchestrators over random workers, hooks and precedences."""
    names = [f"w{i}" for i in range(draw(st.integers(1, 5)))]
    callers = [f"o{i}" for i in range(draw(st.integers(1, 4)))]
    workers = {name: replace(program.workers["search"], name=name) for name in names}
    orchestrators = {}
    for caller in callers:
        mine = draw(st.lists(st.sampled_from([*names, *callers]), unique=True, min_size=1))
        of_mine = st.sampled_from(mine)
        limits = draw(
            st.dictionaries(
                of_mine,
                st.builds(WorkerLimit, st.none(), st.lists(of_mine, unique=True).map(tuple)),
            )
        )
        hooks = [
            Hook(point, draw(of_mine) if "dispatch" in point else None, (verifier,), "warn", None)
            for point, verifier in draw(
                st.lists(
                    st.tuples(
                        st.sampled_from(
                            ["before_dispatch", "after_dispatch", "after_round", "before_finish"]
                        ),
                        st.sampled_from(sorted(program.verifiers)),
                    ),
                    max_size=4,
                )
            )
        ]
        orchestrators[caller] = replace(
            program.orchestrators["report"],
            name=caller,
            workers=tuple(mine),
            limits=limits,
            hooks=tuple(hooks),
        )
    return replace(program, workers=workers, orchestrators=orchestrators, entry=None)


@settings(max_examples=60)
@given(st.data())
def test_adjacency_and_networkx_are_the_same_graph(flow, data):
    program = data.draw(grown(flow))
    graph = to_networkx(program)

    light = adjacency(program)
    assert list(light) == list(graph.nodes)
    assert {(s, t): kinds for s, targets in light.items() for t, kinds in targets.items()} == {
        (s, t): tuple(known["kinds"].split(",")) for s, t, known in graph.edges(data=True)
    }
    edges = collect(program).edges
    kept = [json.loads(known["relations"]) for _, _, known in graph.edges(data=True)]
    assert sum(map(len, kept)) == len(edges)


@settings(max_examples=60)
@given(st.data())
def test_the_rules_on_shape_agree_with_networkx(flow, data):
    program = data.draw(grown(flow))
    found = []
    check_flow(program, found.append)
    codes = {item.code for item in found}

    graph = to_networkx(program)
    calls = graph.edge_subgraph(
        (s, t)
        for s, t, known in graph.edges(data=True)
        if "dispatch" in known["kinds"] and graph.nodes[t]["kind"] == "orchestrator"
    )
    assert ("ORC404" in codes) == (not networkx.is_directed_acyclic_graph(calls))
    waits = [
        networkx.DiGraph(
            (s, t)
            for s, t, known in graph.edges(data=True)
            for relation in json.loads(known["relations"])
            if relation["kind"] == "precedence" and relation["orchestrator"] == name
        )
        for name in program.orchestrators
    ]
    assert ("ORC702" in codes) == (not all(map(networkx.is_directed_acyclic_graph, waits)))
