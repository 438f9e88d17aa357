"""The language server: what editors ask about `.orch` files, over the Language Server Protocol.

`server` speaks the protocol; each feature is a module with a function from an analysis and a
place to what the protocol wants. `project` keeps what is open, `analysis` what a file means.
Nothing here knows the language by itself: everything is asked of the checker, the linter, the
table of settings and the bounds, so an editor and the command line can never disagree.

The only room that imports pygls and lsprotocol; an extra, `orch-engine[lsp]`.
"""
