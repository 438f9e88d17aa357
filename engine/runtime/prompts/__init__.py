"""Prompts: what an orchestrator's model, a worker's model and a verifier's model read.

`sentences` holds every word of it, in the order in which a model meets it; read that file to
review the prompts. `blocks` puts the sentences together with what a run holds, and fences what
workers returned. No other module of the runtime writes text for a model (a test looks). Two texts
come from elsewhere, because people read them too: the message of a `Failure`, and what is wrong
with a value by its schema (`engine.sema.types.explain`).
"""
