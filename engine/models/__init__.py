"""Models: implementations of the `ChatModel` port, one module per scheme, found by `registry`.

`litellm` (with `faults` and `strict`) calls providers, and `local` runs a GGUF file on this
machine. `scripted` and `recorded` replay answers, and `policy` calls a Python function. `info`
collects what a run needs to know about a model before its first call; `limiter` delays calls.
Retries, run timeouts, fallbacks and repairs are not here: the machine handles them.
"""
