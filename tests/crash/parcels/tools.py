"""What the desk's python workers and its packer do, and the log of it.

The log stands outside of the engine: one line for each real call, appended in one write, so a
kill can neither lose nor tear one. Each call takes the next number that is free in `calls/` when
it arrives, and a line `7 before` in `kills` has the seventh kill the engine (`pid`) before
it has done anything; `7 after` when it is done, but has not answered. `7 late` has it kill the
engine and go on: what it does a second after the engine's death is in `log`, and that it lived to
do so in `outlived`.
"""

import itertools
import os
import signal
import time
from pathlib import Path

HERE = Path(__file__).parent


def arrive(folder):
    """The number of a call that has come."""
    for number in itertools.count(1):
        try:
            os.close(os.open(folder / "calls" / str(number), os.O_CREAT | os.O_EXCL, 0o644))
        except FileExistsError:
            continue
        return number


def note(folder, line, name="log"):
    """Write down that a call is carried out."""
    descriptor = os.open(folder / name, os.O_WRONLY | os.O_APPEND)
    os.write(descriptor, f"{line}\n".encode())
    os.close(descriptor)


def killed(folder, number, when):
    """Kill the engine if it is to die at this moment; whether it was."""
    if f"{number} {when}" not in (folder / "kills").read_text().splitlines():
        return False
    os.kill(int((folder / "pid").read_text()), signal.SIGKILL)
    return True


def outlive(folder, number):
    """Kill the engine if it is to die at this moment, and live on."""
    engine = int((folder / "pid").read_text())
    if killed(folder, number, "late"):
        while is_alive(engine):
            time.sleep(0.01)
        time.sleep(1)
        note(folder, f"call {number}", "outlived")


def is_alive(process):
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


def done(line):
    number = arrive(HERE)
    if killed(HERE, number, "before"):
        os._exit(1)  # where it is in a process of its own
    outlive(HERE, number)
    note(HERE, line)
    if killed(HERE, number, "after"):
        os._exit(1)


def weigh(item):
    done(f"weigh {item}")
    return {"lamp": 1200, "vase": 800}[item]


def counted(input, output):
    done(f"counted {input['item']}")
    return output == 3


def send(parcel):
    done("send")
    return {"number": "N-1"}


def pack(state):
    done(f"pack {state.round}")
    if state.round == 1:
        tasks = [
            {"id": f"w{number}", "worker": "weigh", "input": {"item": item}}
            for number, item in enumerate(state.input["items"], 1)
        ]
        return {"tasks": tasks}
    return {"finish": {"grams": sum(state.outputs["weigh"])}}
