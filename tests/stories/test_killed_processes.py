"""Workers that are killed, or stopped past their lease and continued, in the middle: nothing is lost, nothing comes twice."""

from __future__ import annotations

import os
import random
import signal
from collections.abc import Iterator
from typing import Any, Self

import pytest

from tests.servers.installation import is_alive, until
from tests.stories.gate import Gate
from tests.stories.letters import letters
from tests.stories.real_world import RealWorld
from tests.stories.slow_sink import SlowSink

LEASE = "5"  # seconds
COUNT = 120  # letters each time
SEED = 3


class Stage(RealWorld):
    """A connected mailbox, a gate before its IMAP server, a slow server behind its SMTP server."""

    def __init__(self) -> None:
        super().__init__(sink=SlowSink(), MAILHUB_POLL_LEASE_SECONDS=LEASE, MAILHUB_SEND_LEASE_SECONDS=LEASE)
        self.gate = Gate(self.dovecot.imaps)
        self.chance = random.Random(SEED)

    def __enter__(self) -> Self:
        self.gate.__enter__()
        super().__enter__()
        self.imap_port = self.gate.port
        self.register()
        self.connect()
        return self

    def __exit__(self, *error: Any) -> None:
        super().__exit__(*error)
        self.gate.__exit__()

    def begin_to_sync(self) -> tuple[int, int]:
        """New letters; a worker and its process that hang in the middle of fetching them."""
        before = self.stored()
        made = list(letters(self.chance.randrange(10**6), COUNT, self.address))
        self.gate.shut_after(self.chance.randrange(20_000, sum(len(raw) for _, raw in made) * 3 // 4))
        for folder, raw in made:
            self.dovecot.deliver(self.address, raw, folder)
        assert self.gate.shut.wait(30), "nobody came to fetch"
        assert self.stored() < before + COUNT
        return self.mailhub.at_work("sync")

    def begin_to_send(self, subject: str, *, until_stage: str) -> tuple[str, int, int]:
        """A message on its way; the worker and its process that hang at this stage of it."""
        assert isinstance(self.sink, SlowSink)
        self.sink.hold(until_stage)
        outbox_id = self.write(subject)
        assert self.sink.held.wait(30), "nobody came to send"
        return (outbox_id, *self.mailhub.at_work("send"))

    def received(self, subject: str) -> int:
        return sum(f"Subject: {subject}\r\n".encode() in message.raw for message in self.sink.messages)

    def all_is_exact(self) -> None:
        until("everything is read", lambda: self.stored() == len(self.at_server()) and self.all_is_read(), seconds=60)
        assert self.in_store() == self.at_server()
        counted = "select message_count, (select count(*) from mailboxes_message) from mailboxes_mailbox"
        ((kept, real),) = self.mailhub.rows(counted)
        assert kept == real
        assert self.mailhub.one("select count(*) from mailboxes_fetchdebt") == 0


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    with Stage() as stage:
        yield stage


def pause(*pids: int) -> None:
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)


def go_on(*pids: int) -> None:
    for pid in reversed(pids):
        os.kill(pid, signal.SIGCONT)


def test_a_worker_is_killed_in_the_middle_of_a_sync(stage: Stage) -> None:
    worker, process = stage.begin_to_sync()

    os.kill(worker, signal.SIGKILL)

    until("the process that it had forked is gone too", lambda: not is_alive(process))
    stage.gate.open()
    stage.all_is_exact()


def test_a_worker_sleeps_past_its_lease_in_the_middle_of_a_sync(stage: Stage) -> None:
    stage.mailhub.another_worker("sync")
    worker, process = stage.begin_to_sync()

    pause(worker, process)
    stage.all_is_exact()  # by the other one
    go_on(worker, process)
    stage.gate.open()

    until("the sleeper has given up", lambda: not is_alive(process))
    stage.all_is_exact()


def test_a_worker_is_killed_before_the_server_has_the_message(stage: Stage) -> None:
    outbox_id, worker, process = stage.begin_to_send("Killed before", until_stage="rcpt")

    os.kill(worker, signal.SIGKILL)

    until("the process that it had forked is gone too", lambda: not is_alive(process))
    stage.sink.let_go()
    stage.wait_for_outbox(outbox_id, "sent")
    assert stage.received("Killed before") == 1
    assert "abandoned" in stage.stages(outbox_id)


def test_a_worker_is_killed_when_the_server_has_the_message(stage: Stage) -> None:
    outbox_id, worker, process = stage.begin_to_send("Killed after", until_stage="data")

    os.kill(worker, signal.SIGKILL)

    until("the process that it had forked is gone too", lambda: not is_alive(process))
    stage.sink.let_go()
    stage.wait_for_outbox(outbox_id, "uncertain")
    another = stage.write("The next one")
    stage.wait_for_outbox(another, "sent")
    assert stage.received("Killed after") == 1
    assert stage.outbox(outbox_id) == "uncertain"


@pytest.mark.parametrize(("where", "ends_as"), [("rcpt", "sent"), ("data", "uncertain")])
def test_a_worker_sleeps_past_its_lease_in_the_middle_of_a_send(stage: Stage, where: str, ends_as: str) -> None:
    stage.mailhub.another_worker("send")
    subject = f"Slept at {where}"
    outbox_id, worker, process = stage.begin_to_send(subject, until_stage=where)

    pause(worker, process)
    stage.wait_for_outbox(outbox_id, ends_as)
    go_on(worker, process)
    stage.sink.let_go()

    until("the sleeper has given up", lambda: not is_alive(process))
    assert stage.outbox(outbox_id) == ends_as
    assert stage.received(subject) == 1
