"""Models: implementations of the `ChatModel` port, one scheme a module, found by `registry`.

`litellm` (with `faults` and `strict`) reaches providers, `local` a GGUF file on this machine,
`scripted` and `recorded` replay, `policy` asks a Python function. `info` says what a run knows
of a model before its first call; `limiter` holds calls back. Retries, timeouts of the run,
fallbacks and repairs are the machine's and not here.
"""
