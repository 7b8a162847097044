"""Another account behind a known address waits for a person here, who accepts it on the mailbox's page."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from accounts.roles import Role
from audit.models import AuditEvent
from mailboxes.models import Mailbox
from mailboxes.services import connect, receipts, revoke
from tests.accounts.people import make_member, signed_in
from tests.consent.conftest import World, new_visitor

BUTTON = "Accept the new account"


@pytest.fixture
def waiting(world: World) -> World:
    """Connected once; then the address was given to another person, who was turned away."""
    world.connect(new_visitor(), world.link())
    world.person(world.address, sub=f"new-{world.address}")
    page = world.connect(new_visitor(), world.link())
    assert "<code>new_account</code>" in page.content.decode()
    return world


@pytest.fixture
def operator(world: World) -> Client:
    return signed_in(make_member(world.tenant, Role.OPERATOR))


def url(world: World, name: str = "accept") -> str:
    return reverse(f"admin:mailboxes_mailbox_{name}", args=[world.mailbox().pk])


def page(world: World, client: Client) -> str:
    return client.get(url(world, "change")).content.decode()


def accept(world: World, client: Client, **form: Any) -> Any:
    return client.post(url(world), {"address": world.address, **form}, follow=True)


def test_the_page_of_the_mailbox_offers_it_and_a_confirmation_says_what_it_means(
    waiting: World, operator: Client
) -> None:
    assert url(waiting) in page(waiting, operator) and BUTTON in page(waiting, operator)

    asked = operator.get(url(waiting)).content.decode()

    assert "may be another person" in asked and "To confirm, type the mailbox" in asked
    assert waiting.mailbox().pinned_subject == f"sub-{waiting.address}"  # nothing happens on GET


def test_an_accepted_account_is_pinned_by_its_next_consent(waiting: World, operator: Client) -> None:
    answer = accept(waiting, operator)

    assert "The new account may consent now" in answer.content.decode() and BUTTON not in answer.content.decode()
    assert waiting.mailbox().pinned_subject == "" and waiting.mailbox().token_id is not None
    event = AuditEvent.objects.get(action="mailbox.account_released")
    assert (event.actor_kind, event.detail["pinned"]) == ("person", f"sub-{waiting.address}")

    assert waiting.connect(new_visitor(), waiting.link()).status_code == 200
    assert waiting.mailbox().pinned_subject == f"new-{waiting.address}"
    assert BUTTON not in page(waiting, operator)


def test_a_mailbox_that_waits_for_its_owner_says_what_comes_next(waiting: World, operator: Client) -> None:
    revoke.disconnect(waiting.mailbox(), actor=waiting.admin)
    Mailbox.objects.update(state=Mailbox.State.RECONNECT, reason="new_account")
    shown = page(waiting, operator)
    assert "given to another person" in shown and url(waiting) in shown and url(waiting, "reconnect") in shown

    accept(waiting, operator)

    assert (waiting.mailbox().state, waiting.mailbox().reason) == (Mailbox.State.RECONNECT, "account_accepted")
    shown = page(waiting, operator)
    assert url(waiting) not in shown and url(waiting, "reconnect") in shown


def test_the_address_must_be_typed(waiting: World, operator: Client) -> None:
    answer = accept(waiting, operator, address="else@example.test")

    assert answer.status_code == 200 and "That is not" in answer.content.decode()
    assert waiting.mailbox().pinned_subject == f"sub-{waiting.address}"


def test_an_auditor_is_offered_nothing_and_may_not(waiting: World) -> None:
    auditor = signed_in(make_member(waiting.tenant, Role.AUDITOR))

    assert url(waiting) not in page(waiting, auditor)
    assert auditor.get(url(waiting)).status_code == 404
    assert accept(waiting, auditor).status_code == 404
    assert waiting.mailbox().pinned_subject == f"sub-{waiting.address}"


def test_where_no_other_account_waits_nothing_is_released(world: World, operator: Client) -> None:
    world.connect(new_visitor(), world.link())

    assert BUTTON not in page(world, operator)
    assert operator.get(url(world)).status_code == 302
    assert "No other account waits" in accept(world, operator).content.decode()
    assert not connect.accept_new_account(world.mailbox(), actor=world.admin)
    assert world.mailbox().pinned_subject == f"sub-{world.address}"
    assert "mailbox.account_released" not in world.deeds()


def test_the_owner_of_before_can_still_take_back_what_is_used_until_then(waiting: World, operator: Client) -> None:
    attempt = waiting.mailbox().attempts.get(outcome="connected")
    accept(waiting, operator)

    receipt = receipts.find(receipts.signed(attempt))

    assert receipt is not None and receipts.take_back(receipt, actor=waiting.admin) is not None
    assert waiting.mailbox().state == Mailbox.State.DISCONNECTED
