#!/usr/bin/env bash
# httpx 0.28.1 decodes only the first member of a gzip body, without an error.
#
# A gzip file may be several members, one after the other (RFC 1952, 2.2): log appenders write such
# files, and `gzip -d` and Python's `gzip` read all of them. httpx gives the text of the first
# and drops the rest. Seen: 'line one\n' of 'line one\nline two\n'.
set -euo pipefail
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check httpx==0.28.1
"$work/venv/bin/python" - <<'PYTHON'
import gzip

import httpx

body = gzip.compress(b"line one\n") + gzip.compress(b"line two\n")
assert gzip.decompress(body) == b"line one\nline two\n"
response = httpx.Response(200, headers={"content-encoding": "gzip"}, content=body)
print(f"httpx {httpx.__version__}: {response.text!r}")
assert response.text == "line one\n", "the behaviour has changed"
PYTHON
