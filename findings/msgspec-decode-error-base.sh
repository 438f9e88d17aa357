#!/usr/bin/env bash
# msgspec 0.21 made its errors a ValueError; before, `except ValueError` let them through.
#
# `json.loads` of broken text raises a ValueError, and so does `msgspec.json.decode` from 0.21.0 on.
# With 0.20.0 the same `except` clause catches nothing.
set -euo pipefail
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT
for version in 0.20.0 0.21.0; do
  python3 -m venv --clear "$work/venv"
  "$work/venv/bin/pip" install --quiet --disable-pip-version-check "msgspec==$version"
  "$work/venv/bin/python" - "$version" <<'PYTHON'
import sys

import msgspec

is_value_error = issubclass(msgspec.DecodeError, ValueError)
print(sys.argv[1], is_value_error)
assert is_value_error == (sys.argv[1] != "0.20.0"), "the behaviour has changed"
PYTHON
done
