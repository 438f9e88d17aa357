#!/usr/bin/env bash
# LiteLLM moved a refusal between 1.106.2 and 1.110.2, from one place to another.
#
# OpenAI's protocol has `message.refusal`. 1.106.2 keeps it in `provider_specific_fields["refusal"]`
# alone; 1.110.2 keeps it in `message.refusal` alone. A program written for one of them takes a
# refusal for an empty answer under the other.
set -euo pipefail
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT
for version in 1.106.2 1.110.2; do
  python3 -m venv --clear "$work/venv"
  "$work/venv/bin/pip" install --quiet --disable-pip-version-check "litellm==$version"
  "$work/venv/bin/python" - "$version" <<'PYTHON'
import json
import os
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

# Without this the library fetches a table from the network.
os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"
import litellm


class Server(BaseHTTPRequestHandler):
    def do_POST(self):
        self.rfile.read(int(self.headers["content-length"]))
        message = {"role": "assistant", "content": None, "refusal": "No."}
        choice = {"index": 0, "finish_reason": "stop", "message": message}
        body = {"id": "1", "object": "chat.completion", "created": 1, "model": "m"}
        data = json.dumps({**body, "choices": [choice]}).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_):
        pass


server = ThreadingHTTPServer(("127.0.0.1", 0), Server)
threading.Thread(target=server.serve_forever, daemon=True).start()
answer = litellm.completion(
    model="openai/m",
    api_base=f"http://127.0.0.1:{server.server_port}/v1",
    api_key="k",
    messages=[{"role": "user", "content": "hello"}],
)
message = answer.choices[0].message
extra = getattr(message, "provider_specific_fields", None) or {}
found = (getattr(message, "refusal", None), extra.get("refusal"))
print(sys.argv[1], found)
wanted = {"1.106.2": (None, "No."), "1.110.2": ("No.", None)}
assert found == wanted[sys.argv[1]], "the behaviour has changed"
PYTHON
done
