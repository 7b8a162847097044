from __future__ import annotations

from datetime import timedelta
from uuid import uuid4

import pytest
from django.utils import timezone

from accounts.models import Tenant
from mailboxes import errors
from mailboxes.models import Mailbox
from mailboxes.services import leases
from tests.sync.mail import connected_mailbox

pytestmark = [pytest.mark.django_db, pytest.mark.both_databases]

IMAP = {"host": "imap.example.org", "port": 993, "security": "tls"}


def test_a_second_dispatcher_gets_nothing_while_the_lease_runs() -> None:
    mailbox = connected_mailbox(imap=IMAP)
    now = timezone.now()

    first, second = leases.claim_due(now, 10), leases.claim_due(now, 10)

    assert [claim.mailbox_id for claim in first] == [mailbox.pk]
    assert second == []


def test_when_the_lease_has_ended_the_mailbox_is_due_again() -> None:
    connected_mailbox(imap=IMAP)
    (first,) = leases.claim_due(timezone.now(), 10)

    (second,) = leases.claim_due(first.until + timedelta(seconds=1), 10)

    assert second.lease_id != first.lease_id


def test_a_ticket_opens_once_so_a_job_delivered_twice_works_once() -> None:
    connected_mailbox(imap=IMAP)
    (ticket,) = leases.claim_due(timezone.now(), 10)

    first, second = (leases.take(ticket.mailbox_id, ticket.lease_id) for _ in range(2))

    assert first
    assert second is None


def test_a_tenant_with_many_mailboxes_does_not_push_the_others_back() -> None:
    long_ago = timezone.now() - timedelta(hours=1)
    large, small = Tenant.objects.create(name="Large"), Tenant.objects.create(name="Small")
    for number in range(20):
        connected_mailbox(f"l{number}@large.example", imap=IMAP, tenant=large, next_poll_at=long_ago)
    wanted = {connected_mailbox(f"s{number}@small.example", imap=IMAP, tenant=small).pk for number in range(3)}

    claims = leases.claim_due(timezone.now(), 6)

    assert len(claims) == 6
    assert wanted <= {claim.mailbox_id for claim in claims}


@pytest.mark.parametrize("state", Mailbox.State.values)
def test_only_states_that_may_mend_by_themselves_are_polled(state: str) -> None:
    connected_mailbox(imap=IMAP, state=state)

    assert len(leases.claim_due(timezone.now(), 1)) == (state not in ("reconnect", "suspended", "disconnected"))


@pytest.mark.parametrize("columns", [{"receive": "none"}, {"token": None}, {"next_poll_at": None}])
def test_what_cannot_be_read_is_not_claimed(columns: dict[str, object]) -> None:
    mailbox = connected_mailbox(imap=IMAP)
    Mailbox.objects.filter(pk=mailbox.pk).update(**columns)

    assert leases.claim_due(timezone.now(), 1) == []


def test_the_fence_refuses_a_lease_that_is_anothers_or_over() -> None:
    mailbox = connected_mailbox(imap=IMAP)
    (claim,) = leases.claim_due(timezone.now(), 1)
    leases.fence(claim.mailbox_id, claim.lease_id)

    with pytest.raises(errors.LeaseLost):
        leases.fence(claim.mailbox_id, uuid4())
    Mailbox.objects.filter(pk=mailbox.pk).update(lease_until=timezone.now() - timedelta(seconds=1))
    with pytest.raises(errors.LeaseLost):
        leases.fence(claim.mailbox_id, claim.lease_id)


def test_the_fence_refuses_a_mailbox_that_was_suspended_meanwhile() -> None:
    mailbox = connected_mailbox(imap=IMAP)
    (claim,) = leases.claim_due(timezone.now(), 1)

    Mailbox.objects.filter(pk=mailbox.pk).update(state="suspended")

    with pytest.raises(errors.LeaseLost):
        leases.fence(claim.mailbox_id, claim.lease_id)


def test_what_was_asked_for_during_a_poll_is_due_when_it_ends() -> None:
    mailbox = connected_mailbox(imap=IMAP)
    (ticket,) = leases.claim_due(timezone.now(), 1)
    claim = leases.take(ticket.mailbox_id, ticket.lease_id)
    assert claim
    Mailbox.objects.filter(pk=mailbox.pk).update(poll_requested_at=timezone.now())

    leases.release(claim, timezone.now() + timedelta(hours=1))

    mailbox.refresh_from_db()
    assert mailbox.lease_id is None
    assert mailbox.next_poll_at
    assert mailbox.next_poll_at <= timezone.now()


def test_a_claim_that_is_put_back_leaves_the_mailbox_as_due_as_it_was() -> None:
    mailbox = connected_mailbox(imap=IMAP)
    claims = leases.claim_due(timezone.now(), 1)

    leases.put_back(claims)

    assert [claim.mailbox_id for claim in leases.claim_due(timezone.now(), 1)] == [mailbox.pk]
