#!/usr/bin/env bash
# lm-format-enforcer 0.11.3 fails on a `const` that is a number.
#
# {"const": "a"} works; {"const": 5}, as valid, raises AttributeError ('int' object has no attribute
# 'startswith') at the first character. {"enum": [5]} with a `type` works.
set -euo pipefail
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check lm-format-enforcer==0.11.3
"$work/venv/bin/python" - <<'PYTHON'
from lmformatenforcer import JsonSchemaParser


def written(schema, text):
    parser = JsonSchemaParser(schema)
    for character in text:
        if character not in parser.get_allowed_characters():
            return False
        parser = parser.add_character(character)
    return parser.can_end()


assert written({"const": "a"}, '"a"')
assert written({"type": "integer", "enum": [5]}, "5")
try:
    print(written({"const": 5}, "5"))
except AttributeError as error:
    print(error)
else:
    raise SystemExit("the behaviour has changed")
PYTHON
