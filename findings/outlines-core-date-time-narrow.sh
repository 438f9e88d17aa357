#!/usr/bin/env bash
# outlines_core 0.2.14 takes fewer date-times and UUIDs than their RFCs.
#
# Under `format: date-time` "2026-01-01T00:00:00Z" is possible, and RFC 3339's own examples with an
# offset, such as "1996-12-19T16:39:57-08:00", are not. Under `format: uuid` capital letters are not
# possible, which RFC 9562 says readers have to take. A model cannot copy such a value.
set -euo pipefail
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check outlines_core==0.2.14
"$work/venv/bin/python" - <<'PYTHON'
import json
import re

from outlines_core.json_schema import build_regex_from_schema


def possible(form, text):
    pattern = build_regex_from_schema(json.dumps({"type": "string", "format": form}))
    return re.fullmatch(pattern, json.dumps(text)) is not None


found = {
    text: possible(form, text)
    for form, text in [
        ("date-time", "2026-01-01T00:00:00Z"),
        ("date-time", "1996-12-19T16:39:57-08:00"),
        ("uuid", "f81d4fae-7dec-11d0-a765-00a0c91e6bf6"),
        ("uuid", "F81D4FAE-7DEC-11D0-A765-00A0C91E6BF6"),
    ]
}
print(found)
assert list(found.values()) == [True, False, True, False], "the behaviour has changed"
PYTHON
