import asyncio
import contextlib
import os
import sys
import threading
from pathlib import Path

import pytest

from engine.errors import Failure
from engine.workers.registry import worker_port


def python(script, *args):
    return [sys.executable, "-S", "-c", script, *args]


def failure_of(call, *args, **options):
    with pytest.raises(Failure) as caught:
        call(*args, **options)
    return caught.value.mode, caught.value.message


ECHO_ARGS = "import sys, json; print(json.dumps(sys.argv[1:]))"


def test_arguments_are_computed_one_each_and_never_seen_by_a_shell(call, var):
    run = python(ECHO_ARGS, var("pattern"), "$HOME; *", var("limit"), var("ratio"), var("deep"), "")
    inputs = {"pattern": "a b; rm -rf 'x'", "limit": 3, "ratio": 0.5, "deep": True}
    assert call("command", {"run": run}, inputs) == [
        "a b; rm -rf 'x'",
        "$HOME; *",
        "3",
        "0.5",
        "true",
        "",
    ]


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (["a", "b"], "run[4] must be a string or a number, not a list"),
        ({"a": 1}, "run[4] must be a string or a number, not a map"),
        (None, "run[4] must be a string or a number, not null"),
        ("a\0b", "embedded null byte"),
    ],
)
def test_what_is_no_argument_is_refused(call, var, value, message):
    mode, said = failure_of(call, "command", {"run": python(ECHO_ARGS, var("x"))}, {"x": value})
    assert mode == "crashed"
    assert message in said


def test_an_expression_that_cannot_be_evaluated_is_told(call, var):
    settings = {"run": ["echo"], "stdin": var("x.missing.deeper")}
    mode, message = failure_of(call, "command", settings, {"x": {}})
    assert mode == "crashed"
    assert message.startswith("cannot evaluate `stdin`: ")
    assert "missing" in message
    found = failure_of(call, "command", {"run": ["echo", var("x.missing")]}, {"x": {}})
    assert found[0] == "crashed"
    assert "run[1]" in found[1] or "missing" in found[1]


@pytest.mark.parametrize(
    ("stdin", "seen"),
    [("grüße", "grüße"), ({"a": [1, None]}, '{"a":[1,null]}'), (7, "7"), (None, "")],
)
def test_stdin_is_text_or_json_or_empty(call, var, stdin, seen):
    settings = {"run": ["cat"], "parse": "text", "stdin": var("x")}
    assert call("command", settings, {"x": stdin}) == seen


def test_cwd_is_the_folder_of_the_file_unless_said_otherwise(call, var, tmp_path):
    (tmp_path / "sub").mkdir()
    pwd = python("import os; print(os.getcwd(), end='')")
    here, below = os.path.realpath(tmp_path), os.path.realpath(tmp_path / "sub")
    assert call("command", {"run": pwd, "parse": "text"}) == here
    assert call("command", {"run": pwd, "parse": "text", "cwd": var("x")}, {"x": "sub"}) == below
    found = failure_of(call, "command", {"run": pwd, "cwd": "nowhere"})
    assert found == ("crashed", "no such folder: nowhere")


def test_env_adds_to_the_environment_and_null_takes_away(call, var, monkeypatch):
    monkeypatch.setenv("KEPT", "kept")
    monkeypatch.setenv("GONE", "gone")
    show = "import os, json; print(json.dumps([os.environ.get(k) for k in ('KEPT','GONE','NEW')]))"
    settings = {"run": python(show), "env": {"GONE": None, "NEW": var("secret.KEY")}}
    assert call("command", settings, secret={"KEY": "k-1"}) == ["kept", None, "k-1"]


def test_json_output_is_read(call):
    assert call("command", {"run": ["echo", '{"a": [1.0, "x"]}']}) == {"a": [1.0, "x"]}


@pytest.mark.parametrize(
    ("written", "lines"),
    [
        (r"a\nb\n", ["a", "b"]),
        (r"a\r\n\nb", ["a", "", "b"]),
        ("", []),
        (r"a\377b\n", ["a�b"]),
    ],
)
def test_lines_of_output(call, written, lines):
    assert call("command", {"run": ["printf", written], "parse": "lines"}) == lines


def test_text_that_is_not_utf8_is_replaced(call):
    assert call("command", {"run": ["printf", r"a\377\n"], "parse": "text"}) == "a�\n"


@pytest.mark.parametrize(
    ("written", "message"),
    [
        (r'{"a": ', "it begins with '{\"a\": '"),
        ("", "it is empty"),
        (r'"\377"', "the output is not JSON"),
        ("NaN", "the output is not JSON"),
    ],
)
def test_output_that_is_not_json_is_told(call, written, message):
    mode, said = failure_of(call, "command", {"run": ["printf", "%b", written]})
    assert mode == "invalid_output"
    assert message in said


def test_a_function_may_read_the_output(call, tools):
    tools(
        """
        def count(text): return {"words": len(text.split())}
        async def later(text): return text.upper()
        def fails(text): raise ValueError("strange")
        """
    )
    run = ["echo", "a b c"]
    assert call("command", {"run": run, "parse": "tools:count"}) == {"words": 3}
    assert call("command", {"run": run, "parse": "tools:later"}) == "A B C\n"
    found = failure_of(call, "command", {"run": run, "parse": "tools:fails"})
    assert found == ("crashed", "ValueError: strange")


def test_exit_codes_mean_what_the_file_says(call):
    def exits(code):
        return ["sh", "-c", f"echo '[]'; echo first >&2; echo second >&2; exit {code}"]

    settings = {"ok_exit": [0, 1], "on_exit": {3: "not_found"}}
    assert call("command", {"run": exits(1), **settings}) == []
    assert failure_of(call, "command", {"run": exits(3), **settings}) == (
        "not_found",
        "exit code 3: first / second",
    )
    assert failure_of(call, "command", {"run": exits(2), **settings}) == (
        "crashed",
        "exit code 2: first / second",
    )


def test_a_death_by_signal_is_told(call):
    found = failure_of(call, "command", {"run": ["sh", "-c", "kill -KILL $$"]})
    assert found == ("crashed", "killed by SIGKILL")


def test_a_program_that_cannot_be_started_is_told(call, tmp_path):
    (tmp_path / "plain.txt").write_text("no program")
    (tmp_path / "strange").write_text("no format")
    (tmp_path / "strange").chmod(0o755)
    assert failure_of(call, "command", {"run": ["no-such-program-here", "x"]}) == (
        "crashed",
        "no such program: no-such-program-here",
    )
    _, message = failure_of(call, "command", {"run": ["./plain.txt"]})
    assert message == "not a program that may be run: ./plain.txt"
    _, message = failure_of(call, "command", {"run": ["./strange"]})
    assert message == "cannot start ./strange: Exec format error"


def test_secrets_stay_out_of_messages(call):
    run = ["sh", "-c", "echo 'bad key s3cr3t-value' >&2; exit 1"]
    _, message = failure_of(call, "command", {"run": run}, secret={"KEY": "s3cr3t-value"})
    assert message == "exit code 1: bad key [secret KEY]"


def test_a_message_is_cut_only_after_the_secrets_are_out(call, tools):
    secret = {"KEY": "s3cr3t-value"}
    run = ["printf", "x" * 75 + secret["KEY"]]
    _, message = failure_of(call, "command", {"run": run}, secret=secret)
    assert "s3c" not in message
    tools("def work(): raise ValueError('x' * 480 + 's3cr3t-value')")
    for isolate in (False, True):
        settings = {"call": "tools:work", "isolate": isolate}
        _, message = failure_of(call, "python", settings, secret=secret)
        assert len(message) <= 500
        assert "s3c" not in message


def test_output_is_bounded_and_the_program_killed(call):
    found = failure_of(call, "command", {"run": ["yes"], "parse": "text", "max_bytes": 65_536})
    assert found == ("invalid_output", "the output is larger than 64 KiB")
    run = ["printf", "12345"]
    assert call("command", {"run": run, "parse": "text", "max_bytes": 5}) == "12345"
    found = failure_of(call, "command", {"run": run, "parse": "text", "max_bytes": 4})
    assert found == ("invalid_output", "the output is larger than 4 bytes")


def test_much_output_on_both_pipes_does_not_block(call):
    script = "import sys; sys.stderr.write('e' * 300_000); sys.stdout.write('o' * 300_000)"
    assert len(call("command", {"run": python(script), "parse": "text"})) == 300_000


def test_a_grandchild_that_keeps_the_pipe_open_holds_up_nothing(call):
    run = ["sh", "-c", "sleep 1000 & echo done"]
    assert call("command", {"run": run, "parse": "text"}) == "done\n"


def test_a_cancelled_program_dies_with_its_whole_group(make_request, tmp_path):
    # Both the shell and its child hold the fifo open; its end comes when both are dead.
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    request = make_request(
        "command", {"run": ["sh", "-c", "exec 3>fifo; echo started >&3; sleep 1000 & wait"]}
    )

    async def cancel_it():
        task = asyncio.ensure_future(worker_port("command").call(request))
        with await asyncio.to_thread(open, fifo) as stream:
            assert stream.readline() == "started\n"
            task.cancel()
            await asyncio.wait((task,))
            assert task.cancelled()
            assert stream.read() == ""

    asyncio.run(cancel_it())


def children():
    """The children of this process, zombies included; other tests may have left a server."""
    found = set()
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):  # it ended meanwhile
            parent = path.read_text().rpartition(")")[2].split()[1]
            if int(parent) == os.getpid():
                found.add(path.parent.name)
    return found


@pytest.mark.parametrize("signs", ["of Linux", "of any system"])
def test_how_a_program_ends_is_seen_without_the_help_of_linux(call, monkeypatch, signs):
    if signs == "of any system":
        monkeypatch.delattr(os, "pidfd_open")
    assert call("command", {"run": ["printf", "12"]}) == 12
    _, message = failure_of(call, "command", {"run": ["sh", "-c", "exit 3"]})
    assert message == "exit code 3"
    _, message = failure_of(call, "command", {"run": ["sh", "-c", "kill -9 $$"]})
    assert message == "killed by SIGKILL"


def test_an_exit_code_that_something_else_took_is_no_success(call, monkeypatch):
    def taken(process):
        os.waitid(os.P_PID, process, os.WEXITED)
        raise OSError("as if there were none")

    # What a careless handler of SIGCHLD in a host program does.
    monkeypatch.setattr(os, "pidfd_open", taken)
    _, message = failure_of(call, "command", {"run": ["true"]})
    assert message == "exit code 255"


def test_a_cancel_before_the_start_leaves_nothing(make_request):
    request = make_request("command", {"run": ["sleep", "1000"]})

    async def cancel_it():
        task = asyncio.ensure_future(worker_port("command").call(request))
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait((task,))
        return task.cancelled()

    asyncio.run(cancel_it())  # what is kept for later calls is opened here
    descriptors, before = set(os.listdir("/dev/fd")), children()
    assert asyncio.run(cancel_it())
    assert len(os.listdir("/dev/fd")) <= len(descriptors)
    assert children() <= before  # no child is left, not even a zombie


def test_many_programs_leave_no_descriptor_open(make_request):
    request = make_request("command", {"run": ["echo", "1"]})

    async def many():
        port = worker_port("command")
        replies = await asyncio.gather(*(port.call(request) for _ in range(20)))
        return [reply.value for reply in replies]

    descriptors = len(os.listdir("/dev/fd"))
    assert asyncio.run(many()) == [1] * 20
    assert len(os.listdir("/dev/fd")) <= descriptors
    assert not [t for t in threading.enumerate() if "waitpid" in t.name and t.is_alive()]


def test_a_command_may_be_a_verifier(call):
    verdict = call("command", {"run": ["echo", '{"ok": true, "feedback": "x"}']}, verifier=True)
    assert verdict == {"ok": True, "feedback": "x"}
    assert call("command", {"run": ["echo", "false"]}, verifier=True) == {
        "ok": False,
        "feedback": "",
    }
