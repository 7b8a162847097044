"""Real workers and a real dispatcher, killed, paused and asked to stop in the middle of a sync."""

from __future__ import annotations

import os
import random
import signal
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from subprocess import Popen

import pytest

from tests.servers.dovecot import Dovecot
from tests.servers.redis import Redis
from tests.sync.house import House, horses, is_running, until
from tests.sync.mail import message

MANY = 180
CHUNK = 4  # messages in one transaction


@pytest.fixture(scope="module")
def redis() -> Iterator[Redis]:
    with Redis() as server:
        yield server


@pytest.fixture(scope="module")
def migrated(dovecot: Dovecot, redis: Redis) -> Iterator[Path]:
    """A folder with a database that has its tables: making them takes longer than the tests."""
    with House(dovecot, redis) as house:
        house.prepare()
        yield house.data


@pytest.fixture
def house(dovecot: Dovecot, redis: Redis, migrated: Path) -> Iterator[House]:
    redis.empty()
    with House(dovecot, redis, like=migrated) as house:
        yield house


@pytest.fixture
def filled(dovecot: Dovecot, address: str) -> str:
    for number in range(MANY):
        dovecot.deliver(address, message(number), ("INBOX", "Sent", "Projekte")[number % 3])
    return address


def exact(house: House, address: str) -> None:
    """Every message once, byte for byte, in its folder."""
    told = house.inside("dump")["messages"]
    found = Counter((folder, bytes.fromhex(raw)) for owner, folder, _, raw in told if owner == address)
    wanted = Counter((("INBOX", "Sent", "Projekte")[number % 3], message(number)) for number in range(MANY))
    assert found == wanted


def test_the_dispatcher_and_a_worker_sync_a_mailbox(house: House, filled: str) -> None:
    house.prepare(filled)
    house.start("rqworker", "sync")
    house.start("dispatch")

    until(lambda: house.count() == MANY, why="all messages")

    until(lambda: house.sql("SELECT count(*) FROM mailboxes_mailbox WHERE lease_id IS NULL")[0][0] == 1)
    exact(house, filled)
    assert "Traceback" not in house.log


def kill_at_a_random_moment(house: House, worker: Popen[bytes], rng: random.Random, *, with_worker: bool) -> None:
    """Some messages later, and up to 10 ms after that, in the middle of whatever is done then."""
    horse = until(lambda: horses(worker), why="a horse")[0]
    target, moment = house.count() + rng.randrange(1, 30), rng.random() * 0.01
    until(lambda: house.count() >= target or not is_running(horse), why="progress")
    end = time.perf_counter() + moment
    while time.perf_counter() < end:
        pass
    if with_worker:
        worker.kill()
        worker.wait(10)
        until(lambda: not is_running(horse), seconds=5, why="the horse to die with its worker")
    elif is_running(horse):
        os.kill(horse, signal.SIGKILL)
    house.time_passes()


def test_a_worker_killed_at_any_moment_loses_and_doubles_nothing(house: House, filled: str) -> None:
    house.prepare(filled)
    house.start("dispatch")
    worker = house.start("rqworker", "sync", chunk=CHUNK)
    rng = random.Random(20261121)
    killed = 0
    while killed < 10 and house.count() < MANY:
        kill_at_a_random_moment(house, worker, rng, with_worker=killed % 4 == 3)
        killed += 1
        if worker.poll() is not None:
            worker = house.start("rqworker", "sync", chunk=CHUNK)

    until(lambda: house.count() >= MANY, why="all messages")

    exact(house, filled)
    assert killed >= 5


def everything(house: House) -> list[object]:
    """Every row that a sync writes but packs: one that was being written stays unused."""
    tables = ("mailbox", "folder", "message", "body", "syncrun", "signin", "fetchdebt")
    return [house.sql(f"SELECT * FROM mailboxes_{table} ORDER BY id") for table in tables]


def test_a_worker_paused_past_its_lease_changes_nothing(house: House, filled: str) -> None:
    house.prepare(filled)
    dispatcher = house.start("dispatch")
    first = house.start("rqworker", "sync", chunk=1)
    horse = until(lambda: horses(first), why="a horse")[0]

    def paused() -> bool:
        """Not in the middle of a transaction, where it would hold the lock of SQLite."""
        os.kill(horse, signal.SIGSTOP)
        if house.count() >= 10 and house.is_free():
            return True
        os.kill(horse, signal.SIGCONT)
        return False

    until(paused)
    before = house.count()
    assert before < MANY
    os.kill(first.pid, signal.SIGSTOP)
    house.time_passes()
    house.start("rqworker", "sync", chunk=CHUNK)
    until(lambda: house.count() == MANY, why="the other worker to finish")
    until(lambda: house.sql("SELECT count(*) FROM mailboxes_mailbox WHERE lease_id IS NULL")[0][0] == 1)
    dispatcher.kill()
    state = everything(house)

    os.kill(horse, signal.SIGCONT)
    until(lambda: not is_running(horse), why="the first worker to stop")

    assert everything(house) == state
    exact(house, filled)


def test_asked_to_stop_a_worker_ends_within_seconds_with_its_chunk_committed(house: House, filled: str) -> None:
    mailbox = house.prepare(filled)[filled]
    dispatcher = house.start("dispatch")
    worker = house.start("rqworker", "sync", chunk=CHUNK)
    horse = until(lambda: horses(worker), why="a horse")[0]
    until(lambda: house.count() >= 8, why="progress")
    dispatcher.kill()

    started = time.monotonic()
    worker.send_signal(signal.SIGTERM)
    worker.wait(10)

    assert time.monotonic() - started < 9
    assert not is_running(horse)
    assert 0 < house.count() < MANY
    assert house.count() % CHUNK == 0
    assert house.lease(mailbox) == (None, None)  # due again at once, for the next worker
    house.start("dispatch")
    house.start("rqworker", "sync")
    until(lambda: house.count() == MANY, why="the next worker")
    exact(house, filled)


def test_without_redis_nothing_is_held_and_afterwards_it_goes_on(house: House, filled: str, redis: Redis) -> None:
    mailbox = house.prepare(filled)[filled]
    redis.stop()
    try:
        dispatcher = house.start("dispatch")
        until(lambda: "Redis does not answer" in house.log, why="the complaint")
        assert dispatcher.poll() is None
        assert house.lease(mailbox) == (None, None)
    finally:
        redis.start()
    house.start("rqworker", "sync")

    until(lambda: house.count() == MANY, why="all messages")
    assert house.log.count("Redis does not answer") == 1
    started = time.monotonic()
    dispatcher.send_signal(signal.SIGTERM)
    assert dispatcher.wait(5) == 0
    assert time.monotonic() - started < 3
