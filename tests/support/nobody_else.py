"""A process that asks models of many providers, all at loopback, and writes down whom else it asks.

Run as a program of its own, because what it is about happens at an import and once a process. It
prints one JSON object: `asked`, the hosts that were resolved or connected to besides loopback;
`files`, whether a `.env` file was looked for; `requests`, the paths the server was sent, and
`results`, what became of each call, by provider.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

ASKED: list[str] = []
FILES: list[str] = []
REQUESTS: list[str] = []
LOOPBACK = ("127.0.0.1", "::1", "localhost")

#: Keys and regions that a person would have set; everything else is taken out.
SET = {
    "OPENAI_API_KEY": "sk-no-such-key-0123456789",
    "ANTHROPIC_API_KEY": "sk-ant-no-such-key-0123456789",
    "AZURE_API_KEY": "0123456789abcdef",
    "AZURE_API_VERSION": "2024-10-21",
    "AZURE_AI_API_KEY": "0123456789abcdef",
    "GEMINI_API_KEY": "no-such-key-0123456789",
    "MISTRAL_API_KEY": "no-such-key-0123456789",
    "GROQ_API_KEY": "gsk_no-such-key-0123456789",
    "TOGETHERAI_API_KEY": "no-such-key-0123456789",
    "HF_TOKEN": "hf_no-such-key-0123456789",
    "AWS_REGION": "us-east-1",
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    "CLOUDSDK_CONFIG": os.devnull,
    "VERTEXAI_PROJECT": "project",
    "VERTEXAI_LOCATION": "us-central1",
}
AWS = {"aws_access_key_id": "AKIAIOSFODNN7EXAMPLE", "aws_secret_access_key": "no/such/key"}
GOOGLE = {"vertex_credentials": '{"type": "authorized_user"}'}

#: Who is asked: the model, and its options besides `api_base`.
MODELS: dict[str, tuple[str, dict[str, Any]]] = {
    "openai": ("openai/gpt-5-mini", {}),
    "anthropic": ("anthropic/claude-sonnet-4-5", {}),
    "bedrock": ("bedrock/anthropic.claude-sonnet-4-5-20250929-v1:0", AWS),
    "bedrock without credentials": ("bedrock/anthropic.claude-sonnet-4-5-20250929-v1:0", {}),
    "bedrock llama": ("bedrock/invoke/meta.llama3-70b-instruct-v1:0", AWS),
    "vertex": ("vertex_ai/gemini-2.5-pro", GOOGLE),
    "vertex claude": ("vertex_ai/claude-sonnet-4-5", GOOGLE),
    "vertex without credentials": ("vertex_ai/gemini-2.5-pro", {}),
    "azure": ("azure/gpt-5-mini", {}),
    "azure claude": ("azure_ai/claude-sonnet-4-5", {}),
    "gemini": ("gemini/gemini-2.5-flash", {}),
    "mistral": ("mistral/mistral-large-latest", {}),
    "ollama": ("ollama/llama3", {}),
    "ollama chat": ("ollama_chat/llama3", {}),
    "groq": ("groq/llama-3.3-70b-versatile", {}),
    "together": ("together_ai/meta-llama/Llama-3.3-70B-Instruct-Turbo", {}),
    "huggingface": ("huggingface/together/deepseek-ai/DeepSeek-R1", {}),
}
#: Models that LiteLLM gives no schema, or asks in a way of its own where there is one.
PLAIN = {"bedrock llama", "groq"}
SCHEMA = {
    "type": "object",
    "properties": {"a": {"type": "string"}},
    "required": ["a"],
    "additionalProperties": False,
}
TEXT = '{"a": "x"}'


def watch(event: str, args: tuple[Any, ...]) -> None:
    """Note whom the process turns to; an audit hook, so nothing in Python goes past it."""
    if event in ("socket.getaddrinfo", "socket.gethostbyname", "socket.gethostbyname_ex"):
        host = args[0].decode() if isinstance(args[0], bytes) else args[0]
    elif event in ("socket.connect", "socket.sendto") and isinstance(args[1], tuple):
        host = args[1][0]
    else:
        return
    if host not in LOOPBACK:
        ASKED.append(str(host))


def _openai(stream: bool) -> bytes:
    """An answer without usage: LiteLLM counts the tokens itself then."""
    kind = "delta" if stream else "message"
    choice = {"index": 0, kind: {"role": "assistant", "content": TEXT}, "finish_reason": "stop"}
    name = "chat.completion.chunk" if stream else "chat.completion"
    body = {"id": "1", "object": name, "created": 1, "model": "m", "choices": [choice]}
    body["service_tier"] = "default"  # without it LiteLLM cannot read Groq's
    said = json.dumps(body)
    return f"data: {said}\n\ndata: [DONE]\n\n".encode() if stream else said.encode()


def _anthropic(stream: bool) -> bytes:
    usage = {"input_tokens": 5, "output_tokens": 3}
    message = {"id": "1", "type": "message", "role": "assistant", "model": "m", "usage": usage}
    text = {"type": "text", "text": TEXT}
    if not stream:
        return json.dumps({**message, "content": [text], "stop_reason": "end_turn"}).encode()
    events: list[dict[str, Any]] = [
        {"type": "message_start", "message": {**message, "content": []}},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        {
            "type": "content_block_delta",
            "index": 0,
            "delta": {"type": "text_delta", "text": TEXT},
        },
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": usage},
        {"type": "message_stop"},
    ]
    return "".join(f"event: {e['type']}\ndata: {json.dumps(e)}\n\n" for e in events).encode()


def _gemini(stream: bool) -> bytes:
    usage = {"promptTokenCount": 5, "candidatesTokenCount": 3, "totalTokenCount": 8}

    def part(text: str, **more: str) -> str:
        content = {"content": {"role": "model", "parts": [{"text": text}]}, **more}
        return json.dumps({"candidates": [content], "usageMetadata": usage})

    if not stream:
        return part(TEXT, finishReason="STOP").encode()
    return f"data: {part(TEXT)}\n\ndata: {part('', finishReason='STOP')}\n\n".encode()


def _ollama(path: str, stream: bool) -> bytes:
    def told(text: str) -> dict[str, Any]:
        return {"response": text} if "generate" in path else {"message": {"content": text}}

    common = {"model": "m", "created_at": "2026-01-01T00:00:00Z"}
    last = {**common, "done": True, "done_reason": "stop", **told("" if stream else TEXT)}
    lines = [{**common, "done": False, **told(TEXT)}, last] if stream else [last]
    return "".join(json.dumps(line) + "\n" for line in lines).encode()


def _answer(path: str, stream: bool) -> tuple[int, bytes]:
    if path.endswith("/messages"):
        return 200, _anthropic(stream)
    if "enerateContent" in path:
        return 200, _gemini("streamGenerateContent" in path)
    if "/api/" in path:
        return 200, _ollama(path, stream)
    if path.endswith("/converse"):
        content = {"message": {"role": "assistant", "content": [{"text": TEXT}]}}
        usage = {"inputTokens": 5, "outputTokens": 3, "totalTokens": 8}
        said = {"output": content, "stopReason": "end_turn", "usage": usage}
        return 200, json.dumps(said).encode()
    if "/chat/completions" in path:
        return 200, _openai(stream)
    return 500, b'{"error": {"message": "no such path"}}'


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        REQUESTS.append(self.path)
        stream = json.loads(body).get("stream", False) if body else False
        status, said = _answer(self.path.partition("?")[0], stream)
        self.send_response(status)
        kind = "text/event-stream" if said[:1] in b"de" else "application/json"
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(said)))
        self.end_headers()
        self.wfile.write(said)

    def log_message(self, format: str, *args: Any) -> None:
        """Stay silent."""


async def ask(name: str, model_id: str, options: dict[str, Any], stream: bool) -> str:
    """One call, structured where the provider takes schemas; what it gave, or why it failed."""
    from engine.errors import Failure
    from engine.events import ModelInfo
    from engine.models.litellm import LiteLLMModel
    from engine.runtime.ports import Message, ModelRequest
    from engine.sema.model import Model
    from engine.source import Span

    declared = Model("planner", model_id, ".", Span("x.orch", 0, 0), options=options)
    messages = (Message("system", "You plan.", cache=True), Message("user", "Say a."))
    info, structured = ModelInfo(model_id), name not in PLAIN
    request = ModelRequest(
        "k", "decision", "research", declared, info, messages, SCHEMA, structured,
        100, 30_000, lambda: None, stream=stream,
    )  # fmt: skip
    model = LiteLLMModel(model_id)
    try:
        return str((await model.complete(request)).value)
    except Failure as failure:
        return f"{failure.mode}: {failure.message}"
    finally:
        await model.close()


async def main() -> None:
    """Ask everybody, in a stream and in one piece."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    base = f"http://127.0.0.1:{server.server_port}"
    results: dict[str, list[str]] = {}
    for name, (model_id, options) in MODELS.items():
        there = {"api_base": base, **options}
        results[name] = [await ask(name, model_id, there, stream) for stream in (True, False)]
    found = {"asked": ASKED, "files": FILES, "requests": REQUESTS, "results": results}
    print(json.dumps(found))


if __name__ == "__main__":
    import dotenv

    for name in list(os.environ):
        if name.startswith(("AWS", "AZURE", "GOOGLE", "LITELLM")) or name.endswith("_KEY"):
            del os.environ[name]
    os.environ.update(SET)
    dotenv.load_dotenv = lambda *_, **__: FILES.append(".env")  # type: ignore[assignment]
    sys.addaudithook(watch)
    asyncio.run(main())
