"""What the workers do: plain functions, which know nothing of each other or of the run."""

from pathlib import Path

from orch import Failure


def list_notes(folder):
    """The Markdown files in a folder."""
    if not Path(folder).is_dir():
        raise Failure("no_folder", f"{folder} is not a folder")
    return sorted(str(path) for path in Path(folder).glob("*.md"))


def find_todos(path):
    """The lines of a file that say TODO."""
    lines = Path(path).read_text(encoding="utf-8").splitlines()
    return [
        {"path": path, "line": number, "text": line.partition("TODO")[2].strip(" :")}
        for number, line in enumerate(lines, start=1)
        if "TODO" in line
    ]
