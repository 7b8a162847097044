"""Further addresses of a mailbox: set as a whole, checked, audited, and then good for From."""

from __future__ import annotations

import pytest
from django.core.exceptions import ValidationError

from audit.models import AuditEvent
from mailboxes.models import Mailbox
from mailboxes.services.aliases import set_aliases
from mailboxes.services.draft import DraftRefused
from tests.outbox.conftest import PERSON, Queue


def test_an_alias_may_send_from_the_moment_it_is_set(mailbox: Mailbox, queue: Queue) -> None:
    with pytest.raises(DraftRefused):
        queue(sender="sales@contoso.example")

    set_aliases(mailbox, ["Sales@contoso.example", "sales@contoso.example", mailbox.address], actor=PERSON)

    mailbox.refresh_from_db()
    assert mailbox.aliases == ["Sales@contoso.example"]
    assert queue(sender="sales@contoso.example").sender == "sales@contoso.example"
    event = AuditEvent.objects.get(action="mailbox.aliases_changed")
    assert event.detail == {"from": [], "to": ["Sales@contoso.example"]}


def test_what_is_no_address_changes_nothing(mailbox: Mailbox) -> None:
    with pytest.raises(ValidationError) as refusal:
        set_aliases(mailbox, ["good@contoso.example", "bad", "x\r\n@y.z"], actor=PERSON)

    assert len(refusal.value.message_dict["aliases"]) == 2
    mailbox.refresh_from_db()
    assert mailbox.aliases == []
    assert not AuditEvent.objects.exists()
