"""The language server: support for `.orch` files in editors, over the Language Server Protocol.

`server` implements the protocol. Each feature is a module with a function that takes an analysis
and a position, and returns what the protocol needs. `project` keeps the open files, and `analysis`
what they mean. Nothing here implements the language: the checker, the linter, the table of settings
and the bounds do, so an editor and the command line always agree.

This is the only package that imports pygls and lsprotocol (the extra `orch-engine[lsp]`).
"""
