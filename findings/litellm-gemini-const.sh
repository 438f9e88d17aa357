#!/usr/bin/env bash
# LiteLLM 1.106.2 drops `const` and recursion from schemas for some Gemini models.
#
# `gemini/gemini-flash-latest` gets the older `response_schema`, in which {"const": "look"} becomes
# {"type": "object"} and the second level of a recursive type an object without fields: the model may
# answer what the schema forbids. An `enum` of one string survives. No warning is given.
set -euo pipefail
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check litellm==1.106.2
"$work/venv/bin/python" - <<'PYTHON'
import asyncio
import json
import os
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

# Without these the library fetches tables from the network.
os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"
os.environ["LITELLM_LOCAL_ANTHROPIC_BETA_HEADERS"] = "True"
import litellm

seen = []


class Server(BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        seen.append(json.loads(body))
        status, answer = reply(self.path)
        data = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_):
        pass


def reply(path):
    return 200, {
        "candidates": [
            {"content": {"parts": [{"text": "{}"}], "role": "model"}, "finishReason": "STOP"}
        ],
        "usageMetadata": {"promptTokenCount": 1, "candidatesTokenCount": 1, "totalTokenCount": 2},
    }


server = ThreadingHTTPServer(("127.0.0.1", 0), Server)
threading.Thread(target=server.serve_forever, daemon=True).start()
address = f"http://127.0.0.1:{server.server_port}"
hello = [{"role": "user", "content": "hello"}]
tree = {
    "type": "object",
    "properties": {"children": {"type": "array", "items": {"$ref": "#/$defs/Tree"}}},
    "required": ["children"],
}
schema = {
    "type": "object",
    "properties": {
        "worker": {"const": "look"},
        "other": {"type": "string", "enum": ["look"]},
        "tree": {"$ref": "#/$defs/Tree"},
    },
    "required": ["worker", "other", "tree"],
    "$defs": {"Tree": tree},
}
form = {"type": "json_schema", "json_schema": {"name": "answer", "schema": schema}}
asyncio.run(
    litellm.acompletion(
        model="gemini/gemini-flash-latest",
        api_base=address,
        api_key="k",
        messages=hello,
        response_format=form,
    )
)
sent = seen[0]["generationConfig"]["response_schema"]["properties"]
print(json.dumps(sent))
assert sent["other"] == {"type": "string", "enum": ["look"]}
assert sent["worker"] == {"type": "object"}, "the behaviour has changed"
assert sent["tree"]["properties"]["children"]["items"] == {"type": "object"}
PYTHON
