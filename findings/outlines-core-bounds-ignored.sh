#!/usr/bin/env bash
# outlines_core 0.2.14 ignores `minimum` and `maximum` of numbers.
#
# The regular expression for {"type": "integer", "minimum": 3, "maximum": 9} is the one for any
# integer: a model under it may answer -120. Lengths of strings are kept.
set -euo pipefail
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check outlines_core==0.2.14
"$work/venv/bin/python" - <<'PYTHON'
import json
import re

from outlines_core.json_schema import build_regex_from_schema


def pattern(**schema):
    return build_regex_from_schema(json.dumps(schema))


bounded = pattern(type="integer", minimum=3, maximum=9)
print(bounded)
assert bounded == pattern(type="integer"), "the behaviour has changed"
assert re.fullmatch(bounded, "-120")
assert not re.fullmatch(pattern(type="string", maxLength=2), '"abc"')
PYTHON
