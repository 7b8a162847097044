"""Inside a job's process: mailboxes worked off by a few threads, and an end within seconds when it is asked for."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import FrameType
from uuid import UUID

from django.db import connections

from mailboxes import faults
from mailboxes.services import stop

THREADS = 8
JOB_SECONDS = 300.0  # after which no further mailbox is begun; far below a lease
GRACE_SECONDS = 6.5  # for the chunks under way; then the process ends in the middle, and nothing of them is stored
CUT_SECONDS = 1.0  # for giving back the leases then

log = logging.getLogger(__name__)

Pair = tuple[UUID, UUID]
"""A mailbox and the ticket to work on it."""


_held: dict[int, Callable[[], None]] = {}


@contextmanager
def holding(put_back: Callable[[], None]) -> Iterator[None]:
    """While it lasts, being cut off calls `put_back` first, so that a lease does not outlive this process for long."""
    _held[id(put_back)] = put_back
    try:
        yield
    finally:
        _held.pop(id(put_back), None)


def asked_to_stop(number: int, frame: FrameType | None) -> None:
    """The handler of SIGTERM. Whoever does not come back in time is cut off: every write is a transaction."""
    stop.request()
    _later(GRACE_SECONDS, _cut_off)


def _cut_off() -> None:
    _later(CUT_SECONDS, lambda: os._exit(0))  # should the database not answer
    for put_back in list(_held.values()):
        try:
            put_back()
        except Exception as fault:
            log.error("a lease could not be given back: %s", faults.told(fault))  # noqa: TRY400
    os._exit(0)


def _later(seconds: float, do: Callable[[], None]) -> None:
    timer = threading.Timer(seconds, do)
    timer.daemon = True
    timer.start()


def work_off(
    pairs: Sequence[tuple[str, str]], work: Callable[[UUID, UUID], None], put_back: Callable[[UUID, UUID], None]
) -> None:
    """Calls `work` for each pair, in up to eight threads, and `put_back` for those that there was no time to begin."""
    waiting: deque[Pair] = deque((UUID(mailbox), UUID(ticket)) for mailbox, ticket in pairs)
    until = time.monotonic() + JOB_SECONDS

    def run() -> None:
        try:
            while waiting and not stop.requested() and time.monotonic() < until:
                try:
                    pair = waiting.popleft()
                except IndexError:  # another thread was faster
                    return
                try:
                    work(*pair)
                except Exception as fault:
                    log.error("mailbox %s: %s", pair[0], faults.told(fault))  # noqa: TRY400
                    connections.close_all()  # a database that went away would fail all that follow in this thread
        finally:
            connections.close_all()

    threads = [threading.Thread(target=run, name=f"mailbox-{number}") for number in range(min(THREADS, len(waiting)))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for pair in waiting:
        put_back(*pair)
    connections.close_all()
