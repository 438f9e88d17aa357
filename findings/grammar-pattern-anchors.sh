#!/usr/bin/env bash
# `pattern` means two things: a search for JSON Schema, a match of the whole text for some grammars.
#
# JSON Schema does not anchor a pattern, so {"pattern": "b"} takes "abc". llguidance 1.9.1 agrees.
# outlines_core 0.2.14 and lm-format-enforcer 0.11.3 build grammars in which the whole text has to
# match, so a model can only write "b". No warning is given. A pattern with `^` and `$` means the
# same everywhere.
set -euo pipefail
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check \
  jsonschema==4.25.1 llguidance==1.9.1 outlines_core==0.2.14 lm-format-enforcer==0.11.3
"$work/venv/bin/python" - <<'PYTHON'
import json
import re

import jsonschema
from llguidance import LLMatcher, LLTokenizer
from lmformatenforcer import JsonSchemaParser
from outlines_core.json_schema import build_regex_from_schema


def by_validator(schema, text):
    return jsonschema.Draft202012Validator(schema).is_valid(json.loads(text))


def by_llguidance(schema, text):
    tokenizer = LLTokenizer("byte")
    matcher = LLMatcher(tokenizer, LLMatcher.grammar_from_json_schema(json.dumps(schema)))
    return matcher.consume_tokens(tokenizer.tokenize_str(text)) and matcher.is_accepting()


def by_outlines(schema, text):
    return re.fullmatch(build_regex_from_schema(json.dumps(schema)), text) is not None


def by_enforcer(schema, text):
    parser = JsonSchemaParser(schema)
    for character in text:
        if character not in parser.get_allowed_characters():
            return False
        parser = parser.add_character(character)
    return parser.can_end()


everyone = (by_validator, by_llguidance, by_outlines, by_enforcer)
free = [judge({"type": "string", "pattern": "b"}, '"abc"') for judge in everyone]
firm = [judge({"type": "string", "pattern": "^a[bc]+$"}, '"abc"') for judge in everyone]
print("unanchored:", free, "anchored:", firm)
assert free == [True, True, False, False], "the behaviour has changed"
assert firm == [True, True, True, True], "the behaviour has changed"
PYTHON
