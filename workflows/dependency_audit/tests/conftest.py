"""Small fake environments for the tests: a virtual environment's folders, written by hand."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from engine.callables import load_callable

FOLDER = str(Path(__file__).parent.parent)

#: A package that nothing is wrong with says this.
FINE = ("License-Expression: MIT", "Requires-Python: >=3.8")


class FakeEnvironment:
    """A virtual environment of Python 3.11.5 under construction."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.site = root / "lib" / "python3.11" / "site-packages"
        self.site.mkdir(parents=True)
        (root / "pyvenv.cfg").write_text("home = /nowhere\nversion = 3.11.5\n")

    def __str__(self) -> str:
        return str(self.root)

    def install(
        self,
        name: str,
        *fields: str,
        version: str = "1.0",
        scripts: tuple[str, ...] = (),
        record: bool = True,
    ) -> Path:
        """Install a package with one module; its `.dist-info` folder."""
        folder = self.site / f"{name.replace('-', '_')}-{version}.dist-info"
        folder.mkdir()
        lines = ["Metadata-Version: 2.4", f"Name: {name}", f"Version: {version}", *fields]
        (folder / "METADATA").write_text("\n".join([*lines, "", "# About", "License: in the text"]))
        if scripts:
            declared = "".join(f"{script} = {name}:main\n" for script in scripts)
            (folder / "entry_points.txt").write_text(f"[console_scripts]\n{declared}")
        module = self.site / f"{name.replace('-', '_')}.py"
        module.write_text(f"NAME = {name!r}\n")
        if record:
            content = module.read_bytes()
            digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=")
            row = f"{module.name},sha256={digest.decode()},{len(content)}"
            (folder / "RECORD").write_text(f"{row}\n{folder.name}/RECORD,,\n")
        return folder


@pytest.fixture
def fake(tmp_path: Path) -> FakeEnvironment:
    """An empty environment."""
    return FakeEnvironment(tmp_path / "env")


@pytest.fixture
def troubled(fake: FakeEnvironment) -> FakeEnvironment:
    """An environment with one package for each kind of claim, and one that is fine."""
    fake.install("fine", *FINE, "Requires-Dist: old>=1", 'Requires-Dist: no-extra; extra == "x"')
    fake.install("no-license", "Requires-Python: >=3.8")
    fake.install("unclear", "License: UNKNOWN", "Requires-Python: >=3.8")
    fake.install("silent", "License: MIT License", "        ", "        All of it.")
    fake.install("future", "License-Expression: MIT", "Requires-Python: >=3.12")
    fake.install(
        "needy",
        *FINE,
        "Requires-Dist: absent>=2",
        "Requires-Dist: old>=2,<3",
        'Requires-Dist: elsewhere; sys_platform == "nowhere"',
    )
    fake.install("old", *FINE)
    fake.install("twice", *FINE)
    fake.install("twice", *FINE, version="2.0")
    fake.install("unrecorded", *FINE, record=False)
    fake.install("lost", *FINE)
    (fake.site / "lost.py").unlink()
    fake.install("grown", *FINE)
    (fake.site / "grown.py").write_text("NAME = 'grown'\nMORE = 1\n")
    fake.install("here", *FINE, scripts=("run-it", "only-here"))
    fake.install("there", *FINE, scripts=("run-it",))
    return fake


class Tools:
    """The workflow's functions, loaded as the engine loads them, by worker."""

    environment = staticmethod(load_callable("audit_tools.environment:environment", FOLDER))
    audit_metadata = staticmethod(load_callable("audit_tools.package:audit_metadata", FOLDER))
    audit_files = staticmethod(load_callable("audit_tools.files:audit_files", FOLDER))
    audit_across = staticmethod(load_callable("audit_tools.across:audit_across", FOLDER))
    merge = staticmethod(load_callable("audit_tools.report:merge", FOLDER))
    write_report = staticmethod(load_callable("audit_tools.report:write_report", FOLDER))
    claims_proved = staticmethod(load_callable("verify:claims_proved", FOLDER))
    plan = staticmethod(load_callable("planner:plan", FOLDER))

    @classmethod
    def report(cls, environment: FakeEnvironment) -> dict[str, Any]:
        """The report on an environment, without an engine."""
        listed = cls.environment(str(environment))
        parts = cls.audit_across(listed["site"])
        for one in listed["distributions"]:
            of_package = {key: one[key] for key in ("folder", "name", "version")}
            parts.append(cls.audit_metadata(listed["site"], **of_package, python=listed["python"]))
            parts.append(cls.audit_files(listed["site"], **of_package))
        return dict(cls.write_report(listed, cls.merge(parts), []))


@pytest.fixture
def tools() -> type[Tools]:
    """The workflow's functions."""
    return Tools


@pytest.fixture
def new_environment(tmp_path: Path) -> Callable[[str], FakeEnvironment]:
    """Makes further environments."""
    return lambda name: FakeEnvironment(tmp_path / name)
