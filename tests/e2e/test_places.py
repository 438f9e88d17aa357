"""Where failures point to: each kind of failure is played with real parts, and its place is asked.

In the programs `⟦name|text⟧` marks the place that `name` is expected at; the marks are taken out
before the program is written.
"""

from __future__ import annotations

import asyncio
import importlib.util
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import orch_fork
import pytest

import engine
from engine.cli.failure_text import failures_drawn
from engine.drive import launch
from engine.journal import MemoryJournal
from engine.redaction import Redactor
from engine.redaction.current import bound

_SPEC = importlib.util.spec_from_file_location(
    "http_server", Path(__file__).parents[1] / "support" / "http_server.py"
)
assert _SPEC is not None
assert _SPEC.loader is not None
http_server = sys.modules.setdefault("http_server", importlib.util.module_from_spec(_SPEC))
_SPEC.loader.exec_module(http_server)

MARK = re.compile(r"⟦(\w+)\|([^⟦⟧]*)⟧")

HEAD = 'orch 1\n\nmodel planner { id = "scripted/script.json" }\n'

TOOLS = """
import threading

from orch import Failure


def boom(n):
    raise ValueError("no luck")


def gone(n):
    raise Failure("not_there", "it is not there")


def hang(n):
    threading.Event().wait()


def pages(n):
    return {"title": "t", "pages": [{"number": 1}, {"number": "two"}]}


def word(n):
    return {"not": "a number"}


def large(n):
    return "x" * 3000


def number(n):
    return n


def torn(text):
    raise ValueError("torn")
"""


class Placed:
    """A folder with a program whose expected places are known."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.expected: dict[str, str] = {}
        self.texts: dict[str, str] = {}
        (folder / "tools.py").write_text(TOOLS)

    def write(self, marked: str, script: list[Any], name: str = "a.orch") -> None:
        text = ""
        for line_number, line in enumerate(marked.split("\n"), 1):
            while match := MARK.search(line):
                start = match.start() + 1
                place = f"{name}:{line_number}:{start}-{start + len(match[2])}"
                self.expected[match[1]] = place
                self.texts[match[1]] = match[2]
                line = line[: match.start()] + match[2] + line[match.end() :]
            text += f"{line}\n"
        path = self.folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text.removesuffix("\n"), encoding="utf-8")
        (self.folder / "script.json").write_text(json.dumps(script))

    def orch(self, *arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
        clean = {k: v for k, v in os.environ.items() if not k.startswith("ORCH_")}
        environment = {**clean, "PYTHONDONTWRITEBYTECODE": "1", **env}
        done = orch_fork.run(arguments, cwd=self.folder, environment=environment)
        assert "Traceback" not in done.stderr
        assert done.returncode not in (2, 3, 70), done.stderr
        return done

    def report(self, *arguments: str, **env: str) -> dict[str, Any]:
        done = self.orch(*arguments, "--format", "json", **env)
        assert done.stdout, done.stderr
        told: dict[str, Any] = json.loads(done.stdout)
        return told


@pytest.fixture
def placed(tmp_path: Path) -> Placed:
    return Placed(tmp_path)


def shown(place: Any) -> str | None:
    """A place as `file:line:column-end`; of several lines, `file:line:column+lines`."""
    if place is None:
        return None
    start, end = place["range"]["start"], place["range"]["end"]
    return f"{place['file']}:{start['line']}:{start['column']}-{end['column']}"


def task(worker: str, **input: Any) -> dict[str, Any]:
    return {"id": worker, "worker": worker, "input": input}


def failed_at(report: dict[str, Any]) -> dict[str, str | None]:
    return {one["task"]: shown(one["place"]) for one in report["failures"]}


def loop(workers: str, more: str = "", policy: str = "max_rounds = 1", goal: str = '"g"') -> str:
    return f"""
orchestrator o(n: int = 0) -> string {{
  model = planner
  goal = {goal}
  workers = [{workers}]
  policy {{ {policy} }}
  {more}
}}
"""


# ---------------------------------------------------------------- tasks

WORKERS = """
schema Page { ⟦deep|number⟧: int }
schema Book { title: string  pages: Page[] }

template shared(x: int) = "one: {{ ⟦called|1 // x⟧ }}"

model broken { id = "scripted/none.json" }
model ⟦reached|far⟧ { id = "scripted/fails.json" }
model slow { id = "python/tools:hang"  ⟦model_time|timeout = 20ms⟧ }

worker item(items: int[]) -> string via command {
  run = ["echo", ⟦item|items[3]⟧]  effect = read
}
worker lines(items: int[]) -> string via command {
  run = [
    "echo",
    "é" ~ ⟦lines|(1 / items[0])⟧,
  ]
  effect = read
}
worker wrong_kind(items: int[]) -> string via command {
  run = ["echo", ⟦wrong_kind|items⟧]  effect = read
}
worker called(n: int) -> string via command { run = ["echo", shared(n)]  effect = read }
worker no_program(n: int) -> string via command {
  run = [⟦no_program|"no-such-program-here"⟧, "x"]  effect = read
}
worker no_folder(n: int) -> string via command {
  run = ["echo"]  ⟦no_folder|cwd = "no-such-folder"⟧  effect = read
}
worker exits(n: int) -> string via command { ⟦exits|run = ["false"]⟧  effect = read }
worker not_json(n: int) -> ⟦not_json|string⟧ via command { run = ["echo", "x"]  effect = read }
worker slow_program(n: int) -> string via command {
  run = ["sleep", "600"]  effect = read
  ⟦slow_program|timeout = 20ms⟧
}
worker parsed(n: int) -> string via command {
  ⟦parsed|run = ["echo", "x"]⟧  parse = "tools:torn"  effect = read
}

worker boom(n: int) -> string via python { ⟦boom|call = "tools:boom"⟧ }
worker gone(n: int) -> string fails not_there via python { ⟦gone|call = "tools:gone"⟧ }
worker arguments(n: int) -> int via python {
  call = "tools:number"
  args = { n: ⟦arguments|1 / n⟧ }
}
worker deep(n: int) -> Book via python { call = "tools:pages" }
worker whole(n: int) -> ⟦whole|int⟧ via python { call = "tools:word" }
worker large(n: int) -> string via python { call = "tools:large"  ⟦large|max_bytes = 1KiB⟧ }

worker refused(n: int) -> string via http { ⟦refused|url = "URL/nothing"⟧ }
worker unreachable(n: int) -> string via http { ⟦unreachable|url = "http://127.0.0.1:1/x"⟧ }

server nowhere via mcp { command = ["no-such-program-here"] }
worker tool(n: int) -> json via mcp {
  ⟦tool|server = nowhere⟧  tool = "t"  effect = read
}

worker prompted(text: string) -> string via llm {
  model = broken
  prompt = \"\"\"
    Read this:
    {{ text | upper ~ ⟦prompted|1 // (text | length)⟧ }}
  \"\"\"
}
worker reached(n: int) -> string via llm { model = far  prompt = "{{ n }}" }
worker own_time(n: int) -> string via llm {
  model = slow  prompt = "{{ n }}"  ⟦own_time|timeout = 20ms⟧
}
worker model_time(n: int) -> string via llm { model = slow  prompt = "{{ n }}" }
"""

POLICY = "max_rounds = 1  max_per_round = 50  max_parallel = 50"
GIVEN: dict[str, dict[str, Any]] = {
    "item": {"items": []},
    "wrong_kind": {"items": []},
    "lines": {"items": [0]},
    "prompted": {"text": ""},
}


def test_every_failure_of_a_task_points_at_the_source(placed: Placed) -> None:
    names = re.findall(r"^worker (\w+)", WORKERS, re.MULTILINE)
    tasks = [task(name, **GIVEN.get(name, {"n": 0})) for name in names]
    (placed.folder / "none.json").write_text("[]")
    (placed.folder / "fails.json").write_text('[{"$fail": "refused"}]')
    with http_server.Site() as site:
        text = HEAD + WORKERS.replace("URL", site.url) + loop(", ".join(names), "", POLICY)
        placed.write(text, [{"tasks": tasks}])
        found = failed_at(placed.report("run", "a.orch"))
    assert found == {name: placed.expected[name] for name in names}


def test_what_follows_from_a_failure_points_where_that_does(placed: Placed) -> None:
    declared = """
worker item(items: int[]) -> string via command {
  run = ["echo", ⟦item|items[3]⟧]  effect = read
}
worker number(n: int) -> int via python { call = "tools:number" }
worker long(n: int) -> string via command { run = ["echo", "xxx"]  parse = text  effect = read }
worker short(⟦short|text⟧: string @length(max: 2)) -> string via python { call = "tools:torn" }
verifier never(task: json) via rules { assert false else "never" }
"""
    hook = "with = [never]  on_fail = revise  max_revisions = 1"
    hooks = f"verify {{ ⟦hook|before_dispatch⟧ number {{ {hook} }} }}"
    placed.write(
        HEAD + declared + loop("item, number, long, short", hooks),
        [
            {
                "tasks": [
                    task("item", items=[]),
                    {"id": "after", "worker": "short", "input": {"text": {"$from": "item"}}},
                    task("number", n=1),
                    task("long", n=1),
                    {"id": "misfit", "worker": "short", "input": {"text": {"$from": "long"}}},
                ]
            }
        ],
    )
    found = failed_at(placed.report("run", "a.orch", "--no-journal"))
    assert found["after"] == found["item"] == placed.expected["item"]
    assert found["number"] == placed.expected["hook"]
    assert found["misfit"] == placed.expected["short"]


# ---------------------------------------------------------------- ends of runs

MODELS = """
model ⟦model|ailing⟧ { id = "scripted/fails.json" }
model priced { id = "scripted/script.json"  price { input = $1.00  output = $1.00 } }
model dear { id = "python/tools:hang"  ⟦model_timeout|timeout = 20ms⟧ }

worker echo(n: int) -> string via command { run = ["echo", "x"]  effect = read  parse = text }
worker other(n: int) -> string via command { run = ["echo", "x"]  effect = read  parse = text }
verifier never(task: json) via rules { assert false else "never" }
verifier odd(task: json) via rules { assert ⟦rules|1 / (task.round - 1)⟧ > 0 else "odd" }
verifier torn(task: json) via python { ⟦check|call = "tools:torn"⟧  args = { text: "x" } }
verifier skipped(task: json) via rules { skip_when = ⟦skip|1 / (task.round - 1)⟧ > 0  assert true }
"""

ONE = {"tasks": [task("echo", n=0)]}
NEXT = {"tasks": [{"id": "again", "worker": "echo", "input": {"n": 1}}]}


def ending(name: str, text: str, *script: Any) -> Any:
    return pytest.param(name, text, list(script), id=name)


def verified(verifier: str, on_fail: str = "abort", mark: str = "before_dispatch") -> str:
    hook = f"{mark} echo {{ with = [{verifier}]  on_fail = {on_fail} }}"
    return loop("echo", f"verify {{ {hook} }}", "max_rounds = 2")


ENDINGS = [
    ending("goal_line", loop("echo", goal='"""\n  a\n  {{ ⟦goal_line|10 // n⟧ }}\n  """')),
    ending("rounds", loop("echo", policy="⟦rounds|max_rounds = 1⟧"), ONE),
    ending("model", loop("echo").replace("model = planner", "model = ailing")),
    ending("model_timeout", loop("echo").replace("model = planner", "model = dear")),
    ending(
        "tokens",
        loop("echo", policy="max_rounds = 2  budget { ⟦tokens|tokens = 9k⟧ }").replace(
            "model = planner", "model = priced"
        ),
        {"$reply": ONE, "usage": {"input_tokens": 8000, "output_tokens": 1}},
    ),
    ending(
        "dispatches",
        loop("echo", policy="max_rounds = 3  ⟦dispatches|max_dispatches = 1⟧"),
        ONE,
        *[NEXT] * 4,
    ),
    ending(
        "stall",
        loop("echo", policy=("max_rounds = 3  ⟦stall|stall⟧ { after = 1  action = abort }")),
        ONE,
        NEXT,
    ),
    ending("kept", loop("echo", policy="max_rounds = 3  ⟦kept|max_kept_bytes = 60B⟧"), ONE, NEXT),
    ending("hook", verified("never", mark="⟦hook|before_dispatch⟧"), ONE),
    ending("rules", verified("odd"), ONE),
    ending("check", verified("torn"), ONE),
    ending("skip", verified("skipped"), ONE),
    ending(
        "escalate",
        loop(
            "echo",
            """
  verify { before_dispatch echo { with = [never]  on_fail = escalate } }
  on_escalate { output = ⟦escalate|1 / n⟧ ~ "" }
""",
        ),
        ONE,
    ),
]


@pytest.mark.parametrize(("name", "text", "script"), ENDINGS)
def test_every_end_of_a_run_points_at_the_source(placed, name, text, script) -> None:
    placed.write(HEAD + MODELS + text, script)
    (placed.folder / "fails.json").write_text('[{"$fail": "refused"}]')
    report = placed.report("run", "a.orch", "--no-journal")
    assert report["status"] != "finished"
    assert shown(report["place"]) == placed.expected[name], report["reason"]


# ---------------------------------------------------------------- how it is told

SMALL = (
    HEAD
    + """
worker item(items: int[]) -> string via command {
  run = ["echo", ⟦item|items[3]⟧]  effect = read
}
"""
)
DRAWN = """
item item: crashed: cannot evaluate `run`: there is no item 3 in a list of 0 \
(in `["echo", items[3]]`)
 --> a.orch:6:18
  |
6 |   run = ["echo", items[3]]  effect = read
  |                  ^^^^^^^^
"""
TASKS = [{"tasks": [task("item", items=[])]}]


def test_the_terminal_draws_the_place_as_the_linter_does(placed: Placed) -> None:
    placed.write(SMALL + loop("item"), TASKS)
    done = placed.orch("run", "a.orch")
    assert DRAWN in done.stderr
    assert "\x1b" not in done.stderr
    painted = placed.orch("run", "a.orch", "--color", "always").stderr
    assert "\x1b[1;31m^^^^^^^^\x1b[0m" in painted


def test_a_goal_is_drawn_at_its_line(placed: Placed) -> None:
    placed.write(SMALL + loop("item", goal='"""\n  a\n  {{ 10 // n }}\n  """'), [])
    told = placed.orch("run", "a.orch", "-q").stderr
    assert told == (
        "failed: the goal cannot be rendered: goal, line 2: division by zero\n"
        "  --> a.orch:13:6\n"
        "   |\n"
        "13 |   {{ 10 // n }}\n"
        "   |      ^^^^^^^\n"
    )


def test_a_run_is_shown_with_the_text_that_it_was_started_with(placed: Placed) -> None:
    placed.write(SMALL + loop("item"), TASKS)
    placed.orch("run", "a.orch")
    before = placed.report("show", "last")
    path = placed.folder / "a.orch"
    path.write_text(path.read_text().replace("\nworker", "\n// moved\n\n\nworker"))
    assert failed_at(placed.report("show", "last")) == failed_at(before) == placed.expected
    assert before["history"][0]["tasks"][0]["failure"]["place"] == before["failures"][0]["place"]
    shown_text = placed.orch("show", "last").stdout
    assert DRAWN in shown_text
    assert "(a.orch:6:18)\n" in shown_text
    # Nor does it matter where it is shown from, or that the file is gone.
    path.unlink()
    assert DRAWN in placed.orch("show", "last").stdout


def test_a_resumed_run_points_into_the_program_that_it_goes_on_with(placed: Placed) -> None:
    asks = 'verifier person() via human { message = "go on?" }\n'
    text = SMALL + asks + loop("item", "verify { after_round { with = [person] } }")
    placed.write(text, TASKS)
    placed.orch("run", "a.orch")
    # The file is longer now, and where the expression was is something else.
    more = '\nmodel unused { id = "scripted/other.json" }\n\nworker'
    placed.write(text.replace("\nworker", more), TASKS)
    assert failed_at(placed.report("resume", "last")) == {"item": "a.orch:6:18-26"}
    # It failed under the other program: its setting is known, and no more.
    upgraded = placed.report("resume", "last", "--upgrade")
    assert failed_at(upgraded) == {"item": "a.orch:8:3-27"}
    assert failed_at(placed.report("show", "last")) == failed_at(upgraded)


def test_what_is_imported_is_shown_in_its_own_file(placed: Placed) -> None:
    tools = SMALL.replace('model planner { id = "scripted/script.json" }\n', "")
    placed.write(tools + 'template greet(n: int) = "{{ ⟦goal|1 // n⟧ }}"\n', [], "lib/tools.orch")
    (placed.folder / "lib" / "part.j2").write_text("a\n{{ 1 // n }}\n")
    head = HEAD + 'import "lib/tools.orch" as t\n'
    placed.write(head + loop("t.item", goal='"{{ t.greet(n) }}"'), TASKS)
    assert shown(placed.report("run", "a.orch")["place"]) == placed.expected["goal"]
    placed.write(head + loop("t.item"), [{"tasks": [{**task("t.item", items=[]), "id": "item"}]}])
    assert failed_at(placed.report("run", "a.orch")) == {"item": placed.expected["item"]}
    assert " --> lib/tools.orch:5:18\n" in placed.orch("show", "last").stdout
    placed.write(head + loop("t.item", goal="\"{% include 'lib/part.j2' %}\""), [])
    assert shown(placed.report("run", "a.orch")["place"]) == "lib/part.j2:2:4-10"
    placed.write(head + loop("t.item", goal='file("lib/part.j2")'), [])
    assert shown(placed.report("run", "a.orch")["place"]) == "lib/part.j2:2:4-10"


def test_a_sub_orchestrator_shows_the_innermost_cause(placed: Placed) -> None:
    inner = """
orchestrator inner(n: int) -> string {
  model = planner
  goal = "{{ ⟦inner|1 // n⟧ }}"
  workers = [item]
  policy { max_rounds = 1 }
}
"""
    placed.write(SMALL + inner + loop("inner"), [{"tasks": [task("inner", n=0)]}])
    assert failed_at(placed.report("run", "a.orch")) == {"inner": placed.expected["inner"]}


@pytest.mark.parametrize(
    ("secret", "line", "marks"),
    [
        ("needle-in-line", '  run = ["[secret KEY]", items[3]]  effect = read', " " * 25 + "^" * 8),
        ('line", items[3', '  run = ["needle-in-[secret KEY]]]  effect = read', "^" * 49),
        (
            "effect = read\n}",
            '  run = ["needle-in-line", items[3]]  [secret KEY]',
            " " * 27 + "^" * 8,
        ),
    ],
)
def test_a_secret_in_a_source_line_is_not_drawn(
    placed: Placed, secret: str, line: str, marks: str
) -> None:
    placed.write(SMALL.replace('"echo"', '"needle-in-line"') + loop("item"), TASKS)
    workflow = engine.load(placed.folder / "a.orch")
    orchestrator = workflow.program.orchestrators["o"]
    journal = MemoryJournal()
    state = asyncio.run(launch.start(workflow.program, orchestrator, {}, journal))
    with bound(Redactor({"KEY": secret})):
        drawn = failures_drawn(state)
    with bound(Redactor({"KEY": "[3]]  effect = read\n}"})):
        assert failures_drawn(state).endswith(f"\n --> {placed.folder}/a.orch:6:28")
    assert secret not in drawn
    assert drawn.split("\n")[-2].partition("| ")[2] == line
    assert drawn.split("\n")[-1].partition("| ")[2].rstrip() == marks


def test_the_python_face_has_the_place(placed: Placed) -> None:
    placed.write(SMALL + loop("item", policy="⟦rounds|max_rounds = 1⟧"), TASKS)
    run = engine.load(placed.folder / "a.orch").run()
    assert str(run.place) == f"{placed.folder}/a.orch:13:12"
    assert run.place is not None
    assert (run.place.range.start.line, run.place.range.end.column) == (13, 26)
    assert str(run.failures[0].place) == f"{placed.folder}/a.orch:6:18"
