"""What no worker should give back, by name: as a value of Python, and as the bytes of a program.

Both the worker process (`python3 tools.py NAME`) and the shop send the bytes of `raw`.
"""

import sys

SIZE = 50_000_000


def raw(what):
    match what:
        case "words":
            return b"all went well"
        case "half":
            return b'{"a": [1, 2'
        case "huge":
            return b'"' + b"x" * SIZE + b'"'
        case "nul":
            return b'{"a\\u0000b": "c\\u0000d"}'
        case "bare nul":
            return b'"a\x00b"'
        case "surrogate":
            return b'["\\ud800", "\\udfff\\ud800"]'
        case "bytes":
            return b'"\xff\xfe"'
        case "nan":
            return b"[NaN, Infinity]"
        case "deep":
            return b"[" * 100_000 + b"]" * 100_000
        case "number":
            return b"1" * 10_000
        case "nothing":
            return b""
    raise ValueError(what)


def give(what):
    match what:
        case "words":
            return "all went well"
        case "half":
            return object()
        case "huge":
            return "x" * SIZE
        case "nul":
            return {"a\0b": "c\0d"}
        case "bare nul":
            return "a\0b"
        case "surrogate":
            return ["\ud800", "\udfff\ud800"]
        case "bytes":
            return b"\xff\xfe"
        case "nan":
            return [float("nan"), float("inf")]
        case "deep":
            value = []
            for _ in range(100_000):
                value = [value]
            return value
        case "number":
            return 10**10_000
        case "nothing":
            return None
    raise ValueError(what)


def say(state):
    return give(state.input["what"])


if __name__ == "__main__":
    sys.stdout.buffer.write(raw(sys.argv[1]))
