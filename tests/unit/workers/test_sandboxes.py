"""Programs in a sandbox that try what they may not, with each mechanism that this machine has.

Every attempt is harmless: a file of the test, a server of the test on the loopback. What is tried
in a sandbox is tried without one first, so that a refusal is the sandbox's.
"""

from __future__ import annotations

import asyncio
import fcntl
import http.server
import json
import os
import socket
import sys
import threading

import msgspec
import pytest

from engine.errors import Failure
from engine.sema.model import Sandbox
from engine.workers.registry import worker_port
from engine.workers.sandbox.making import sandbox_problem

LISTS = Sandbox(network=("a.example",))

#: Tries everything in its argument, and says what came of each.
ATTEMPTS = """
import json, os, socket, sys, tempfile

def tcp(port):
    socket.create_connection(("127.0.0.1", port), 5).close()
def udp(port):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as it:
        it.sendto(b"x", ("127.0.0.1", port))
def unix(path):
    with socket.socket(socket.AF_UNIX) as it:
        it.connect(path)
def abstract(name):
    with socket.socket(socket.AF_UNIX) as it:
        it.connect("\\0" + name)
def pair(path):
    one, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    with one, other:
        one.sendto(b"x", path)
def name(host): socket.getaddrinfo(host, 80)
def read(path):
    with open(path) as file:
        file.read()
def write(path):
    with open(path, "w") as file:
        file.write("x")
def cut(path): os.truncate(path, 0)
def remove(path): os.remove(path)
def list(path): os.listdir(path)
def child(what):
    pid = os.fork()
    if pid == 0:
        try:
            globals()[what[0]](what[1])
        except OSError:
            os._exit(1)
        os._exit(0)
    if os.waitpid(pid, 0)[1]:
        raise PermissionError("in a child")
def private(_):
    with tempfile.NamedTemporaryFile("w", dir=os.environ["TMPDIR"]) as file:
        file.write("x")

def tried(attempts):
    said = {}
    for key, (what, argument) in attempts.items():
        try:
            globals()[what](argument)
            said[key] = True
        except OSError:
            said[key] = False
    return said

if __name__ == "__main__":
    print(json.dumps(tried(json.loads(sys.argv[1]))))
"""


@pytest.fixture(params=["bubblewrap", "landlock"])
def mechanism(request, monkeypatch):
    """Each mechanism that works here."""
    monkeypatch.setenv("ORCH_SANDBOX", request.param)
    problem = sandbox_problem(Sandbox())
    if problem is not None:
        pytest.skip(problem)
    return request.param


@pytest.fixture
def lists_hosts(mechanism):
    """Each mechanism that can let single hosts through here."""
    problem = sandbox_problem(LISTS)
    if problem is not None:
        pytest.skip(problem)
    return mechanism


@pytest.fixture(params=["command", "python"])
def attempt(request, call, tmp_path):
    """Lets a program, or a function in a process of its own, try things."""
    (tmp_path / "attempts.py").write_text(ATTEMPTS)

    def attempt(sandbox, attempts, **settings):
        settings = {"sandbox": sandbox, **settings}
        if request.param == "command":
            settings["run"] = [sys.executable, "attempts.py", json.dumps(attempts)]
            return call("command", settings)
        settings |= {"call": "attempts:tried", "isolate": True}
        return call("python", settings, {"attempts": attempts})

    return attempt


@pytest.fixture
def outside(tmp_path_factory):
    """A folder that no program has been given."""
    folder = tmp_path_factory.mktemp("outside")
    (folder / "secret.txt").write_text("secret")
    return folder


@pytest.fixture
def listening(tmp_path):
    """Servers of every sort, which nothing may reach: (port of TCP, of UDP, path, name)."""
    with (
        socket.create_server(("127.0.0.1", 0)) as tcp,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp,
        socket.socket(socket.AF_UNIX) as unix,
        socket.socket(socket.AF_UNIX) as abstract,
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as post,
    ):
        udp.bind(("127.0.0.1", 0))
        # In the folder that every program may read.
        os.chdir(tmp_path)
        unix.bind("unix.sock")
        post.bind("post.sock")
        name = f"orch-test-{os.getpid()}-{tmp_path.name}"
        abstract.bind("\0" + name)
        unix.listen()
        abstract.listen()
        yield {
            "tcp": ("tcp", tcp.getsockname()[1]),
            "udp": ("udp", udp.getsockname()[1]),
            "unix": ("unix", "unix.sock"),
            "abstract": ("abstract", name),
            "pair": ("pair", "post.sock"),
            "child": ("child", ("tcp", tcp.getsockname()[1])),
        }
        udp.setblocking(False)


@pytest.fixture(autouse=True)
def _back(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)


def test_without_a_network_nothing_is_reached(attempt, listening, mechanism):
    assert attempt(None, listening) == dict.fromkeys(listening, True)
    tries = {**listening, "name": ("name", "example.org")}
    assert attempt(Sandbox(), tries) == dict.fromkeys(tries, False)


def test_a_list_without_hosts_is_no_network(attempt, listening, mechanism):
    assert attempt(Sandbox(network=()), listening) == dict.fromkeys(listening, False)


def test_any_network_is_as_outside(attempt, listening, mechanism):
    tries = {key: listening[key] for key in ("tcp", "udp", "unix")}
    assert attempt(Sandbox(network="any"), tries) == dict.fromkeys(tries, True)


def test_listed_hosts_are_not_reached_past_the_proxy(attempt, listening, lists_hosts):
    port = listening["tcp"][1]
    sandbox = Sandbox(network=(f"127.0.0.1:{port}",))
    assert attempt(sandbox, listening) == dict.fromkeys(listening, False)


def test_files_outside_are_closed(attempt, outside, tmp_path, mechanism):
    file = outside / "secret.txt"
    (tmp_path / "own.txt").write_text("own")
    tries = {
        "read": ("read", str(file)),
        "list": ("list", str(outside)),
        "write": ("write", str(outside / "new.txt")),
        "over": ("write", str(file)),
        "cut": ("cut", str(file)),
        "remove": ("remove", str(file)),
        "own": ("write", str(tmp_path / "own.txt")),
        "own new": ("write", str(tmp_path / "new.txt")),
        "child": ("child", ("write", str(outside / "new.txt"))),
        "environment": ("read", f"/proc/{os.getpid()}/environ"),
        "engine": ("read", f"/proc/{os.getpid()}/root{file}"),
    }
    assert attempt(Sandbox(), tries) == dict.fromkeys(tries, False)
    assert os.listdir(outside) == ["secret.txt"]
    assert file.read_text() == "secret"
    assert (tmp_path / "own.txt").read_text() == "own"
    assert not (tmp_path / "new.txt").exists()


def test_what_every_program_may_do(attempt, tmp_path, mechanism):
    (tmp_path / "own.txt").write_text("own")
    tries = {"own": ("read", str(tmp_path / "own.txt")), "private": ("private", None)}
    assert attempt(Sandbox(), tries) == {"own": True, "private": True}


def test_what_is_named_may_be_read_or_changed(attempt, outside, tmp_path, mechanism):
    (outside / "data").mkdir()
    (outside / "data" / "a.txt").write_text("a")
    (outside / "other.txt").write_text("other")
    (tmp_path / "results").mkdir()
    link = tmp_path / "link"
    link.symlink_to(outside / "data")
    sandbox = Sandbox(read=("link", str(outside / "secret.txt")), write=("results",))
    tries = {
        "linked": ("read", str(link / "a.txt")),
        "file": ("read", str(outside / "secret.txt")),
        "beside the file": ("read", str(outside / "other.txt")),
        "not changed": ("write", str(link / "a.txt")),
        "changed": ("write", str(tmp_path / "results" / "a.txt")),
        "beside": ("write", str(tmp_path / "a.txt")),
    }
    assert attempt(sandbox, tries) == {
        **dict.fromkeys(tries, False),
        **dict.fromkeys(("linked", "file", "changed"), True),
    }
    assert (tmp_path / "results" / "a.txt").read_text() == "x"


def test_the_private_folder_is_gone_afterwards(call, mechanism):
    run = ["sh", "-c", 'echo x > "$TMPDIR/x"; test "$HOME" = "$TMPDIR"; echo "$TMPDIR"']
    first = call("command", {"run": run, "parse": "text", "sandbox": Sandbox()}).strip()
    second = call("command", {"run": run, "parse": "text", "sandbox": Sandbox()}).strip()
    assert first != second
    assert not os.path.exists(first)


def test_only_what_is_named_is_in_the_environment(call, monkeypatch, mechanism):
    for name in ("PLAIN", "OTHER", "OPENAI_API_KEY", "TOKEN"):
        monkeypatch.setenv(name, "v-0123456789")
    show = "import json, os; print(json.dumps(dict(os.environ)))"
    sandbox = Sandbox(env=("PLAIN", "OPENAI_API_KEY", "TOKEN"))
    settings = {"run": [sys.executable, "-c", show], "sandbox": sandbox}
    found = call("command", settings, secret={"TOKEN": "v-0123456789"})
    assert found["PLAIN"] == "v-0123456789"
    assert "PATH" in found
    assert not {"OTHER", "OPENAI_API_KEY", "TOKEN"} & found.keys()
    given = call("command", {**settings, "env": {"SET": "1"}})
    assert given["SET"] == "1"


@pytest.mark.parametrize("network", ["none", "any", ("a.example",)])
def test_what_is_left_running_ends_with_the_call(call, tmp_path, mechanism, network):
    (tmp_path / "results").mkdir()
    lock = tmp_path / "results" / "lock"
    lock.touch()
    (tmp_path / "leaves.py").write_text(
        "import fcntl, os, signal, time\n"
        "ready, there = os.pipe()\n"
        "if os.fork() == 0:\n"
        "    os.setsid()\n"
        "    signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "    file = open('results/lock')\n"
        "    fcntl.flock(file, fcntl.LOCK_EX)\n"
        "    os.environ.clear()\n"
        "    null = os.open('/dev/null', os.O_RDWR)\n"
        "    for descriptor in (0, 1, 2):\n"
        "        os.dup2(null, descriptor)\n"
        "    os.write(there, b'x')\n"
        "    time.sleep(600)\n"
        "os.read(ready, 1)\n"
        "print('left')\n"
    )
    settings = {"run": [sys.executable, "leaves.py"], "parse": "text"}
    sandbox = Sandbox(network=network, write=("results",))
    if sandbox_problem(sandbox) is not None:
        pytest.skip("no hosts can be listed here")
    assert call("command", {**settings, "sandbox": sandbox}) == "left\n"
    with lock.open() as file:
        fcntl.flock(file, fcntl.LOCK_EX)  # waits for the one that holds it to end


def test_a_program_that_is_given_up_ends_with_all_it_started(make_request, tmp_path, mechanism):
    (tmp_path / "results").mkdir()
    ready = tmp_path / "results" / "ready"
    os.mkfifo(ready)
    lock = tmp_path / "results" / "lock"
    lock.touch()
    hold = "exec 9<results/lock; flock 9; echo x > results/ready; sleep 600"
    run = ["sh", "-c", f"setsid sh -c '{hold}' & sleep 600"]
    sandbox = Sandbox(write=("results",))
    request = make_request("command", {"run": run, "sandbox": sandbox})

    async def give_up():
        task = asyncio.ensure_future(worker_port("command").call(request))
        await asyncio.to_thread(ready.read_text)
        task.cancel()
        await asyncio.wait((task,))

    asyncio.run(give_up())
    with lock.open() as file:
        fcntl.flock(file, fcntl.LOCK_EX)


def test_how_a_program_ended_is_told(call, mechanism):
    def failure_of(run):
        with pytest.raises(Failure) as caught:
            call("command", {"run": run, "sandbox": Sandbox()})
        return caught.value.message

    assert failure_of(["sh", "-c", "echo no >&2; exit 3"]) == "exit code 3: no"
    assert failure_of(["no-such-program-at-all"]) == "no such program: no-such-program-at-all"
    assert failure_of(["sh", "-c", "kill -KILL $$"]) == "exit code 137"


def test_a_missing_folder_to_change_is_told(call, mechanism):
    settings = {"run": ["true"], "sandbox": Sandbox(write=("nowhere",))}
    with pytest.raises(Failure, match="no such file or folder: nowhere"):
        call("command", settings)


#: How code in a sandbox puts a link in the place of what the next call is given.
SWAPPED = {
    "read": ({"read": ("work/in",)}, "in"),
    "write": ({"write": ("work/in",)}, "in"),
    "inside what is read": ({"read": ("work/in/deep",)}, "in"),
    "a folder above": ({"write": ("work/in/deep",)}, "in"),
}


@pytest.mark.parametrize("case", SWAPPED)
@pytest.mark.parametrize("own", [True, False], ids=["own", "another's"])
def test_a_link_made_in_a_changeable_folder_leads_nowhere(
    make_request, outside, tmp_path, mechanism, case, own
):
    (outside / "deep").mkdir()
    (outside / "deep" / "secret.txt").write_text("secret")
    (tmp_path / "work" / "in" / "deep").mkdir(parents=True)
    (tmp_path / "attempts.py").write_text(ATTEMPTS)
    granted, name = SWAPPED[case]

    def call(argv, sandbox):
        settings = {"run": argv, "parse": "text", "sandbox": sandbox}
        request = make_request("command", settings)
        request = msgspec.structs.replace(request, changeable=((str(tmp_path), "work"),))
        return asyncio.run(worker_port("command").call(request)).value

    writes = granted.get("write", ()) + (("work",) if own else ())
    reader = Sandbox(read=granted.get("read", ()), write=writes)
    look = [sys.executable, "attempts.py", json.dumps({"it": ("list", "work/in/deep")})]
    assert json.loads(call(look, reader)) == {"it": True}
    swap = f"mv work/{name} work/old && ln -s {outside} work/{name}"
    call(["sh", "-c", swap], Sandbox(write=("work",)))
    assert os.listdir(tmp_path / "work" / "in" / "deep") == ["secret.txt"]
    with pytest.raises(Failure, match=r"work/in.* leads through a link out of"):
        call(look, reader)


def test_a_program_that_is_now_a_link_is_not_started(call, outside, tmp_path, mechanism):
    (outside / "bin").mkdir()
    (outside / "bin" / "tool").write_text("#!/bin/sh\necho told\n")
    (outside / "bin" / "tool").chmod(0o755)
    (tmp_path / "work").mkdir()
    link = tmp_path / "work" / "tool"
    settings = {"run": ["work/tool"], "parse": "text", "sandbox": Sandbox(write=("work",))}
    link.write_text("#!/bin/sh\necho own\n")
    link.chmod(0o755)
    assert call("command", settings) == "own\n"
    link.unlink()
    link.symlink_to(outside / "bin" / "tool")
    with pytest.raises(Failure, match="work/tool leads through a link out of"):
        call("command", settings)
    # Where no code can have made it, a link is the author's.
    settings["sandbox"] = Sandbox()
    assert call("command", settings) == "told\n"


@pytest.mark.parametrize("kind", ["python", "parse"])
def test_a_function_is_not_given_the_target_of_a_new_link(call, tools, outside, tmp_path, kind):
    if sandbox_problem(LISTS) is not None:
        pytest.skip("no function of `parse` is in a process of its own here")
    tools("import os\ndef look(text=None):\n    return os.listdir('work/in')\n")
    (tmp_path / "work").mkdir()
    (tmp_path / "work" / "in").symlink_to(outside)
    sandbox = Sandbox(network=LISTS.network, read=("work/in",), write=("work",))
    settings = {"call": "tools:look", "isolate": True, "sandbox": sandbox}
    if kind == "parse":
        settings = {"run": ["echo"], "parse": "tools:look", "sandbox": sandbox}
    with pytest.raises(Failure, match="work/in leads through a link out of"):
        call("python" if kind == "python" else "command", settings)


def test_links_within_a_changeable_folder_are_followed(attempt, outside, tmp_path, mechanism):
    (tmp_path / "work" / "run3").mkdir(parents=True)
    (tmp_path / "work" / "latest").symlink_to("run3")
    (tmp_path / "work" / "system").symlink_to("/usr")
    sandbox = Sandbox(read=("work/latest", "work/system"), write=("work",))
    tries = {"latest": ("list", "work/latest"), "system": ("list", "work/system")}
    assert attempt(sandbox, tries) == {"latest": True, "system": True}


def test_all_may_be_shown_and_all_may_be_changed(attempt, outside, mechanism):
    file = str(outside / "secret.txt")
    tries = {"read": ("read", file), "write": ("write", str(outside / "new.txt"))}
    assert attempt(Sandbox(read=("/",)), tries) == {"read": True, "write": False}
    assert attempt(Sandbox(write=("/",)), tries) == {"read": True, "write": True}


def test_programs_use_the_usual_devices(call, mechanism):
    script = "echo a > /dev/null; head -c 1 /dev/urandom > /dev/null; echo b > /dev/stdout"
    settings = {"run": ["sh", "-c", script], "parse": "text", "sandbox": Sandbox()}
    assert call("command", settings) == "b\n"


def test_what_reads_the_output_of_a_program_has_no_more_than_it(call, tools, listening, mechanism):
    tools(ATTEMPTS + "\ndef read_output(text):\n    return tried(json.loads(text))\n")
    settings = {"run": ["echo", json.dumps(listening)], "parse": "tools:read_output"}
    assert call("command", settings) == dict.fromkeys(listening, True)
    settings["sandbox"] = Sandbox()
    assert call("command", settings) == dict.fromkeys(listening, False)
    if sandbox_problem(LISTS) is None:  # in a sandbox of its own: no thread can be limited to hosts
        settings["sandbox"] = LISTS
        assert call("command", settings) == dict.fromkeys(listening, False)


def test_a_function_keeps_its_modes_and_its_packages(call, tools, mechanism):
    tools(
        "import msgspec, orch\n"
        "def work(ok):\n"
        "    if not ok:\n"
        "        raise orch.Failure('gone', 'it is gone')\n"
        "    return msgspec.json.encode([1]).decode()\n"
    )
    settings = {"call": "tools:work", "isolate": True, "sandbox": Sandbox()}
    assert call("python", settings, {"ok": True}) == "[1]"
    with pytest.raises(Failure) as caught:
        call("python", settings, {"ok": False})
    assert (caught.value.mode, caught.value.message) == ("gone", "it is gone")


# -------------------------------------------------------------------- hosts


FETCH = """
import http.client, os, sys, urllib.parse, urllib.request
way, url = sys.argv[1:]
if way == "plain":
    try:
        with urllib.request.urlopen(url) as answer:
            print(answer.status, answer.read().decode())
    except urllib.error.HTTPError as error:
        print(error.code, error.read().decode())
else:
    proxy = urllib.parse.urlsplit(os.environ["HTTPS_PROXY"])
    asked = urllib.parse.urlsplit(url)
    connection = http.client.HTTPConnection(proxy.hostname, proxy.port)
    connection.set_tunnel(asked.hostname, asked.port)
    try:
        connection.request("GET", asked.path)
        answer = connection.getresponse()
        print(answer.status, answer.read().decode())
    except OSError as error:
        print(error)
"""


@pytest.fixture
def site():
    """A server on the loopback that says what it was asked for: (port, the requests)."""
    asked = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append((self.path, self.headers["Host"]))
            body = b"here"
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server.server_address[1], asked
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def fetch(call, tmp_path, lists_hosts):
    (tmp_path / "fetch.py").write_text(FETCH)

    def fetch(way, url, *hosts):
        run = [sys.executable, "fetch.py", way, url]
        settings = {"run": run, "parse": "text", "sandbox": Sandbox(network=hosts)}
        return call("command", settings).strip()

    return fetch


@pytest.mark.parametrize("way", ["plain", "tunnel"])
def test_a_listed_host_is_reached_and_no_other(fetch, site, way):
    port, asked = site
    listed = f"localhost:{port}"
    assert fetch(way, f"http://localhost:{port}/a?b=c#d", listed).startswith("200 here")
    assert len(asked) == 1
    said = fetch(way, f"http://127.0.0.1:{port}/a", listed)
    assert "403" in said
    assert "403" in fetch(way, f"http://localhost:{port}/a", "localhost")  # another port
    assert len(asked) == 1


def test_a_request_gets_the_host_that_was_checked(fetch, site):
    port, asked = site
    assert fetch("plain", f"http://localhost:{port}?q", f"LOCALHOST:{port}") == "200 here"
    assert asked == [("/?q", f"localhost:{port}")]


def test_a_wildcard_leads_to_nothing_in_the_local_network(fetch, site):
    port, asked = site
    # Names below `localhost` lead to the loopback.
    said = fetch("plain", f"http://a.localhost:{port}/", f"*.localhost:{port}")
    assert said.startswith(("403 a.localhost is in the local network", "502"))
    assert asked == []


# -------------------------------------------------------------------- by default


def test_a_function_in_the_engines_process_has_no_network(call, tools, listening, make_request):
    tools(ATTEMPTS + "\nasync def later(attempts):\n    return tried(attempts)\n")
    assert call("python", {"call": "tools:tried"}, {"attempts": listening}) == dict.fromkeys(
        listening, True
    )
    sandbox = Sandbox(demanded=False, only_network=True)
    for name in ("tried", "later"):
        settings = {"call": f"tools:{name}", "sandbox": sandbox}
        tries = {**listening, "files": ("list", "/")}
        found = call("python", settings, {"attempts": tries})
        assert found == {**dict.fromkeys(listening, False), "files": True}, name


def test_such_a_function_keeps_the_state_of_its_module(call, tools, make_request):
    tools("COUNT = []\ndef work():\n    COUNT.append(1)\n    return len(COUNT)\n")
    port = worker_port("python")
    plain = make_request("python", {"call": "tools:work"})
    sandbox = Sandbox(demanded=False, only_network=True)
    closed = make_request("python", {"call": "tools:work", "sandbox": sandbox})
    given = [asyncio.run(port.call(request)).value for request in (plain, closed, plain, closed)]
    assert given == [1, 2, 3, 4]


def test_what_an_awaited_function_waits_for_ends_with_the_call(tools, make_request):
    tools(
        "import asyncio, threading\n"
        "began, ended = threading.Event(), threading.Event()\n"
        "async def work():\n"
        "    began.set()\n"
        "    try:\n"
        "        await asyncio.Event().wait()\n"
        "    finally:\n"
        "        ended.set()\n"
        "def state():\n"
        "    return [began.wait(60), ended.wait(60)]\n"
        "def start():\n"
        "    return began.wait(60)\n"
    )
    port = worker_port("python")
    sandbox = Sandbox(demanded=False, only_network=True)
    work = make_request("python", {"call": "tools:work", "sandbox": sandbox})

    async def give_up():
        task = asyncio.ensure_future(port.call(work))
        await port.call(make_request("python", {"call": "tools:start"}))
        task.cancel()
        await asyncio.wait((task,))
        return (await port.call(make_request("python", {"call": "tools:state"}))).value

    assert asyncio.run(give_up()) == [True, True]


def test_a_failure_that_the_default_may_have_caused_says_so(call, tools, listening):
    tools(ATTEMPTS)
    sandbox = Sandbox(demanded=False, only_network=True)
    settings = {"call": "tools:tcp", "sandbox": sandbox}
    with pytest.raises(Failure, match="sandbox without network unless its file says otherwise"):
        call("python", settings, {"port": listening["tcp"][1]})
    with pytest.raises(Failure) as caught:
        call("python", {"call": "tools:read", "sandbox": sandbox}, {"path": "no-such-file"})
    assert "sandbox" not in caught.value.message


def test_where_no_sandbox_can_be_made_only_a_demanded_one_fails(call, monkeypatch):
    monkeypatch.setenv("ORCH_SANDBOX", "sandbox-exec" if sys.platform != "darwin" else "landlock")
    settings = {"run": ["echo", "1"]}
    assert call("command", {**settings, "sandbox": Sandbox(demanded=False)}) == 1
    with pytest.raises(Failure, match="its sandbox cannot be made: "):
        call("command", {**settings, "sandbox": Sandbox()})


def test_a_name_that_is_no_mechanism_switches_nothing_off(call, monkeypatch):
    monkeypatch.setenv("ORCH_SANDBOX", "off")
    with pytest.raises(Failure, match="none of bubblewrap, landlock, sandbox-exec"):
        call("command", {"run": ["echo", "1"], "sandbox": Sandbox()})
