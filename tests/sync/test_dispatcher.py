from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.core.cache import cache
from django.core.management import call_command
from django.db import connections
from django.utils import timezone
from rq import Queue

from accounts.models import Tenant
from mailboxes.jobs import upkeep
from mailboxes.jobs.dispatcher import CHORES, Dispatcher
from mailboxes.models import Mailbox, SignIn, SyncRun
from mailboxes.services import bell, health, leases, prune
from tests.servers.redis import Redis
from tests.sync.mail import connected_mailbox

IMAP = {"host": "imap.example.org", "port": 993, "security": "tls"}


@pytest.fixture(scope="module")
def server() -> Iterator[Redis]:
    with Redis() as server:
        yield server


@pytest.fixture
def redis(db: None, server: Redis, settings: Any) -> Iterator[Redis]:
    server.empty()
    call_command("createcachetable", verbosity=0)
    cache.clear()
    settings.REDIS_URL = server.url
    bell.connection.cache_clear()
    yield server
    bell.connection.cache_clear()


@pytest.fixture
def no_redis(db: None, settings: Any, tmp_path: Any) -> Iterator[None]:
    call_command("createcachetable", verbosity=0)
    cache.clear()
    settings.REDIS_URL = f"unix://{tmp_path}/none.sock"
    bell.connection.cache_clear()
    yield
    bell.connection.cache_clear()


def jobs(name: str) -> list[Any]:
    return Queue(name, connection=bell.connection()).jobs


def many(count: int) -> None:
    tenant = Tenant.objects.create(name="Contoso")
    for number in range(count):
        connected_mailbox(f"m{number}@example.org", imap=IMAP, tenant=tenant)


def test_due_mailboxes_become_jobs_of_ids_in_batches(redis: Redis) -> None:
    many(60)

    Dispatcher().go_round()

    batches = [job.args[0] for job in jobs("sync")]
    assert [len(batch) for batch in batches] == [50, 10]
    claimed = {str(pk): str(lease) for pk, lease in Mailbox.objects.values_list("pk", "lease_id")}
    assert {pk: lease for batch in batches for pk, lease in batch} == claimed
    assert {job.func_name for job in jobs("sync")} == {"mailboxes.jobs.sync.poll_batch"}


def test_a_second_round_rings_for_nothing_twice(redis: Redis) -> None:
    many(3)
    first, second = Dispatcher(), Dispatcher()

    first.go_round()
    second.go_round()
    first.go_round()

    assert len(jobs("sync")) == 1
    upkeep = [job.func_name.rpartition(".")[2] for job in jobs("upkeep")]
    assert sorted(upkeep) == sorted(set(upkeep))
    assert "write_audit_heads" in upkeep


def test_while_the_queue_is_long_nothing_more_is_claimed(redis: Redis) -> None:
    for _ in range(20):
        bell.ring("sync", "mailboxes.jobs.sync.poll_batch", [])
    many(2)

    Dispatcher().go_round()

    assert Mailbox.objects.filter(lease_id=None).count() == 2


def test_without_redis_nothing_is_claimed(no_redis: None, caplog: pytest.LogCaptureFixture) -> None:
    many(2)
    dispatcher = Dispatcher()

    assert dispatcher.go_round() is False
    assert dispatcher.go_round() is False

    assert Mailbox.objects.filter(lease_id=None).count() == 2
    assert len([line for line in caplog.messages if "Redis does not answer" in line]) == 1


def test_what_cannot_be_enqueued_is_given_back_at_once(redis: Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    many(60)
    ring, rung = bell.ring, []

    def breaks(*arguments: Any) -> None:
        if rung:
            raise bell.redis.ConnectionError
        rung.append(arguments)
        ring(*arguments)

    monkeypatch.setattr(bell, "ring", breaks)

    Dispatcher().go_round()

    assert Mailbox.objects.filter(lease_id=None).count() == 10


@pytest.mark.both_databases
@pytest.mark.django_db(transaction=True)
def test_dispatchers_that_claim_at_the_same_moment_share_the_mailboxes() -> None:
    many(40)
    start = threading.Barrier(4)
    won: list[leases.Claim] = []

    def claim() -> None:
        start.wait()
        for _ in range(10):
            won.extend(leases.claim_due(timezone.now(), 5))
        connections.close_all()

    threads = [threading.Thread(target=claim) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(won) == len({claim.mailbox_id for claim in won}) == 40


def test_health_says_in_words_what_is_wrong(redis: Redis) -> None:
    told = {part.name: part for part in health.parts()}
    assert "No dispatcher has run yet" in told["Dispatcher"].words
    assert "No worker" in told["Queue sync"].words
    assert not health.healthy()

    health.beat()
    health.note_chains([], 3)
    told = {part.name: part for part in health.parts()}
    assert told["Dispatcher"].ok
    assert told["Polling"].ok
    assert (told["Audit log"].look, told["Audit log"].value) == ("ok", 3)
    health.note_chains(["contoso"], 3)
    assert "contoso" in health.chains().words
    assert not health.chains().ok


def test_health_says_how_late_the_longest_waiting_mailbox_is(redis: Redis) -> None:
    connected_mailbox(imap=IMAP, next_poll_at=timezone.now() - timedelta(minutes=7))

    assert (health.behind().ok, health.behind().words) == (False, "The longest waiting mailbox is 7 min late.")


def test_health_without_redis(no_redis: None) -> None:
    (queue,) = [part for part in health.parts() if part.name.startswith("Queue")]

    assert not queue.ok
    assert "nothing is lost" in queue.words


def test_old_sign_ins_and_runs_go_the_newest_stay(db: None) -> None:
    mailbox = connected_mailbox(imap=IMAP)
    now = timezone.now()
    same = {"tenant": mailbox.tenant, "mailbox": mailbox}
    SignIn.objects.bulk_create(
        SignIn(**same, protocol="imap", outcome="ok", at=now - timedelta(days=days)) for days in (1, 29, 31, 40)
    )
    SyncRun.objects.bulk_create(
        SyncRun(**same, state="done", created_at=now - timedelta(minutes=n), ended_at=now - timedelta(minutes=n))
        for n in range(prune.RUNS_KEPT + 5)
    )

    assert prune.sign_ins(now - timedelta(days=prune.SIGN_IN_DAYS)) == 2
    assert prune.runs() == 5

    assert SignIn.objects.count() == 2
    assert SyncRun.objects.count() == prune.RUNS_KEPT
    assert SyncRun.objects.earliest("created_at").created_at >= now - timedelta(minutes=prune.RUNS_KEPT)


@pytest.mark.parametrize("chore", [chore.name for chore in CHORES])
def test_every_chore_can_be_done_at_any_time_and_twice(redis: Redis, chore: str) -> None:
    many(2)

    for _ in range(2):
        getattr(upkeep, chore)()
