#!/usr/bin/env bash
# LiteLLM 1.106.2 sends Anthropic a recursive schema with a reference to nothing.
#
# References are inlined once, `#/$defs/Tree` becomes `/$defs/Tree`, and `$defs` is dropped.
# No warning is given. Seen: {"$ref": "/$defs/Tree"} and no `$defs` in what is sent.
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
        "id": "m",
        "type": "message",
        "role": "assistant",
        "model": "c",
        "content": [{"type": "text", "text": "{}"}],
        "stop_reason": "end_turn",
        "usage": {"input_tokens": 1, "output_tokens": 1},
    }


server = ThreadingHTTPServer(("127.0.0.1", 0), Server)
threading.Thread(target=server.serve_forever, daemon=True).start()
address = f"http://127.0.0.1:{server.server_port}"
hello = [{"role": "user", "content": "hello"}]
tree = {
    "type": "object",
    "properties": {
        "name": {"type": "string"},
        "children": {"type": "array", "items": {"$ref": "#/$defs/Tree"}},
    },
    "required": ["name", "children"],
    "additionalProperties": False,
}
schema = {
    "type": "object",
    "properties": {"tree": {"$ref": "#/$defs/Tree"}},
    "required": ["tree"],
    "additionalProperties": False,
    "$defs": {"Tree": tree},
}
form = {"type": "json_schema", "json_schema": {"name": "answer", "schema": schema, "strict": True}}
asyncio.run(
    litellm.acompletion(
        model="anthropic/claude-sonnet-4-5",
        api_base=address,
        api_key="k",
        messages=hello,
        response_format=form,
    )
)
sent = (seen[0].get("output_format") or seen[0]["output_config"]["format"])["schema"]
print(json.dumps(sent))
assert "$defs" not in sent
items = sent["properties"]["tree"]["properties"]["children"]["items"]
assert items == {"$ref": "/$defs/Tree"}, "the behaviour has changed"
PYTHON
