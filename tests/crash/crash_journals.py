"""Journals of every format that was ever released, as SQL, for versions to come to read.

    python tests/crash/crash_journals.py        # keep one of the present format

Keeps the journal of a desk (`parcels/`) that waits at its gate as `journals/format-N.sql`. Blobs
stand there as text where they are text; the folder and the shop's address are placeholders.
"""

from __future__ import annotations

import sqlite3
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from crash_shop import Shop
from crash_world import World, start_fork_server

from engine.events import FORMAT

__all__ = ["JOURNALS", "restore"]

JOURNALS = Path(__file__).parent / "journals"
_TABLES = ("meta", "runs", "events", "blobs")


def restore(kept: Path, path: Path, folder: Path) -> None:
    """Make the database that was kept, for a desk in `folder`."""
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(kept.read_text().replace("@FOLDER@", str(folder)))


def _keep(path: Path, folder: Path, url: str) -> str:
    with closing(sqlite3.connect(path)) as connection:
        lines = [f"PRAGMA page_size = {connection.execute('PRAGMA page_size').fetchone()[0]};"]
        made = "SELECT sql FROM sqlite_master WHERE sql IS NOT NULL ORDER BY rowid"
        lines += [f"{sql};" for (sql,) in connection.execute(made)]
        for table in _TABLES:
            for row in connection.execute(f"SELECT * FROM {table}"):
                lines.append(f"INSERT INTO {table} VALUES ({', '.join(_literals(row))});")
    return "\n".join(lines).replace(str(folder), "@FOLDER@").replace(url, "http://127.0.0.1:1")


def _literals(row: tuple[object, ...]) -> Iterator[str]:
    for value in row:
        if value is None:
            yield "NULL"
        elif isinstance(value, bytes):
            try:
                yield f"CAST({_quoted(value.decode())} AS BLOB)"
            except UnicodeDecodeError:
                yield f"X'{value.hex()}'"
        else:
            yield _quoted(value) if isinstance(value, str) else str(value)


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def main() -> None:
    """Keep a journal of the present format."""
    start_fork_server()
    with tempfile.TemporaryDirectory() as place, Shop() as shop:
        world = World(Path(place) / "desk", shop)
        world.run()
        code, _, stderr = world.orch("tell", "last", "Handle with care.", "--by", "ann")
        assert code == 0, stderr  # with a note, which older formats do not have
        text = _keep(world.journal / "journal.db", world.folder, f"{shop.url}/{world.name}")
    JOURNALS.mkdir(exist_ok=True)
    (JOURNALS / f"format-{FORMAT}.sql").write_text(text + "\n")


if __name__ == "__main__":
    main()
