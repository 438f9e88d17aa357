"""No surface shows a secret, in whatever form and by whatever way it comes back.

Everything that a run can call gives its secrets away here: in outputs, keys, numbers, messages,
standard error, redirects, and in the encodings that tools speak. Then every command is called, and
all that was written anywhere is searched: standard streams, the journal with its log, recordings.
"""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

#: What the run may not write down. Neither is in any file: they are in the environment alone.
SECRETS = {
    "TOKEN": "c4nary/+&'\"-π value9Zq",
    "PIN": "83712345",
    "PEM": "-----BEGIN KEY-----\nQUFBQUNhbmFyeUtleQ0\nQkJCQkNhbmFyeUtleQ1\n-----END KEY-----\n",
    "OPENAI_API_KEY": "sk-c4nary-0123456789abcdefghij",
    "AWS_SECRET_ACCESS_KEY": "c4naryWJalr/K7MDENG+bPxRfiCY",
}

#: How a secret looks when it comes back; imported by the workers and by this test.
SHAPES = r"""
import base64
import html
import json
import os
import re
from urllib.parse import quote, quote_plus

NAMES = ("TOKEN", "OPENAI_API_KEY", "AWS_SECRET_ACCESS_KEY")


def texts(environment=os.environ):
    found = {}
    for name in NAMES:
        value = environment[name]
        data = value.encode()
        quoted = json.dumps(value)[1:-1]
        found |= {
            f"{name} plain": value,
            f"{name} url": quote(value, safe=""),
            f"{name} form": quote_plus(value),
            f"{name} lower": re.sub("%..", lambda it: it.group().lower(), quote(value, safe="")),
            f"{name} twice": quote(quote(value, safe=""), safe=""),
            f"{name} json": quoted,
            f"{name} json text": json.dumps(value, ensure_ascii=False)[1:-1],
            f"{name} json in json": json.dumps(quoted)[1:-1],
            f"{name} slashes": quoted.replace("/", "\\/"),
            f"{name} repr": repr(value)[1:-1],
            f"{name} html": html.escape(value),
            f"{name} hex": data.hex(),
            f"{name} base64": base64.b64encode(data).decode(),
            f"{name} base64 basic": base64.b64encode(b"u:" + data + b"!").decode(),
            f"{name} base64 long": base64.b64encode(b"us:" + data + b"!").decode(),
            f"{name} base64 urlsafe": base64.urlsafe_b64encode(data).decode(),
        }
    pin = environment["PIN"]
    found |= {"pin": pin, "pin float": pin + ".0", "pin power": f"{pin[0]}.{pin[1:]}e7"}
    found |= {"pin groups": f"{pin[:2]},{pin[2:5]},{pin[5:]}"}
    lines = environment["PEM"].splitlines()
    return found | {"pem": environment["PEM"], "pem line 1": lines[1], "pem line 2": lines[2]}


def values(environment=os.environ):
    pin = environment["PIN"]
    said = list(texts(environment).values())
    return {
        "texts": said,
        "keys": dict.fromkeys(said, 1),
        "number": int(pin),
        "float": float(pin),
        "deep": [[{"x": [int(pin), {"y": float(pin)}]}]],
        "longer": int(pin + "99"),
    }
"""

TOOLS = '''
import json
import os
import sys
import warnings

from shapes import texts, values


def give():
    return values()


def give_text():
    return "\\n".join(texts().values())


def fail(which):
    raise ValueError("no luck with " + texts()[which])


def fail_noisily(which):
    print("printed", texts()[which])
    sys.stderr.write("written " + texts()[which] + "\\n")
    raise ValueError("no luck with " + texts()[which])


def decide(state):
    """A model that repeats all it could have heard."""
    said = " ".join(texts().values())
    if state.round == 1:
        tasks = [
            {"id": f"{worker}-{number}", "worker": worker, "input": {"which": which}}
            for worker in ("fail", "noisy", "exit")
            for number, which in enumerate(json.loads(os.environ["WHICH"])[worker])
        ]
        tasks += [
            {"id": name, "worker": name, "input": {}}
            for name in ("give", "text", "apart", "print", "lines", "echo", "web", "refused",
                         "moved", "headers")
        ]
        tasks += [{"id": "repeat", "worker": "repeat", "input": {"said": values()}}]
        return {"assessment": said, "tasks": tasks}
    return json.dumps({"assessment": said, "finish": json.dumps(values())})


if __name__ == "__main__":
    how = sys.argv[1]
    if how == "json":
        print(json.dumps(values()))
    elif how == "text":
        print(give_text())
    else:
        print(texts()[how], file=sys.stderr)
        raise SystemExit(3)
'''

SERVER = '''
import sys

from mcp.server import MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from shapes import texts, values

made = MCPServer("canary")
print("\\n".join(texts().values()), file=sys.stderr)


@made.tool(description=" ".join(texts().values()))
def give() -> dict[str, object]:
    return values()


@made.tool()
def broken() -> str:
    """Fails with it."""
    raise ToolError("no luck with " + " ".join(texts().values()))


made.run("stdio")
'''

PROGRAM = """orch 1

secret TOKEN
secret PIN
secret PEM
param words: string = "x"
param number: int = 1

model planner {{ id = "python/tools:decide" }}

worker give() -> json via python {{ call = "tools:give" }}
worker text() -> string via python {{ call = "tools:give_text" }}
worker fail(which: string) -> json via python {{ call = "tools:fail" }}
worker apart() -> json via python {{ call = "tools:give"  isolate = true  {env} }}
worker noisy(which: string) -> json via python {{
  call = "tools:fail_noisily"  isolate = true  {env}
}}
worker repeat(said: json) -> json via python {{ call = "builtins:dict" }}
worker print() -> json via command {{
  run = ["{python}", "tools.py", "json"]  effect = read  timeout = 20s  {env}
}}
worker lines() -> string[] via command {{
  run = ["{python}", "tools.py", "text"]  parse = lines  effect = read  timeout = 20s  {env}
}}
worker echo() -> string via command {{
  run = ["{python}", "tools.py", "text"]  parse = text  effect = read  timeout = 20s
  env {{ inherit = ["OPENAI_API_KEY", "AWS_SECRET_ACCESS_KEY"]  set = {{
    TOKEN: secret.TOKEN, PIN: secret.PIN, PEM: secret.PEM
  }} }}
}}
worker exit(which: string) -> json via command {{
  run = ["{python}", "tools.py", which]  effect = read  timeout = 20s  {env}
}}
worker web() -> json via http {{
  url = "{site}/json"  query = {{ key: secret.TOKEN }}  timeout = 5s
}}
worker refused() -> json via http {{ url = "{site}/refused?key=" ~ secret.TOKEN  timeout = 5s }}
worker moved() -> json via http {{ url = "{site}/moved"  timeout = 5s }}
worker headers() -> json via http {{ url = "{site}/headers"  result = headers  timeout = 5s }}

/// Is asked before the end.
verifier boss(result: json) via human {{ message = "Is {{{{ result | json }}}} right?" }}

orchestrator o(q: string = "") -> json {{
  model   = planner
  goal    = "Find out {{{{ q }}}}. {{{{ param.words }}}} {{{{ param.number }}}}"
  workers = [
    give, text, fail, apart, noisy, repeat, print, lines, echo, exit, web, refused, moved, headers,
  ]
  policy {{ max_rounds = 3  max_per_round = 80 }}
  verify {{ before_finish {{ with = boss }} }}
}}
"""
#: The same with the tools of a server, which take a second to import on each side.
MCP = """orch 1

secret TOKEN
secret PIN
secret PEM

model planner {{ id = "scripted/script.json" }}

server canary via mcp {{
  command = ["{python}", "server.py"]
  env {{ inherit = ["OPENAI_API_KEY", "AWS_SECRET_ACCESS_KEY"]  set = {{
    TOKEN: secret.TOKEN, PIN: secret.PIN, PEM: secret.PEM
  }} }}
}}

worker give() -> json via mcp {{ server = canary  tool = "give"  effect = read  timeout = 20s }}
worker broken() -> json via mcp {{ server = canary  tool = "broken"  effect = read  timeout = 20s }}

orchestrator o() -> json {{
  model = planner  goal = "Call them."  workers = [give, broken]  policy {{ max_rounds = 1 }}
}}
"""
SCRIPT = [
    {
        "assessment": "both",
        "tasks": [
            {"id": "give", "worker": "give", "input": {}},
            {"id": "broken", "worker": "broken", "input": {}},
        ],
    },
]
ENV = 'env { inherit = ["TOKEN", "PIN", "PEM", "OPENAI_API_KEY", "AWS_SECRET_ACCESS_KEY"] }'


#: One process for many commands, each of which has to end with its code.
ALL_OF = """
import json, sys
from engine.cli.app import run
for code, *arguments in json.loads(sys.argv[1]):
    found = run(arguments)
    if found != code:
        sys.exit(f"{arguments}: {found}")
"""
COMMANDS = [
    [5, "run", "a.orch", "--record", "rec"],
    [0, "gates"],
    [0, "gates", "--format", "json"],
    [2, "approve", "last", "--note", f"it is {SECRETS['TOKEN']}"],
    [2, "approve", "last", "--note", "well", "--by", SECRETS["PIN"]],
    [2, "reject", "last", "--note", SECRETS["OPENAI_API_KEY"]],
    [2, "cancel", "last", "--reason", SECRETS["PIN"]],
    [2, "run", "a.orch", "-i", f"q={SECRETS['PIN']}"],
    [2, "run", "a.orch", "--param", f"words={SECRETS['TOKEN']}"],
    [2, "run", "a.orch", "--param", f"number={SECRETS['TOKEN']}"],
    [2, "graph", "a.orch", "--param", f"words=x{SECRETS['OPENAI_API_KEY']}x"],
    [0, "approve", "last", "--note", "well", "--record", "rec"],
    [0, "show", "last", "--full"],
    [0, "show", "last", "--events"],
    [0, "show", "last", "--task", "give"],
    [0, "export", "last"],
    [0, "runs"],
    [0, "runs", "--format", "json"],
    [0, "tail", "last"],
    [0, "diff", "last", "last"],
    [0, "replay", "last"],
    [0, "resume", "last"],
    [0, "doc", "a.orch"],
    [0, "graph", "a.orch", "--format", "json"],
    [0, "lint", "a.orch", "--format", "json"],
    [0, "test", "a.orch"],
]


def load(name: str, path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules.setdefault(name, module)
    spec.loader.exec_module(module)
    return module


http_server = load("http_server", Path(__file__).parents[1] / "support" / "http_server.py")


@pytest.fixture
def shapes(tmp_path):
    (tmp_path / "shapes.py").write_text(SHAPES)
    return load("shapes", tmp_path / "shapes.py")


@pytest.fixture
def needles(shapes):
    """All that may stand nowhere, as bytes."""
    found = set()
    for name, text in shapes.texts(SECRETS).items():
        # The first and the last characters of Base64 may hold bits of what is beside the secret.
        needle = text[4:-4] if "base64" in name else text
        for _ in range(4):
            found.add(needle.encode())
            needle = json.dumps(needle)[1:-1]  # what is written may be JSON, and in JSON again
    return found


@pytest.fixture
def site(shapes):
    with http_server.Site() as running:
        said = shapes.texts(SECRETS)
        flat = " ".join(said.values())
        running.pages |= {
            "/json": http_server.send(shapes.values(SECRETS)),
            "/refused": http_server.send(flat.encode(), 403, kind="text/plain"),
            "/moved": http_server.redirect("https://x.test/?key=" + said["TOKEN form"]),
            "/headers": http_server.send(
                {}, headers={"X-Key": said["TOKEN base64"], "X-Pin": said["pin"]}
            ),
        }
        yield running


@pytest.fixture
def canary(desk, site, shapes):
    """The desk with the program, its tools, and the secrets in its environment."""
    (desk.folder / "tools.py").write_text(TOOLS)
    text = PROGRAM.format(python=sys.executable, site=site.url, env=ENV)
    (desk.folder / "a.orch").write_text(text)
    named = list(shapes.texts(SECRETS))
    which = {
        "fail": named,
        # A process each: the words go the same way, whatever they are.
        "noisy": ["TOKEN plain", "pin"],
        "exit": ["TOKEN url", "TOKEN base64 basic", "OPENAI_API_KEY plain", "pin power", "pem"],
    }
    desk.env = {**SECRETS, "WHICH": json.dumps(which)}
    return desk


@pytest.fixture
def served(desk, shapes):
    """The desk with a program that calls the tools of a server."""
    (desk.folder / "server.py").write_text(SERVER)
    (desk.folder / "a.orch").write_text(MCP.format(python=sys.executable))
    (desk.folder / "script.json").write_text(json.dumps(SCRIPT))
    desk.env = SECRETS
    return desk


def look(desk, needles, commands):
    """Call commands in one process, and search what they say; gives its standard error."""
    done = subprocess.run(
        [sys.executable, "-c", ALL_OF, json.dumps(commands)],
        capture_output=True,
        cwd=desk.folder,
        env=desk.environment(desk.env),
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    shown(needles, "stdout", done.stdout)
    shown(needles, "stderr", done.stderr)
    return done.stderr.decode()


def search(desk, needles):
    """Search every file of a desk."""
    files = [path for path in desk.folder.rglob("*") if path.is_file()]
    assert any(path.suffix == ".db" for path in files)
    for path in files:
        shown(needles, path.name, path.read_bytes())
    return files


def shown(needles, where, data):
    """Assert that nothing of the secrets is in what was written somewhere."""
    found = sorted(needle for needle in needles if needle in data)
    assert not found, (
        f"{where}: {found[0]!r} ... {data[max(0, data.index(found[0]) - 80) :][:200]!r}"
    )


def test_nothing_shows_a_secret_whatever_is_called(canary, needles):
    said = look(canary, needles, COMMANDS)
    assert "the note holds the value of the secret TOKEN, which may not be written down" in said
    assert "the name of who answers holds the value of the secret PIN" in said
    assert "the reason holds the value of the secret PIN" in said
    assert "input `q` holds the value of the secret PIN" in said
    assert "param `words` holds the value of the secret TOKEN" in said
    assert "param `number` holds the value of the secret TOKEN" in said
    assert "param `words` holds the value of the secret OPENAI_API_KEY" in said
    assert any(path.parent.name == "rec" for path in search(canary, needles))

    report = json.loads(canary.orch("show", "last", "--format", "json", env=canary.env).stdout)
    tasks = {task["id"]: task for round in report["history"] for task in round["tasks"]}
    failed = {name.partition("-")[0] for name, task in tasks.items() if task["status"] == "failed"}
    assert failed == {"fail", "noisy", "exit", "refused", "moved"}
    assert {task["status"] for task in tasks.values()} == {"done", "failed"}
    # Where a redirect leads to is not told whole.
    silent = {name for name, task in tasks.items() if "[secret " not in str(task)} - {"moved"}
    assert not silent, "they gave nothing away"


def test_nothing_shows_what_a_server_gives_away(served, needles):
    commands = [
        [4, "run", "a.orch"],
        [0, "show", "last"],
        [0, "export", "last"],
        [0, "mcp", "snapshot", "a.orch"],
    ]
    look(served, needles, commands)
    search(served, needles)
    assert "[secret TOKEN]" in (served.folder / "a.mcp.json").read_text()
