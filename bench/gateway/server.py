"""A server on loopback that answers in OpenAI's protocol at once, whole or in 22 pieces.

Prints its port and serves until its standard input is closed. Under `/decision` the text is a
decision of orch that finishes, elsewhere it is an object with the one key `a`.
"""

from __future__ import annotations

import asyncio
import json
import sys

PIECES = 22
_OUTPUT = json.dumps({"a": "x" * 200})
_DECISION = json.dumps({"assessment": "known", "finish": {"a": "x" * 200}})
_USAGE = {"prompt_tokens": 100, "completion_tokens": 50, "total_tokens": 150}


def _whole(text: str) -> bytes:
    choice = {"message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
    head = {"id": "1", "object": "chat.completion", "created": 1, "model": "fake"}
    body = json.dumps({**head, "choices": [{"index": 0, **choice}], "usage": _USAGE}).encode()
    start = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: "
    return f"{start}{len(body)}\r\n\r\n".encode() + body


def _streamed(text: str) -> bytes:
    size = -(-len(text) // (PIECES - 2))
    deltas: list[dict[str, object]] = [
        {"content": text[i : i + size]} for i in range(0, len(text), size)
    ]
    deltas[0]["role"] = "assistant"
    head = {"id": "1", "object": "chat.completion.chunk", "created": 1, "model": "fake"}
    chunks = [{**head, "choices": [{"index": 0, "delta": delta}]} for delta in deltas]
    end = {"index": 0, "delta": {}, "finish_reason": "stop"}
    chunks.append({**head, "choices": [end]})
    chunks.append({**head, "choices": [], "usage": _USAGE})
    events = [b"data: " + json.dumps(chunk).encode() + b"\n\n" for chunk in chunks]
    events.append(b"data: [DONE]\n\n")
    start = (
        b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
    )
    parts = [f"{len(event):x}\r\n".encode() + event + b"\r\n" for event in events]
    return start + b"".join(parts) + b"0\r\n\r\n"


_ANSWERS = {
    (decision, stream): (_streamed if stream else _whole)(_DECISION if decision else _OUTPUT)
    for decision in (False, True)
    for stream in (False, True)
}


async def _serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            first, *lines = head.split(b"\r\n")
            size = next(int(x[15:]) for x in lines if x.lower().startswith(b"content-length:"))
            body = json.loads(await reader.readexactly(size))
            writer.write(_ANSWERS[b"/decision" in first, bool(body.get("stream"))])
            await writer.drain()
    except (OSError, asyncio.IncompleteReadError):
        writer.close()


async def _main() -> None:
    server = await asyncio.start_server(_serve, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    server.close()


if __name__ == "__main__":
    asyncio.run(_main())
