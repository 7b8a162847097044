"""Disconnect, suspend, resume: what stops, what is revoked, and what is left to others."""

from __future__ import annotations

import dataclasses
from datetime import timedelta
from urllib.parse import parse_qs, urlsplit
from uuid import uuid4

import pytest
from django.test import Client
from django.utils import timezone

from mailboxes.models import Mailbox, ProviderApp, Token
from mailboxes.providers import GOOGLE
from mailboxes.services import discovery, grants, links, revoke, suspend
from tests.consent.conftest import World, new_visitor
from tests.consent.test_refreshing import granted, secret


def test_the_last_mailbox_ends_the_permission_at_the_provider_too(world: World) -> None:
    token = granted(world)
    clear = secret(token, "refresh_token")
    mailbox = world.mailbox()

    ended = revoke.disconnect(mailbox, actor=world.admin)

    assert ended.revoked and "ended at" in ended.why
    assert not world.provider.is_active(clear)
    assert not Token.objects.exists()
    assert (mailbox.state, mailbox.next_poll_at, mailbox.token_id) == (Mailbox.State.DISCONNECTED, None, None)
    assert world.deeds()[-3:] == ["mailbox.state_changed", "mailbox.disconnected", "token.destroyed"]
    assert not revoke.disconnect(mailbox, actor=world.admin).revoked


def test_a_permission_that_others_use_stays(world: World) -> None:
    token = granted(world)
    Mailbox.objects.create(tenant=world.tenant, provider_app=world.app, token=token, address="shared@example.test")

    ended = revoke.disconnect(world.mailbox(), actor=world.admin)

    assert not ended.revoked and "another mailbox uses it" in ended.why
    assert world.provider.is_active(secret(token, "refresh_token"))


@pytest.mark.parametrize("exclusive", [False, True])
def test_a_whole_projects_permission_is_revoked_only_where_it_is_ours_alone(
    world: World, monkeypatch: pytest.MonkeyPatch, exclusive: bool
) -> None:
    token = granted(world)
    clear = secret(token, "refresh_token")
    ProviderApp.objects.update(exclusive=exclusive)
    like_google = dataclasses.replace(discovery.facts(world.app), revocation="project", take_back=GOOGLE.take_back)
    monkeypatch.setattr(discovery, "facts", {world.app: like_google}.get)

    ended = revoke.disconnect(world.mailbox(), actor=world.admin)

    assert ended.revoked is exclusive
    assert world.provider.is_active(clear) is not exclusive
    assert exclusive or "other products" in ended.why
    assert not Token.objects.exists()


def test_a_worker_that_holds_the_mailbox_finds_its_lease_gone(world: World) -> None:
    granted(world)
    Mailbox.objects.update(lease_id=uuid4(), lease_until=timezone.now())
    suspend.suspend(world.mailbox(), actor=world.admin)
    assert world.mailbox().lease_id is None

    Mailbox.objects.update(lease_id=uuid4(), lease_until=timezone.now())
    revoke.disconnect(world.mailbox(), actor=world.admin)
    assert world.mailbox().lease_id is None


def test_suspending_keeps_the_permission_and_resuming_goes_on(world: World) -> None:
    token = granted(world)
    mailbox = world.mailbox()

    assert suspend.suspend(mailbox, actor=world.admin)
    assert not suspend.suspend(mailbox, actor=world.admin)
    assert (mailbox.state, mailbox.next_poll_at) == (Mailbox.State.SUSPENDED, None)
    assert suspend.resume(mailbox, actor=world.admin)

    assert (mailbox.state, mailbox.token_id) == (Mailbox.State.ACTIVE, token.pk)
    assert mailbox.next_poll_at is not None
    assert world.deeds()[-4:] == [
        "mailbox.state_changed",
        "mailbox.suspended",
        "mailbox.state_changed",
        "mailbox.resumed",
    ]


def test_resuming_without_a_permission_waits_for_the_owner(world: World) -> None:
    granted(world, dead_reason="consent_revoked")
    mailbox = world.mailbox()
    suspend.suspend(mailbox, actor=world.admin)

    suspend.resume(mailbox, actor=world.admin)

    assert (mailbox.state, mailbox.reason) == (Mailbox.State.RECONNECT, "consent_revoked")


def test_disconnecting_ends_the_links_of_before(world: World) -> None:
    granted(world)
    link = world.link()

    revoke.disconnect(world.mailbox(), actor=world.admin)

    link.refresh_from_db()
    assert links.standing(link) == "ended"


def test_a_token_left_behind_by_a_dead_process_is_swept(world: World) -> None:
    token = granted(world)
    clear = secret(token, "refresh_token")
    Mailbox.objects.update(token=None)

    assert grants.sweep(timezone.now()) == 0  # too young: a consent may be on its way
    assert grants.sweep(timezone.now() + timedelta(hours=1)) == 1
    assert not Token.objects.exists() and not world.provider.is_active(clear)


def test_a_disconnected_mailbox_comes_back_by_a_new_consent_with_its_id(world: World, visitor: Client) -> None:
    world.connect(visitor, world.link())
    mailbox = world.mailbox()
    revoke.disconnect(mailbox, actor=world.admin)

    world.connect(new_visitor(), world.link())

    again = world.mailbox()
    assert (again.pk, again.state) == (mailbox.pk, Mailbox.State.ACTIVE)


def test_one_person_opens_several_mailboxes_and_consents_for_all(world: World, visitor: Client) -> None:
    world.connect(visitor, world.link(receive="imap", send=False))
    url = world.press_go(
        new_visitor(), world.link("shared@example.test", sign_in_as=world.address, receive="none", send=True)
    )

    asked = parse_qs(urlsplit(url).query)["scope"][0].split()
    assert {"mail.imap", "mail.smtp"} <= set(asked)


def test_a_narrower_answer_never_replaces_a_wider_one(world: World, visitor: Client) -> None:
    world.connect(visitor, world.link())
    wide = world.mailbox().token
    assert wide is not None

    world.connect(new_visitor(), world.link(receive="none", send=True), scopes=["mail.smtp"])

    kept = world.mailbox().token
    assert kept is not None and kept.pk == wide.pk and "mail.imap" in kept.scopes
    assert kept.generation == wide.generation
    assert world.mailbox().receive == "none"
