"""Writes the reference page of a workflow, in Markdown: contracts, bounds, graph.

Everything on the page comes from the checked program, so it cannot differ from what the engine
does. It is for people who run a workflow, not for its authors.
"""

from engine.doc.page import page

__all__ = ["page"]
