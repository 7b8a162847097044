"""A fault is logged by its kind and place. Its text may quote a row: a database says what it could not store."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest
from django.db import DataError
from django.utils import timezone
from rq import Queue

from mailboxes import faults
from mailboxes.jobs import horse, upkeep
from mailboxes.jobs.worker import Worker
from mailboxes.management.commands.dispatch import Command
from mailboxes.models import Mailbox, SyncRun
from mailboxes.services import leases
from mailboxes.services.poll import poll
from tests.pages.conftest import house  # noqa: F401
from tests.pages.house import House
from tests.servers.redis import Redis

QUOTED = "DETAIL:  Failing row contains (Delivery dates, anna@contoso.example)."


def fail(*args: Any, **kwargs: Any) -> Any:
    try:
        raise DataError(QUOTED)
    except DataError as error:
        raise RuntimeError(QUOTED) from error


def nothing(*_: Any) -> None:
    pass


def is_told_without_words(text: str) -> bool:
    assert "RuntimeError from DataError" in text and f"{__file__}:" in text and " fail" in text
    return "contoso" not in text and "Delivery" not in text and "DETAIL" not in text


def test_a_fault_is_told_by_kinds_and_places() -> None:
    with pytest.raises(RuntimeError) as caught:
        fail()

    assert is_told_without_words(faults.told(caught.value))


def test_a_poll_that_breaks_quotes_nobody(house: House, caplog: pytest.LogCaptureFixture) -> None:  # noqa: F811
    Mailbox.objects.filter(pk=house.mailbox.pk).update(state=Mailbox.State.ACTIVE, lease_id=None, lease_until=None)
    claim = leases.claim_one(house.mailbox.pk, timezone.now())
    assert claim

    run = poll(claim, connect=fail)

    assert run.state == SyncRun.State.FAILED
    assert str(house.mailbox.pk) in caplog.text and is_told_without_words(caplog.text)


@pytest.mark.django_db(transaction=True)
def test_a_job_that_breaks_quotes_nobody(caplog: pytest.LogCaptureFixture) -> None:
    mailbox = str(uuid4())

    horse.work_off([(mailbox, str(uuid4()))], fail, fail)

    assert mailbox in caplog.text and is_told_without_words(caplog.text)


def test_a_lease_that_cannot_be_given_back_quotes_nobody(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(horse, "_later", nothing)
    monkeypatch.setattr("os._exit", nothing)

    with horse.holding(fail):
        horse._cut_off()

    assert is_told_without_words(caplog.text)


def test_the_look_into_sent_quotes_nobody(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mailboxes.services.look_in_sent.due", lambda *_: [uuid4()])
    monkeypatch.setattr("mailboxes.services.look_in_sent.look", fail)

    upkeep.look_for_uncertain()

    assert is_told_without_words(caplog.text)


@pytest.mark.django_db(transaction=True)
def test_a_round_of_the_dispatcher_quotes_nobody(caplog: pytest.LogCaptureFixture) -> None:
    class Broken:
        go_round = fail

    Command()._round(Broken())  # type: ignore[arg-type]

    assert is_told_without_words(caplog.text)


@pytest.fixture
def queue() -> Iterator[Queue]:
    with Redis() as server:
        yield Queue("upkeep", connection=server.client())


def test_what_the_queue_keeps_of_a_failed_job_quotes_nobody(queue: Queue, caplog: pytest.LogCaptureFixture) -> None:
    job = queue.enqueue(fail)

    assert not Worker([queue], connection=queue.connection).perform_job(job, queue)

    kept = job.latest_result()
    assert kept is not None and is_told_without_words(kept.exc_string or "")
    assert is_told_without_words(caplog.text)
