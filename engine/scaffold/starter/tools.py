"""The functions of the workers. They know nothing about each other or the run."""

from pathlib import Path

from orch import Failure


def list_notes(folder):
    """List the Markdown files in a folder."""
    if not Path(folder).is_dir():
        raise Failure("no_folder", f"{folder} is not a folder")
    return sorted(str(path) for path in Path(folder).glob("*.md"))


def find_todos(path):
    """Find the lines with TODO in a file."""
    lines = Path(path).read_text(encoding="utf-8").splitlines()
    return [
        {"path": path, "line": number, "text": line.partition("TODO")[2].strip(" :")}
        for number, line in enumerate(lines, start=1)
        if "TODO" in line
    ]
