"""Tries what pyproject.toml declares: each Python, with the lowest and the newest dependencies.

    python .ci/matrix.py [PYTHON-RESOLUTION ...]     such as 3.13-newest; all without arguments

Each cell has an environment of its own below `.venv/matrix`: dependencies and extras as uv resolves
them for the cell, and the tools for tests as they are locked. `CELL_TESTS` run in it. A Python that
is not on this machine is skipped with a message. Needs uv, which `make test-matrix` installs.
"""

from __future__ import annotations

import glob
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
CELLS = ROOT / ".venv" / "matrix"
UV = [sys.executable, "-m", "uv"]
PYTHONS = ("3.11", "3.12", "3.13")
RESOLUTIONS = {"lowest": "lowest-direct", "newest": "highest"}
#: What differs between versions of Python and of libraries: contracts, models, workers, journals.
CELL_TESTS = (
    "tests/unit",
    "tests/cases",
    "tests/hostile_folder",
    "tests/property/test_schema_agreement.py",
)
#: What the locked LiteLLM reads and what its table says, not what others do.
LEFT_OUT = (
    "not test_every_key_that_litellm_reads_is_known"
    " and not test_prices_and_windows_come_from_the_table"
    " and not test_the_documented_examples"
)


def main() -> int:
    """Run the cells that are named, or all; 1 if one failed, 2 if there is no such cell."""
    cells = [f"{version}-{name}" for version in PYTHONS for name in RESOLUTIONS]
    unknown = [cell for cell in sys.argv[1:] if cell not in cells]
    if unknown:
        print(
            f"there is no cell {', '.join(unknown)}; there are {', '.join(cells)}", file=sys.stderr
        )
        return 2
    results: dict[str, str] = {}
    for version in PYTHONS:
        for name in RESOLUTIONS:
            cell = f"{version}-{name}"
            if sys.argv[1:] and cell not in sys.argv[1:]:
                continue
            python = _python(version)
            results[cell] = (
                _run(cell, python, RESOLUTIONS[name])
                if python is not None
                else f"skipped: there is no Python {version} on this machine"
            )
            print(f"== {cell}: {results[cell]}", flush=True)
    print("\n".join(f"{cell}: {result}" for cell, result in results.items()))
    return int(any(result.startswith("failed") for result in results.values()))


def _python(version: str) -> str | None:
    """An interpreter that starts: on the path, or of pyenv's."""
    pyenv = os.environ.get("PYENV_ROOT", os.path.expanduser("~/.pyenv"))
    found = sorted(glob.glob(f"{pyenv}/versions/{version}.*/bin/python{version}"))
    for candidate in (shutil.which(f"python{version}"), *reversed(found)):
        if candidate is not None and _starts(candidate, version):
            return candidate
    return None


def _starts(python: str, version: str) -> bool:
    said = subprocess.run(
        [python, "-c", "import sys, venv; print('%d.%d' % sys.version_info[:2])"],
        capture_output=True,
        text=True,
        check=False,
    )
    return said.stdout.strip() == version


def _run(cell: str, python: str, resolution: str) -> str:
    """Make the environment of a cell and run its tests; `passed`, or `failed: WHERE`."""
    folder = CELLS / cell
    folder.parent.mkdir(parents=True, exist_ok=True)
    tools, resolved = folder.with_suffix(".tools"), folder.with_suffix(".txt")
    tools.write_text("\n".join(_tools()) + "\n")
    own = str(folder / "bin" / "python")
    steps = {
        "resolving": [
            *UV, "pip", "compile", "--quiet", "--python", python, "--resolution", resolution,
            "--no-header", "--no-annotate", "--constraint", str(tools), "--output-file",
            str(resolved), "pyproject.toml", "--group", "pyproject.toml:dev",
        ],
        "making the environment": [
            *UV, "venv", "--quiet", "--clear", "--python", python, str(folder),
        ],
        # Compiled here, so that warnings about old libraries stay out of the tests' output.
        "installing": [
            *UV, "pip", "sync", "--quiet", "--compile-bytecode", "--python", own, str(resolved),
        ],
        "installing orch": [
            *UV, "pip", "install", "--quiet", "--python", own, "--no-deps", "--no-build-isolation",
            "--editable", ".",
        ],
        "tests": [
            own, "-m", "pytest", "-n", "auto", "-p", "no:cacheprovider", "-k", LEFT_OUT,
            *CELL_TESTS,
        ],
    }  # fmt: skip
    for step, command in steps.items():
        if subprocess.run(command, cwd=ROOT, check=False).returncode != 0:
            return f"failed: {step}"
    return "passed"


def _tools() -> list[str]:
    """The tools for tests as they are locked: all of the group `dev` that orch does not need."""
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text())
    project = declared["project"]
    needed = {_name(line) for line in project["dependencies"]}
    for extra in project["optional-dependencies"].values():
        needed |= {_name(line) for line in extra}
    tools = {_name(line) for line in declared["dependency-groups"]["dev"]} - needed
    locked = re.findall(
        r"^([a-z0-9-]+)(==[^ ;\n]+)", (ROOT / "requirements" / "dev.lock").read_text(), re.MULTILINE
    )
    return [name + version for name, version in locked if name in tools]


def _name(requirement: str) -> str:
    name = re.match(r"[A-Za-z0-9._-]+", requirement)
    assert name is not None, requirement
    return re.sub(r"[._-]+", "-", name[0]).lower()


if __name__ == "__main__":
    sys.exit(main())
