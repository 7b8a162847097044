"""A consent while the mail server is away pins an account that nobody has tried: the first sign-in decides afterwards."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from mailboxes.errors import SignInRefused
from mailboxes.models import ConnectLink, ConsentAttempt, Mailbox, ProviderApp, SyncRun, Token
from mailboxes.services import leases, links, live_test, prove_again, revoke, suspend
from mailboxes.services.live_test import Check
from mailboxes.services.poll import poll
from tests.consent.conftest import World, new_visitor

SHARED = "shared@example.test"  # this Dovecot knows no shared mailboxes: it opens none for anybody


@contextmanager
def servers_away() -> Iterator[None]:
    app = ProviderApp.objects.get()
    away = {"host": "localhost", "port": 9, "security": "tls"}
    ProviderApp.objects.update(imap=away, smtp=away)
    yield
    ProviderApp.objects.update(imap=app.imap, smtp=app.smtp)


def look(mailbox: Mailbox) -> SyncRun:
    claim = leases.claim_one(mailbox.pk, timezone.now())
    assert claim
    return poll(claim)


def consent_unproven(world: World, login: str = "", **asked: Any) -> ConnectLink:
    """Goes through, as the mail servers cannot be asked."""
    login = login or world.address
    link = world.link(SHARED, sign_in_as=login, **asked)
    with servers_away():
        assert world.connect(new_visitor(), link, login).status_code == 200
    mailbox = world.mailbox(SHARED)
    assert (mailbox.state, mailbox.proven_at) == (Mailbox.State.DELAYED, None) and mailbox.token_id
    return link


def is_turned_away(world: World, link: ConnectLink) -> bool:
    mailbox = world.mailbox(SHARED)
    assert (mailbox.state, mailbox.reason) == (Mailbox.State.PENDING, "wrong_account")
    assert (mailbox.token_id, mailbox.pinned_issuer, mailbox.pinned_subject) == (None, "", "")
    assert mailbox.next_poll_at is None
    assert not Token.objects.exists()
    assert links.standing(ConnectLink.objects.get(pk=link.pk)) == "open"
    assert world.last_attempt().outcome == "wrong_account"
    assert world.deeds()[-1] == "token.destroyed" and "consent.refused" in world.deeds()
    return True


def test_an_account_that_the_first_poll_finds_refused_is_turned_away_and_its_token_ended(world: World) -> None:
    link = consent_unproven(world)

    run = look(world.mailbox(SHARED))

    assert (run.state, run.reason) == (SyncRun.State.FAILED, "signin_refused")
    assert is_turned_away(world, link)


def test_so_is_one_whose_callback_died_before_the_proof(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def die(*args: Any, **kwargs: Any) -> list[Check]:
        raise SystemExit

    link = world.link(SHARED, sign_in_as=world.address)
    with monkeypatch.context() as patch:
        patch.setattr(live_test, "prove", die)
        with pytest.raises(SystemExit):
            world.connect(new_visitor(), link)
    assert links.standing(ConnectLink.objects.get(pk=link.pk)) == "used"
    ConsentAttempt.objects.update(consumed_at=timezone.now() - timedelta(minutes=2))

    look(world.mailbox(SHARED))

    assert is_turned_away(world, link)


def test_so_is_one_of_a_mailbox_that_only_sends(world: World) -> None:
    link = consent_unproven(world, receive="none")

    assert not prove_again.prove_again(world.mailbox(SHARED).pk)

    assert is_turned_away(world, link)


def test_a_run_that_somebody_asked_for_does_not_wait_for_ever(world: World) -> None:
    consent_unproven(world)
    mailbox = world.mailbox(SHARED)
    claim = leases.claim_one(mailbox.pk, timezone.now())
    assert claim

    def refuse(*args: Any) -> Any:
        SyncRun.objects.create(tenant=mailbox.tenant, mailbox=mailbox)  # "Sync now", meanwhile
        raise SignInRefused

    poll(claim, connect=refuse)

    assert not SyncRun.objects.filter(state__in=(SyncRun.State.QUEUED, SyncRun.State.RUNNING)).exists()


def test_the_right_owner_is_not_kept_out_by_an_account_that_was_never_proven(world: World) -> None:
    consent_unproven(world)
    world.person(world.address, sub="the right owner")

    consent_unproven(world)

    assert world.mailbox(SHARED).pinned_subject == "the right owner"
    assert Token.objects.get().subject == "the right owner"


def test_a_proven_account_is_pinned_and_a_refusal_later_ends_nothing(world: World, visitor: Client) -> None:
    world.connect(visitor, world.link())
    mailbox = world.mailbox()
    assert mailbox.proven_at is not None

    def refuse(*args: Any) -> Any:
        raise SignInRefused("no")

    claim = leases.claim_one(mailbox.pk, timezone.now())
    assert claim
    poll(claim, connect=refuse)

    after = world.mailbox()
    assert (after.state, after.reason) == (Mailbox.State.DELAYED, "signin_refused")
    assert (after.token_id, after.pinned_subject) == (mailbox.token_id, mailbox.pinned_subject)


def test_a_new_consent_of_the_proven_account_keeps_the_proof_while_the_servers_are_away(
    world: World, visitor: Client
) -> None:
    world.connect(visitor, world.link())
    proven = world.mailbox().proven_at

    with servers_away():
        world.connect(new_visitor(), world.link())

    assert world.mailbox().state == Mailbox.State.DELAYED
    assert world.mailbox().proven_at == proven


def finish_by_poll(world: World) -> None:
    look(world.mailbox())


def finish_by_upkeep(world: World) -> None:
    assert prove_again.prove_again(world.mailbox().pk)


@pytest.mark.parametrize(("receive", "finish"), [("imap", finish_by_poll), ("none", finish_by_upkeep)])
def test_the_first_accepted_sign_in_is_the_proof(
    world: World, visitor: Client, receive: str, finish: Callable[[World], None]
) -> None:
    with servers_away():
        world.connect(visitor, world.link(receive=receive))
    assert world.mailbox().proven_at is None

    finish(world)

    mailbox = world.mailbox()
    assert mailbox.state == Mailbox.State.ACTIVE and mailbox.proven_at is not None


def test_a_poll_by_another_permission_proves_nothing_and_turns_nobody_away(world: World, visitor: Client) -> None:
    with servers_away():
        world.connect(visitor, world.link())
    mailbox = world.mailbox()
    claim = leases.claim_one(mailbox.pk, timezone.now())
    assert claim and mailbox.token
    other = Token.objects.create(
        tenant=world.tenant, provider_app=world.app, issuer=world.app.issuer, subject="consented meanwhile"
    )

    def refuse(*args: Any) -> Any:
        Mailbox.objects.update(token=other.pk, pinned_subject=other.subject)
        raise SignInRefused

    poll(claim, connect=refuse)

    after = world.mailbox()
    assert (after.token_id, after.pinned_subject, after.proven_at) == (other.pk, other.subject, None)
    assert after.reason == "signin_refused"


def test_a_mailbox_resumed_before_it_was_proven_is_proven_then(world: World, visitor: Client) -> None:
    world.connect(visitor, world.link(receive="none"))
    assert suspend.suspend(world.mailbox(), actor=world.admin)
    Mailbox.objects.update(proven_at=None)  # as a consent while the servers were away leaves it
    assert suspend.resume(world.mailbox(), actor=world.admin)
    later = timezone.now() + timedelta(minutes=3)

    assert prove_again.due(later, 10) == [world.mailbox().pk]
    assert prove_again.prove_again(world.mailbox().pk)
    assert prove_again.due(later, 10) == []


def test_the_pin_of_a_proven_account_outlasts_a_disconnection(world: World, visitor: Client) -> None:
    world.connect(visitor, world.link())
    revoke.disconnect(world.mailbox(), actor=world.admin)
    world.person(world.address, sub="somebody-new")

    page = world.connect(new_visitor(), world.link())

    assert page.status_code == 400 and "<code>new_account</code>" in page.content.decode()
