"""A delivery that was long on its way: given up meanwhile, and made elsewhere.

The server hands a call to a host whose cable has just been cut; only the network knows of it. When
the cable is whole again the host finds the call, long after the run has given it up.
"""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest

pytestmark = pytest.mark.temporal

PROGRAM = """orch 1
model planner { id = "python/tools:plan" }
worker pay(n: int) -> int via python { call = "tools:pay"  effect = once }
orchestrator main(n: int) -> { n: int } {
  model = planner  goal = "Pay {{ n }}."  workers = [pay]  policy { max_rounds = 2 }
}
"""
TOOLS = """
import pathlib


def pay(n):
    with open(pathlib.Path(__file__).parent / "log.txt", "a") as file:
        file.write(f"paid {n}\\n")
    return n


def plan(state):
    n = state.input["n"]
    if state.outputs.get("pay"):
        return {"assessment": "done", "finish": {"n": n}}
    return {"assessment": "pay", "tasks": [{"id": "a", "worker": "pay", "input": {"n": n}}]}
"""
WAITING = 5


class Cable:
    """A way to a server that can be cut; what is under way then arrives when it is healed.

    Args:
        port: Of the server, on loopback.
    """

    def __init__(self, port: int) -> None:
        self._port = port
        self._whole = threading.Event()
        self._whole.set()
        self._sockets = [socket.create_server(("127.0.0.1", 0))]
        self.address = f"127.0.0.1:{self._sockets[0].getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self) -> None:
        self._whole.clear()

    def heal(self) -> None:
        self._whole.set()

    def close(self) -> None:
        self.heal()
        for end in self._sockets:
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                here, _ = self._sockets[0].accept()
                there = socket.create_connection(("127.0.0.1", self._port))
                self._sockets += [here, there]
                for ends in ((here, there), (there, here)):
                    threading.Thread(target=self._carry, args=ends, daemon=True).start()

    def _carry(self, source: socket.socket, target: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                self._whole.wait()
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)


@pytest.fixture
def cable(server: Any) -> Iterator[Cable]:
    made = Cable(server.port)
    yield made
    made.close()


def test_a_once_call_that_was_given_up_is_not_begun_late(
    desk: Any, server: Any, cable: Cable
) -> None:
    desk.write("main.orch", PROGRAM)
    desk.write("tools.py", TOOLS)
    desk.host("main.orch", "--only", "workflows")
    desk.host("main.orch", "--serve", "planner")
    desk.server = cable
    desk.host("main.orch", "--serve", "pay")
    desk.server = server
    assert desk.orch("run", "main.orch", "-i", "n=0")[0] == 0  # Now the host asks for work.

    cable.cut()
    code, _, said = desk.orch("run", "main.orch", "-i", "n=1")
    assert code == WAITING, said
    assert desk.log() == ["paid 0"]
    other = desk.host("main.orch", "--serve", "pay")
    while code == WAITING:  # The host that is cut off may have asked for work more than once.
        code, _, said = desk.orch("approve", "last", "--not-done")
    assert code == 0, said
    assert desk.log() == ["paid 0", "paid 1"]

    # What was held up comes to the host before what is new.
    other.kill()
    cable.heal()
    code, _, said = desk.orch("run", "main.orch", "-i", "n=2")
    assert code == 0, said
    assert desk.log() == ["paid 0", "paid 1", "paid 2"]
