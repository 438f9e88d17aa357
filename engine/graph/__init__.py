"""The graph of a workflow: built from a checked program, analysed, laid out and drawn."""

from engine.graph.analysis import cycles, reachable, strong_components
from engine.graph.build import Edge, Node, WorkflowGraph, adjacency, collect, to_networkx

__all__ = [
    "Edge",
    "Node",
    "WorkflowGraph",
    "adjacency",
    "collect",
    "cycles",
    "reachable",
    "strong_components",
    "to_networkx",
]
