"""The graph of a workflow: built from a checked program, laid out and drawn.

What a program's shape may not be (recursion without a bound, workers that wait for each other) is
said by `engine.sema.flow`; a program that has a graph here has passed those rules.
"""

from engine.graph.build import Edge, Node, WorkflowGraph, adjacency, collect, to_networkx

__all__ = ["Edge", "Node", "WorkflowGraph", "adjacency", "collect", "to_networkx"]
