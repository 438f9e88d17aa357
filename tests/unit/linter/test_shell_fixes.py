"""ORC511's fix: what was pasted into a script becomes its argument, and the script stays one."""

from __future__ import annotations

import json
import subprocess

import pytest

from engine.linter import lint

SOURCE = """orch 1
worker w(q: string, r: string) -> string via command {{
  run = ["sh", "-c", {}]  effect = read  timeout = 5s
}}
"""


def fixed(script: str) -> str | None:
    text = SOURCE.format(script)
    (found,) = [d for d in lint("w.orch", source_text=text) if d.code == "ORC511"]
    return None if found.fix is None else found.fix.edits[0].text


@pytest.mark.parametrize(
    ("script", "names"),
    [
        ("\"printf '%s' '\" ~ q ~ \"'\"", ["q"]),
        ('"printf %s " ~ q', ["q"]),
        ('"printf %s%s " ~ q ~ " " ~ r', ["q", "r"]),
    ],
)
def test_a_hostile_input_stays_an_argument(script, names):
    shown = fixed(script)
    assert shown is not None
    assert shown.endswith(", ".join(['"sh"', *names]))
    program, _ = json.JSONDecoder().raw_decode(shown)
    hostile = 'x\'; echo "$0" `id` $(id)'
    done = subprocess.run(
        ["sh", "-c", program, "sh", *([hostile] * len(names))],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout == hostile * len(names)


@pytest.mark.parametrize(
    "script",
    ["q", 'q ~ " x"', '"grep \'a" ~ q ~ "b\' ."', '"grep \'" ~ q ~ " x\'"', '"echo \\"a" ~ q'],
)
def test_there_is_no_fix_where_quotes_or_the_program_would_change(script):
    assert fixed(script) is None
