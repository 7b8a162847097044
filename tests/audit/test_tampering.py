"""Somebody who can write to the database goes round the triggers: what a check finds then, and where."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from uuid import UUID

import pytest
from django.db import connection, models, transaction

import audit
from audit.canonical import GENESIS
from audit.entry import FIELDS, entry_hash, from_row
from audit.heads import write_heads
from audit.models import AuditEvent, ChainHead
from audit.signed_head import ChainHeads, read_heads
from audit.signing import own_public_keys
from tests.audit.conftest import Write
from tests.audit.lifted_triggers import lifted_triggers

pytestmark = [pytest.mark.django_db, pytest.mark.both_databases]

Tamper = Callable[..., None]


@pytest.fixture
def events(chain: UUID) -> models.QuerySet[AuditEvent]:
    return AuditEvent.objects.filter(chain=chain)


def signed(log: Path, chain: UUID) -> ChainHeads:
    with log.open("rb") as lines:
        return read_heads(lines, own_public_keys())[str(chain)]


def rewrite(chain: UUID, start: int) -> None:
    """Compute all hashes again from event `start` on, as a patient forger would."""
    previous_hash = AuditEvent.objects.get(chain=chain, seq=start - 1).hash if start > 1 else GENESIS
    for event in AuditEvent.objects.filter(chain=chain, seq__gte=start).order_by("seq"):
        event.previous_hash = previous_hash
        event.hash = previous_hash = entry_hash(from_row({name: getattr(event, name) for name in FIELDS}))
        event.save()
    newest = AuditEvent.objects.filter(chain=chain).latest("seq")
    ChainHead.objects.filter(chain=chain).update(seq=newest.seq, hash=newest.hash)


def test_an_untouched_chain_is_good(chain: UUID) -> None:
    result = audit.verify(chain)

    assert (result.ok, result.count, result.first_bad, result.tail_proven) == (True, 10, None, False)
    assert result.head == AuditEvent.objects.get(chain=chain, seq=10).hash
    assert "tail not proven" in result.why


@pytest.mark.parametrize(
    "change",
    [
        {"actor_label": "eve@example.org"},
        {"detail": {"number": 4, "more": 1}},
        {"detail": {"number": 4.5}},
        {"at": "2026-01-01T00:00:00Z"},
        {"object_id": "7"},
        {"outcome": "failed"},
        {"previous_hash": GENESIS},
        {"previous_hash": "not hexadecimal"},
        {"hash": GENESIS},
    ],
    ids=repr,
)
def test_a_changed_event_is_found(chain: UUID, events: models.QuerySet[AuditEvent], change: dict[str, object]) -> None:
    with lifted_triggers(connection):
        events.filter(seq=5).update(**change)

    result = audit.verify(chain)

    assert (result.ok, result.count, result.first_bad) == (False, 4, 5)


def test_an_event_changed_together_with_its_own_hash_breaks_the_next(
    chain: UUID, events: models.QuerySet[AuditEvent]
) -> None:
    with lifted_triggers(connection):
        event = events.get(seq=5)
        event.actor_label = "eve@example.org"
        event.hash = entry_hash(from_row({name: getattr(event, name) for name in FIELDS}))
        event.save()

    assert audit.verify(chain).first_bad == 6


def test_a_removed_event_is_found(chain: UUID, events: models.QuerySet[AuditEvent]) -> None:
    with lifted_triggers(connection):
        events.filter(seq=5).delete()

    assert audit.verify(chain).first_bad == 5


def test_two_swapped_events_are_found(chain: UUID, events: models.QuerySet[AuditEvent]) -> None:
    with lifted_triggers(connection):
        for old, new in ((4, 99), (7, 4), (99, 7)):
            events.filter(seq=old).update(seq=new)

    assert audit.verify(chain).first_bad == 4


@pytest.mark.parametrize(("seq", "found_at"), [(0, 0), (11, 11), (15, 11)])
def test_an_inserted_event_is_found(chain: UUID, events: models.QuerySet[AuditEvent], seq: int, found_at: int) -> None:
    with lifted_triggers(connection):
        event = events.get(seq=5)
        event.pk, event.seq = None, seq
        event.save(force_insert=True)

    assert audit.verify(chain).first_bad == found_at


def test_an_event_moved_to_another_tenant_is_missed_in_its_chain(chain: UUID, write: Write) -> None:
    other = write(None)
    with lifted_triggers(connection):
        AuditEvent.objects.filter(chain=chain, seq=5).update(chain=other.chain, tenant_id=None, seq=2)

    assert audit.verify(chain).first_bad == 5
    assert audit.verify(other.chain).first_bad == 2


def test_a_tail_cut_off_with_its_head_row_is_found_only_with_a_signed_head(
    chain: UUID, events: models.QuerySet[AuditEvent], head_log: Path
) -> None:
    write_heads()
    with lifted_triggers(connection):
        events.filter(seq__gt=7).delete()
        ChainHead.objects.filter(chain=chain).update(seq=7, hash=events.get(seq=7).hash)

    without, with_head = audit.verify(chain), audit.verify(chain, signed(head_log, chain))

    assert (without.ok, without.count, without.tail_proven) == (True, 7, False)
    assert (with_head.ok, with_head.count, with_head.first_bad, with_head.tail_proven) == (False, 7, 8, False)


def test_a_tail_cut_off_carelessly_is_found_by_the_head_row(chain: UUID, events: models.QuerySet[AuditEvent]) -> None:
    with lifted_triggers(connection):
        events.filter(seq__gt=7).delete()

    assert audit.verify(chain).first_bad == 8


def test_a_chain_written_anew_is_found_only_with_a_signed_head(
    chain: UUID, events: models.QuerySet[AuditEvent], head_log: Path
) -> None:
    write_heads()
    with lifted_triggers(connection):
        events.filter(seq=3).update(actor_label="eve@example.org")
        rewrite(chain, start=3)

    without, with_head = audit.verify(chain), audit.verify(chain, signed(head_log, chain))

    assert without.ok
    assert (with_head.ok, with_head.first_bad) == (False, 10)


def test_a_chain_written_anew_without_its_head_row_is_found_at_its_end(
    chain: UUID, events: models.QuerySet[AuditEvent]
) -> None:
    with lifted_triggers(connection):
        head = ChainHead.objects.get(chain=chain)
        events.filter(seq=3).update(actor_label="eve@example.org")
        rewrite(chain, start=3)
        head.save()

    assert audit.verify(chain).first_bad == 10


def test_two_genuine_heads_that_disagree_show_a_chain_written_anew(chain: UUID, head_log: Path) -> None:
    write_heads()
    shipped = head_log.read_bytes()
    head_log.unlink()
    with lifted_triggers(connection):
        AuditEvent.objects.filter(chain=chain, seq=3).update(actor_label="eve@example.org")
        rewrite(chain, start=3)
    write_heads()
    anew = head_log.read_bytes()

    verdicts = []
    for lines in (anew, shipped + anew, anew + shipped):
        head_log.write_bytes(lines)
        verdicts.append(audit.verify(chain, signed(head_log, chain)).first_bad)

    assert verdicts == [None, 10, 10]


def test_a_chain_that_vanished_is_missed_with_a_signed_head(chain: UUID, head_log: Path) -> None:
    write_heads()
    with lifted_triggers(connection):
        AuditEvent.objects.all().delete()
        ChainHead.objects.all().delete()

    assert audit.verify(chain, signed(head_log, chain)).first_bad == 1


def test_a_row_beyond_reading_is_found_like_a_changed_one(chain: UUID) -> None:
    unreadable = {
        "sqlite": ["detail = 'no json'", "actor_label = CAST(x'ff' AS TEXT)", "at = 'soon'", "tenant_id = 'acme'"],
        "postgresql": ["at = 'infinity'", "at = '12026-11-21T00:00:00Z'"],
    }
    for change in unreadable[connection.vendor]:
        with lifted_triggers(connection), transaction.atomic(), connection.cursor() as cursor:
            if connection.vendor == "sqlite":
                cursor.execute("PRAGMA ignore_check_constraints = ON")
            cursor.execute(f"UPDATE audit_auditevent SET {change} WHERE seq = 5")
            if connection.vendor == "sqlite":  # the connection outlives this test, and others count on constraints
                cursor.execute("PRAGMA ignore_check_constraints = OFF")

        result = audit.verify(chain)

        assert (result.count, result.first_bad) == (4, 5), change


def test_signed_heads_prove_the_tail_up_to_the_newest(chain: UUID, write: Write, head_log: Path) -> None:
    write_heads()
    write(chain)

    result = audit.verify(chain, signed(head_log, chain))

    assert (result.ok, result.count, result.tail_proven) == (True, 11, True)
    assert result.why == "proven by signed heads up to event 10"


@pytest.mark.parametrize("field", ["seq", "hash", "at", "key_id", "signature"])
def test_a_forged_head_proves_nothing(chain: UUID, head_log: Path, field: str) -> None:
    write_heads()
    head = json.loads(head_log.read_bytes())
    forged = {"seq": 9, "hash": "a" * 64, "at": "2030-01-01T00:00:00.000000Z", "key_id": "b" * 32, "signature": "AAAA"}
    head_log.write_text(json.dumps(head | {field: forged[field]}) + "\n")

    result = audit.verify(chain, signed(head_log, chain))

    assert (result.ok, result.tail_proven) == (True, False)
    assert "signature" in result.why
