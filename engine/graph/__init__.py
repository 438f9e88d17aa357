"""The graph of a workflow: built from a checked program, laid out and drawn.

`engine.sema.flow` reports invalid graphs (recursion without a bound, workers that wait for each
other). A program that has a graph here has passed those rules.
"""

from engine.graph.build import Edge, Node, WorkflowGraph, adjacency, collect, to_networkx

__all__ = ["Edge", "Node", "WorkflowGraph", "adjacency", "collect", "to_networkx"]
