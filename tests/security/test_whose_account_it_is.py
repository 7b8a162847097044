"""The signed-in account is the expected one: an address that the provider did not verify cannot be anybody else's either."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from mailboxes.models import Mailbox, SignIn, Token
from mailboxes.services import live_test, receipts, revoke
from mailboxes.services.live_test import Check
from tests.consent.conftest import World


def test_an_unverified_address_of_somebody_else_is_refused_before_a_mail_server_is_asked(
    world: World, visitor: Client
) -> None:
    bob = world.provider.account("bob@example.test", verified=False)

    page = world.connect(visitor, world.link(), bob)

    assert page.status_code == 400 and "<code>wrong_account</code>" in page.content.decode()
    assert world.nothing_is_stored() and not SignIn.objects.exists()


def test_a_colleague_with_an_unverified_address_does_not_take_a_shared_mailbox(
    world: World, visitor: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    def opens(*args: Any, **kwargs: Any) -> list[Check]:
        return [Check("imap", True, "Signed in.", 1)]  # the server lets both of them into the shared mailbox

    monkeypatch.setattr(live_test, "prove", opens)
    bob = world.provider.account("bob@example.test", verified=False)

    world.connect(visitor, world.link("shared@example.test", sign_in_as=world.address), bob)

    assert not Token.objects.exists()
    assert world.mailbox("shared@example.test").pinned_subject == ""


def test_an_unverified_address_that_is_the_expected_one_goes_on_to_the_live_sign_in(
    world: World, visitor: Client
) -> None:
    world.provider.account(world.address, verified=False)

    assert world.connect(visitor, world.link()).status_code == 200
    assert world.mailbox().state == Mailbox.State.ACTIVE


def test_a_receipt_ends_no_permission_that_the_organisation_gave_itself_since(world: World, visitor: Client) -> None:
    world.connect(visitor, world.link())
    attempt = world.last_attempt()
    assert receipts.is_current(attempt)
    revoke.disconnect(world.mailbox(), actor=world.admin)
    app_only = Token.objects.create(tenant=world.tenant, provider_app=world.app, issuer=world.app.issuer, subject="")
    Mailbox.objects.update(token=app_only.pk, state="active", pinned_issuer="", pinned_subject="")

    again = receipts.find(receipts.signed(attempt))

    assert again is not None and not receipts.is_current(again)
    assert receipts.take_back(again, actor=world.admin) is None
    assert Token.objects.filter(pk=app_only.pk).exists()
