"""The port of `via sql`: opens the database read-only for each call, in a thread of its own."""

import asyncio
import os
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from typing import Any

from orch.kinds import Failure, Program, WorkerReply, WorkerRequest, evaluated
from orch_sql.kind import PARAMETER

__all__ = ["SqlPort", "open_port"]


class SqlPort:
    """Carries out queries. It decides nothing: timeouts, retries and checks are the engine's."""

    async def call(self, request: WorkerRequest) -> WorkerReply:
        """Run the query of one task.

        Raises:
            Failure: `crashed`; the database cannot be read. `invalid_output`; there are more than
                `max_rows` rows.
        """
        database = str(evaluated(request, "database"))
        if "://" in database:
            rows = await _postgres(database, request)
        else:
            path = os.path.join(request.base_dir, database)
            rows = await _sqlite(path, request)
        most = request.worker.settings["max_rows"]
        if len(rows) > most:
            raise Failure("invalid_output", f"the query gives more than {most} rows")
        return WorkerReply(rows)


async def _sqlite(path: str, request: WorkerRequest) -> list[dict[str, Any]]:
    try:
        address = "file:" + path.replace("?", "%3f").replace("#", "%23") + "?mode=ro"
        connection = sqlite3.connect(address, uri=True, check_same_thread=False)
    except sqlite3.Error as error:
        raise Failure("crashed", f"cannot open {path}: {error}") from None
    with closing(connection):
        # `mode=ro` covers the file itself; this covers what a query could attach to it.
        connection.execute("PRAGMA query_only = ON")
        try:
            return await asyncio.to_thread(_read, connection, request)
        except asyncio.CancelledError:
            connection.interrupt()
            raise
        except sqlite3.Error as error:
            raise Failure("crashed", f"the query failed: {error}") from None


def _read(connection: sqlite3.Connection, request: WorkerRequest) -> list[dict[str, Any]]:
    settings = request.worker.settings
    cursor = connection.execute(settings["query"], dict(request.input))
    names = [column[0] for column in cursor.description or ()]
    rows = cursor.fetchmany(settings["max_rows"] + 1)
    return [dict(zip(names, row, strict=True)) for row in rows]


async def _postgres(url: str, request: WorkerRequest) -> list[dict[str, Any]]:
    try:
        import psycopg
        from psycopg.rows import dict_row
    except ImportError:
        raise Failure("crashed", "PostgreSQL needs `pip install 'orch-sql[postgres]'`") from None
    settings = request.worker.settings
    query = PARAMETER.sub(r"%(\1)s", settings["query"].replace("%", "%%"))
    values: Mapping[str, Any] = request.input
    try:
        async with await psycopg.AsyncConnection.connect(url, row_factory=dict_row) as connection:
            await connection.set_read_only(True)
            cursor = await connection.execute(query, values)
            return await cursor.fetchmany(settings["max_rows"] + 1)
    except psycopg.Error as error:
        raise Failure("crashed", f"the query failed: {error}", retryable=True) from None


def open_port(_: Program | None) -> SqlPort:
    """Called once a run."""
    return SqlPort()
