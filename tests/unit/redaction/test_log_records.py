"""Log records made on behalf of a run hold no secrets; those of others are left alone."""

from __future__ import annotations

import asyncio
import io
import logging
import threading
from collections.abc import Iterator
from contextvars import copy_context

import pytest

from engine.redaction import Redactor, bound, current
from engine.redaction.logs import clean_log_records

SECRET = Redactor({"TOKEN": "hunter2hunter2"})


@pytest.fixture
def written() -> Iterator[io.StringIO]:
    """What a host program's log holds: everything, as it is set up."""
    clean_log_records()
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(logging.Formatter("%(name)s %(message)s"))
    root, level = logging.getLogger(), logging.getLogger().level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    yield stream
    root.removeHandler(handler)
    root.setLevel(level)


def test_records_of_any_logger_are_cleaned_inside(written: io.StringIO) -> None:
    log = logging.getLogger("somebody.else")
    log.info("before %s", "hunter2hunter2")
    with bound(SECRET):
        log.info('GET %s "%d"', "http://x/?key=hunter2hunter2", 200)
        log.debug("nothing %s", "here")
        log.info("%d", "hunter2hunter2")
    log.info("after %s", "hunter2hunter2")
    assert written.getvalue().splitlines() == [
        "somebody.else before hunter2hunter2",
        'somebody.else GET http://x/?key=[secret TOKEN] "200"',
        "somebody.else nothing here",
        "somebody.else %d",
        "somebody.else after hunter2hunter2",
    ]


def test_tracebacks_are_cleaned(written: io.StringIO) -> None:
    with bound(SECRET):
        try:
            raise ValueError("no luck with hunter2hunter2")
        except ValueError:
            logging.getLogger("x").exception("it failed", stack_info=True)
    assert "ValueError: no luck with [secret TOKEN]" in written.getvalue()
    assert "hunter2hunter2" not in written.getvalue()


def test_two_runs_at_once_have_one_each(written: io.StringIO) -> None:
    async def run(name: str, value: str) -> None:
        with bound(Redactor({name: value})):
            await asyncio.sleep(0)
            logging.getLogger(name).info("value-of-a value-of-b")

    async def both() -> None:
        await asyncio.gather(run("A", "value-of-a"), run("B", "value-of-b"))

    asyncio.run(both())
    assert written.getvalue().splitlines()[-2:] == [
        "A [secret A] value-of-b",
        "B value-of-a [secret B]",
    ]
    assert not current()


def test_a_thread_that_copies_the_context_is_inside(written: io.StringIO) -> None:
    with bound(SECRET):
        context = copy_context()
    threads = [
        threading.Thread(target=context.run, args=(logging.info, "hunter2hunter2")),
        threading.Thread(target=logging.info, args=("hunter2hunter2",)),
    ]
    for thread in threads:
        thread.start()
        thread.join()
    assert written.getvalue().splitlines() == ["root [secret TOKEN]", "root hunter2hunter2"]


def test_a_factory_of_the_host_is_kept(written: io.StringIO) -> None:
    before = logging.getLogRecordFactory()

    def own(*args: object, **kwargs: object) -> logging.LogRecord:
        record = before(*args, **kwargs)
        record.msg = f"own: {record.msg}"
        return record

    logging.setLogRecordFactory(own)
    try:
        clean_log_records()
        clean_log_records()
        with bound(SECRET):
            logging.info("hunter2hunter2")
    finally:
        logging.setLogRecordFactory(before)
    assert written.getvalue().splitlines() == ["root own: [secret TOKEN]"]
