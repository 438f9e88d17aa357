"""Which JSON Schemas each provider accepts for structured output, and how to say one so.

`table` holds what each provider documents, with its source, and which dialect a model id speaks.
`measure` counts what limits are about, `problems` checks a schema against a dialect, and `say`
rewrites a contract's schema into one. Nothing here validates a value or makes a request: the
contract stays the authority for what an answer may be.
"""
