"""The reference page of a workflow, in Markdown: contracts, bounds, graph.

Everything on it is taken from the checked program, so it cannot say anything else than the
engine does. It is made for people who run a workflow, not for those who write it.
"""

from engine.doc.page import page

__all__ = ["page"]
