"""Real git repositories for the tests, made by git itself with fixed names and dates."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from engine.callables import load_callable

FOLDER = str(Path(__file__).parent.parent)


class GitRepo:
    """A repository under construction; each commit is a day after the one before."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.day = 0
        root.mkdir(parents=True, exist_ok=True)
        self.git("init", "-q", "-b", "main")

    def __str__(self) -> str:
        return str(self.root)

    def git(self, *arguments: str, author: str = "ann") -> str:
        """Run git in the repository; its output."""
        date = f"2024-01-{self.day + 1:02d}T12:00:00+0000"
        environment = os.environ | {
            "GIT_AUTHOR_NAME": author,
            "GIT_AUTHOR_EMAIL": f"{author}@example.org",
            "GIT_COMMITTER_NAME": author,
            "GIT_COMMITTER_EMAIL": f"{author}@example.org",
            "GIT_AUTHOR_DATE": date,
            "GIT_COMMITTER_DATE": date,
        }
        done = subprocess.run(
            ["git", *arguments], cwd=self.root, env=environment, capture_output=True, check=True
        )
        return done.stdout.decode("utf-8", "replace").strip()

    def write(self, path: str | bytes, content: str | bytes) -> None:
        """Write a file, and the folders it needs."""
        target = Path(os.fsdecode(os.path.join(os.fsencode(self.root), os.fsencode(path))))
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content.encode() if isinstance(content, str) else content)

    def commit(self, files: dict[str, str] | None = None, author: str = "ann") -> str:
        """Write some files and commit everything; the commit's hash."""
        for path, content in (files or {}).items():
            self.write(path, content)
        self.git("add", "-A")
        self.git("commit", "-q", "--allow-empty", "-m", f"day {self.day + 1}", author=author)
        self.day += 1
        return self.git("rev-parse", "HEAD")


@pytest.fixture(autouse=True)
def _plain_git(monkeypatch: pytest.MonkeyPatch) -> None:
    """The person's own git configuration must not change what the tests see."""
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")


@pytest.fixture
def repo(tmp_path: Path) -> GitRepo:
    """An empty repository."""
    return GitRepo(tmp_path / "repo")


@pytest.fixture
def new_repo(tmp_path: Path) -> Callable[[str], GitRepo]:
    """Makes further repositories."""
    return lambda name: GitRepo(tmp_path / name)


class Tools:
    """The workflow's functions, loaded as the engine loads them, by worker."""

    tracked_files = staticmethod(load_callable("repo_tools.files:tracked_files", FOLDER))
    churn = staticmethod(load_callable("repo_tools.history:churn", FOLDER))
    complexity = staticmethod(load_callable("repo_tools.code:complexity", FOLDER))
    risky_constructs = staticmethod(load_callable("repo_tools.code:risky_constructs", FOLDER))
    todos = staticmethod(load_callable("repo_tools.todos:todos", FOLDER))
    test_inventory = staticmethod(load_callable("repo_tools.inventory:inventory", FOLDER))
    notable = staticmethod(load_callable("notable:notable", FOLDER))
    read_lines = staticmethod(load_callable("repo_tools.lines:read_lines", FOLDER))
    write_report = staticmethod(load_callable("repo_tools.report:write_report", FOLDER))
    claims_resolve = staticmethod(load_callable("verify:claims_resolve", FOLDER))
    plan = staticmethod(load_callable("planner:plan", FOLDER))
    analyse = staticmethod(load_callable("repo_tools.pysource:analyse", FOLDER))

    @classmethod
    def call(cls, worker: str, **inputs: Any) -> Any:
        """Call a worker's function by the worker's name."""
        return getattr(cls, worker)(**inputs)


@pytest.fixture
def tools() -> type[Tools]:
    """The workflow's functions."""
    return Tools
