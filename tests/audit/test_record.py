from __future__ import annotations

import enum
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.contrib.contenttypes.models import ContentType
from django.db import transaction
from django.utils.safestring import mark_safe
from hypothesis import HealthCheck, given, settings

import audit
from audit.canonical import GENESIS
from audit.models import INSTALLATION, AuditEvent, ChainHead
from tests.audit.conftest import Write
from tests.audit.test_canonical import VALUES

pytestmark = [pytest.mark.django_db, pytest.mark.both_databases]


class Reason(enum.StrEnum):
    ASKED = "asked"


def test_an_event_says_who_did_what_to_which_object_and_how_it_ended(
    tenant: Any, write: Write, person: audit.NamedActor
) -> None:
    before = datetime.now(UTC)

    event = write(tenant.pk, "member.removed", target=tenant, outcome="refused", detail={"why": Reason.ASKED})

    event.refresh_from_db()
    assert (event.actor_kind, event.actor_id, event.actor_label) == ("person", person.actor_id, "ada@example.org")
    assert (event.object_type, event.object_id) == (tenant._meta.label_lower, str(tenant.pk))
    assert (event.object_label, event.action, event.outcome) == (str(tenant), "member.removed", "refused")
    assert event.detail == {"why": "asked"}
    assert (event.chain, event.tenant_id, event.seq, event.previous_hash) == (tenant.pk, tenant.pk, 1, GENESIS)
    assert before <= event.at <= datetime.now(UTC)


def test_each_chain_counts_for_itself_and_the_installation_has_its_own(write: Write) -> None:
    one, other = uuid4(), uuid4()

    numbers = [write(tenant).seq for tenant in (one, one, None, other, one, None)]

    assert numbers == [1, 2, 1, 1, 3, 2]
    assert AuditEvent.objects.filter(chain=INSTALLATION, tenant_id=None).count() == 2
    assert all(audit.verify(chain).ok for chain in (one, other, INSTALLATION))


def test_recording_outside_of_a_transaction_is_refused(person: audit.NamedActor) -> None:
    with pytest.raises(transaction.TransactionManagementError):
        audit.record("mailbox.connected", actor=person, tenant_id=None)


def test_a_deed_that_is_rolled_back_leaves_no_event_and_no_gap(chain: UUID, write: Write) -> None:
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        write(chain)
        raise ZeroDivisionError

    assert write(chain).seq == 11
    assert ChainHead.objects.get(chain=chain).seq == 11
    assert audit.verify(chain).ok


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(detail=VALUES)
def test_no_detail_changes_its_hash_on_the_way_through_the_database(write: Write, detail: Any) -> None:
    tenant_id = uuid4()

    write(tenant_id, detail={"it": detail})

    assert AuditEvent.objects.get(chain=tenant_id).detail == {"it": detail}
    assert audit.verify(tenant_id).ok


def test_hostile_text_from_outside_cannot_stop_the_deed(write: Write) -> None:
    label = "a\0b\ud800c\nd" + "x" * 300
    target = ContentType(pk=7, app_label="mail", model=label)

    event = write(None, target=target, detail={"subject\0": ["\udfff", mark_safe("<b>")]})

    event.refresh_from_db()
    assert event.detail == {"subject\ufffd": ["\ufffd", "<b>"]}
    assert len(event.object_label) == 254
    assert not {"\0", "\n", "\ud800"} & set(event.object_label)
    assert audit.verify(INSTALLATION).ok


@pytest.mark.parametrize(
    "wrong",
    [
        {"action": "connected"},
        {"action": "Mailbox.Connected"},
        {"outcome": "maybe"},
        {"actor": audit.NamedActor("robot", "", "R2")},
        {"target": "mailbox 7"},
        {"target": ContentType(app_label="not", model="saved")},
        {"detail": {"at": datetime(2026, 1, 1, tzinfo=UTC)}},
        {"detail": {"cost": 1.5}},
        {"detail": {"body": "x" * 16_384}},
        {"detail": [1]},
    ],
    ids=repr,
)
def test_what_the_chain_does_not_take_is_refused(write: Write, wrong: dict[str, Any]) -> None:
    with pytest.raises((ValueError, TypeError)):
        write(None, **wrong)

    assert not AuditEvent.objects.exists()


def test_the_largest_detail_fits(write: Write) -> None:
    write(None, detail={"body": "x" * (16 * 1024 - len('{"body":""}'))})

    assert audit.verify(INSTALLATION).ok
