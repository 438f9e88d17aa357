"""Workers of hosts that fail: every call and every effect is a line in a file they all share.

`ship` is a shop that knows orders by their key, so a second call with the same key changes
nothing; `pay` would pay twice if it were called twice.
"""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

SHARED = Path(os.environ["ORCH_BENCH_SHARED"])
HOST = os.environ["ORCH_BENCH_HOST"]
#: Half of how long each call takes, in seconds.
PAUSE_S = float(os.environ["ORCH_BENCH_PAUSE_S"])


def note(what: str, worker: str, key: str) -> None:
    line = {"what": what, "worker": worker, "key": key, "host": HOST, "t": time.time()}
    file = os.open(SHARED / "log.jsonl", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    try:
        os.write(file, (json.dumps(line) + "\n").encode())
    finally:
        os.close(file)


def look(n: int, key: str) -> dict[str, int]:
    note("call", "look", key)
    time.sleep(2 * PAUSE_S)
    note("end", "look", key)
    return {"n": n + 1}


def double(n: int, key: str) -> dict[str, int]:
    note("call", "double", key)
    time.sleep(2 * PAUSE_S)
    note("end", "double", key)
    return {"n": 2 * n}


def ship(n: int, key: str) -> dict[str, int]:
    note("call", "ship", key)
    time.sleep(PAUSE_S)
    try:
        os.close(os.open(SHARED / "orders" / key.replace("/", "%"), os.O_CREAT | os.O_EXCL))
        note("effect", "ship", key)
    except FileExistsError:
        note("known", "ship", key)
    time.sleep(PAUSE_S)
    note("end", "ship", key)
    return {"n": n}


def pay(n: int, key: str) -> dict[str, int]:
    note("call", "pay", key)
    time.sleep(PAUSE_S)
    note("effect", "pay", key)
    time.sleep(PAUSE_S)
    note("end", "pay", key)
    return {"n": n}
