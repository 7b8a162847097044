"""Real workers, killed and stopped at any moment: what the server has, the outbox never says less than "uncertain"."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from mailboxes.models import Mailbox, OutboxMessage
from mailboxes.services import recover_sends
from tests.outbox.conftest import Queue, Send, stages
from tests.outbox.faulty_smtp import HOLD, FaultySmtp

pytestmark = pytest.mark.django_db(transaction=True)

ROOT = Path(__file__).resolve().parents[2]
State = OutboxMessage.State


class Worker:
    """The parent process; `begin` forks a child that sends what is due."""

    def __init__(self, settings: Any) -> None:
        database = connection.settings_dict
        environment = {
            **os.environ,
            "DJANGO_SETTINGS_MODULE": "mailhub.settings",
            "PYTHONPATH": str(ROOT),
            "MAILHUB_DATA": str(settings.MAILHUB_DATA),
            "DATABASE_URL": f"sqlite:///{database['NAME']}",
            "MAILHUB_SANDBOX": "off",
            "MAILHUB_ALLOWED_NETWORKS": "127.0.0.0/8,::1/128",
            "MAILHUB_CA_BUNDLE": str(settings.MAILHUB_CA_BUNDLE),
        }
        packs = str(settings.STORAGES["packs"]["OPTIONS"]["location"])
        self.process = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("worker_process.py")), packs],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def begin(self) -> int:
        return self._ask("go")

    def ended(self) -> int:
        """Waits for the child; its exit code, or minus the signal."""
        return self._ask("reap")

    def _ask(self, what: str) -> int:
        assert self.process.stdin
        assert self.process.stdout
        self.process.stdin.write(f"{what}\n")
        self.process.stdin.flush()
        return int(self.process.stdout.readline())

    def end(self) -> None:
        assert self.process.stdin
        self.process.stdin.close()
        self.process.kill()
        self.process.wait(10)
        assert self.process.stdout
        self.process.stdout.close()


@pytest.fixture
def worker(settings: Any, mailbox: Mailbox) -> Iterator[Worker]:
    if connection.vendor != "sqlite":
        pytest.skip("the worker process opens the test's own database file")
    worker = Worker(settings)
    yield worker
    worker.end()


def end_leases_and_recover() -> None:
    OutboxMessage.objects.filter(lease_until__isnull=False).update(lease_until=timezone.now() - timedelta(seconds=1))
    recover_sends.recover(timezone.now())


def wait_for(condition: Callable[[], bool]) -> None:
    until = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < until, "it never happened"
        time.sleep(0.005)


def test_killed_at_random_moments_nothing_is_sent_twice_and_nothing_is_lost(
    worker: Worker, smtp: FaultySmtp, queue: Queue, send: Send
) -> None:
    rng = random.Random(20261121)
    smtp.delay = 0.02
    found: Counter[str] = Counter()
    for number in range(24):
        outbox = queue()
        smtp.data_begun.clear()
        child = worker.begin()
        if number % 4:  # most of them around the dot
            assert smtp.data_begun.wait(10)
        time.sleep(rng.uniform(0.0, 0.05))
        os.kill(child, signal.SIGKILL)
        worker.ended()
        end_leases_and_recover()
        wait_for(lambda: not smtp.busy)

        outbox.refresh_from_db()
        copies = smtp.copies_of(outbox.message_id)
        found[outbox.state] += 1
        assert copies in {State.QUEUED: (0,), State.UNCERTAIN: (0, 1), State.SENT: (1,)}[State(outbox.state)]
        if outbox.state == State.QUEUED:
            send(outbox)
            assert outbox.state == State.SENT
        assert smtp.copies_of(outbox.message_id) <= 1

    assert len(smtp.taken) == len({received.raw for received in smtp.taken})
    assert len(found) > 1, f"the moments were not spread: {found}"


def test_killed_when_the_server_has_it_and_the_answer_is_missing(
    worker: Worker, smtp: FaultySmtp, queue: Queue
) -> None:
    outbox = queue()
    smtp.fail("dot", HOLD)
    child = worker.begin()
    assert smtp.holding.wait(10)

    os.kill(child, signal.SIGKILL)

    assert worker.ended() == -signal.SIGKILL
    end_leases_and_recover()
    outbox.refresh_from_db()
    assert (outbox.state, outbox.reason) == (State.UNCERTAIN, "worker_lost")
    assert smtp.copies_of(outbox.message_id) == 1
    worker.begin()
    assert worker.ended() == 0
    assert smtp.copies_of(outbox.message_id) == 1


def test_stopped_past_its_lease_before_the_dot_it_sends_nothing_when_it_goes_on(
    worker: Worker, smtp: FaultySmtp, queue: Queue, send: Send
) -> None:
    outbox = queue()
    smtp.fail("data", HOLD)
    child = worker.begin()
    assert smtp.holding.wait(10)

    os.kill(child, signal.SIGSTOP)
    end_leases_and_recover()
    outbox.refresh_from_db()
    assert outbox.state == State.QUEUED
    send(outbox)
    os.kill(child, signal.SIGCONT)
    smtp.released.set()

    assert worker.ended() == 0
    wait_for(lambda: not smtp.busy)
    outbox.refresh_from_db()
    assert outbox.state == State.SENT
    assert smtp.copies_of(outbox.message_id) == 1
    assert stages(outbox).count("dot_follows") == 1


def test_stopped_past_its_lease_after_the_dot_it_changes_nothing_when_it_goes_on(
    worker: Worker, smtp: FaultySmtp, queue: Queue
) -> None:
    outbox = queue()
    smtp.fail("dot", HOLD)
    child = worker.begin()
    assert smtp.holding.wait(10)

    os.kill(child, signal.SIGSTOP)
    end_leases_and_recover()
    os.kill(child, signal.SIGCONT)
    smtp.released.set()

    assert worker.ended() == 0
    outbox.refresh_from_db()
    assert (outbox.state, outbox.reason) == (State.UNCERTAIN, "worker_lost")
    assert stages(outbox)[-2:] == ["dot_follows", "abandoned"]
    assert smtp.copies_of(outbox.message_id) == 1
