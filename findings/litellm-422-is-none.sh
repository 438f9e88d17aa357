#!/usr/bin/env bash
# LiteLLM 1.106.2 answers HTTP 422 with None when `drop_params` is on, after two requests.
#
# Without `drop_params` a 422 of an OpenAI-compatible server is a BadRequestError after one request.
# With it the same call returns None: the server's words are lost, and it was asked twice although
# no retry was asked for. FastAPI servers refuse a body with 422. Seen: None, 2 requests.
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
    return 422, {"error": {"message": "schema not supported"}}


server = ThreadingHTTPServer(("127.0.0.1", 0), Server)
threading.Thread(target=server.serve_forever, daemon=True).start()
address = f"http://127.0.0.1:{server.server_port}"
hello = [{"role": "user", "content": "hello"}]


def ask(drop):
    seen.clear()
    litellm.drop_params = drop
    call = litellm.acompletion(
        model="openai/my-model", api_base=address + "/v1", api_key="k", max_retries=0, messages=hello
    )
    try:
        answer = asyncio.run(call)
    except litellm.BadRequestError as error:
        answer = type(error).__name__
    return answer, len(seen)


plain, dropping = ask(False), ask(True)
print(f"drop_params off: {plain}; on: {dropping}")
assert plain == ("BadRequestError", 1)
assert dropping == (None, 2), "the behaviour has changed"
PYTHON
