"""A consent whose proof takes seconds, and what others do to the mailbox meanwhile."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.test import Client
from django.utils import timezone

from mailboxes.errors import SignInRefused
from mailboxes.models import ConnectLink, ConsentAttempt, Mailbox, Token
from mailboxes.services import links, live_test, revoke, suspend
from mailboxes.services.live_test import Check
from tests.consent.conftest import World, new_visitor

Meanwhile = Callable[[Callable[[], object]], None]


@pytest.fixture
def while_proving(monkeypatch: pytest.MonkeyPatch) -> Meanwhile:
    """Something that happens between the stored token and the mail server's verdict."""
    prove = live_test.prove

    def arrange(deed: Callable[[], object]) -> None:
        def proving(*args: Any, **kwargs: Any) -> list[Check]:
            checks = prove(*args, **kwargs)
            deed()
            return checks

        monkeypatch.setattr(live_test, "prove", proving)

    return arrange


def test_a_mailbox_disconnected_during_the_proof_stays_disconnected_and_nobody_says_connected(
    world: World, visitor: Client, while_proving: Meanwhile
) -> None:
    link = world.link()
    while_proving(lambda: revoke.disconnect(world.mailbox(), actor=world.admin))

    page = world.connect(visitor, link)

    assert page.status_code == 400 and "<code>disconnected</code>" in page.content.decode()
    assert (world.mailbox().state, world.mailbox().token_id) == (Mailbox.State.DISCONNECTED, None)
    assert world.last_attempt().outcome == "disconnected"
    assert "mailbox.connected" not in world.deeds()
    assert not Token.objects.exists()


def test_a_working_mailbox_disconnected_during_the_proof_keeps_no_token_of_the_new_consent(
    world: World, visitor: Client, while_proving: Meanwhile
) -> None:
    world.connect(visitor, world.link())
    kept = Token.objects.get()
    Token.objects.filter(pk=kept.pk).update(subject="the account of before")
    Mailbox.objects.update(pinned_subject="")
    while_proving(lambda: revoke.disconnect(world.mailbox(), actor=world.admin))

    page = world.connect(new_visitor(), world.link())

    assert page.status_code == 400
    assert (world.mailbox().state, world.mailbox().token_id) == (Mailbox.State.DISCONNECTED, None)
    assert not Token.objects.exists()


def test_a_poll_that_changes_the_state_during_the_proof_does_not_undo_the_consent(
    world: World, visitor: Client, while_proving: Meanwhile
) -> None:
    world.connect(visitor, world.link())
    before = Token.objects.get()
    Token.objects.filter(pk=before.pk).update(subject="the account of before")
    Mailbox.objects.update(pinned_subject="")
    while_proving(lambda: Mailbox.objects.update(state=Mailbox.State.DELAYED, reason="unreachable"))

    page = world.connect(new_visitor(), world.link())

    mailbox = world.mailbox()
    assert page.status_code == 200 and "Connected" in page.content.decode()
    assert mailbox.state == Mailbox.State.ACTIVE
    assert mailbox.token_id not in (None, before.pk)
    assert not Token.objects.filter(pk=before.pk).exists()


def test_a_worker_with_the_old_permission_stops_when_the_new_one_is_there(world: World, visitor: Client) -> None:
    world.connect(visitor, world.link())
    Mailbox.objects.update(lease_id=uuid4(), lease_until=timezone.now() + timedelta(minutes=5))

    assert world.connect(new_visitor(), world.link()).status_code == 200

    assert world.mailbox().lease_id is None


def test_a_refused_account_leaves_the_mailbox_also_when_a_poll_moved_it_meanwhile(
    world: World, visitor: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*args: Any, **kwargs: Any) -> list[Check]:
        Mailbox.objects.update(state=Mailbox.State.DELAYED, reason="signin_refused")
        return [Check("imap", False, "no", 1, SignInRefused("no"))]

    monkeypatch.setattr(live_test, "prove", refuse)

    page = world.connect(visitor, world.link())

    assert page.status_code == 400
    mailbox = world.mailbox()
    assert (mailbox.token_id, mailbox.pinned_subject) == (None, "")
    assert (mailbox.state, mailbox.reason) == (Mailbox.State.PENDING, "wrong_account")
    assert not Token.objects.exists()


def test_a_refused_account_does_not_undo_a_suspension(
    world: World, visitor: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*args: Any, **kwargs: Any) -> list[Check]:
        assert suspend.suspend(world.mailbox(), actor=world.admin)
        return [Check("imap", False, "no", 1, SignInRefused("no"))]

    monkeypatch.setattr(live_test, "prove", refuse)

    world.connect(visitor, world.link())

    assert (world.mailbox().state, world.mailbox().token_id) == (Mailbox.State.SUSPENDED, None)
    assert not Token.objects.exists()


def test_a_refused_account_leaves_also_when_the_permission_of_before_was_ended_meanwhile(
    world: World, visitor: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.connect(visitor, world.link())
    before = Token.objects.get()
    Token.objects.filter(pk=before.pk).update(subject="the account of before")
    Mailbox.objects.update(pinned_subject="", state=Mailbox.State.RECONNECT, reason="consent_revoked")

    def refuse(*args: Any, **kwargs: Any) -> list[Check]:
        Token.objects.filter(pk=before.pk).delete()  # as the sweep does with a token that no mailbox uses
        return [Check("imap", False, "no", 1, SignInRefused("no"))]

    monkeypatch.setattr(live_test, "prove", refuse)

    page = world.connect(new_visitor(), world.link())

    assert "<code>wrong_account</code>" in page.content.decode()
    assert (world.mailbox().token_id, world.mailbox().state) == (None, Mailbox.State.RECONNECT)
    assert not Token.objects.exists()


def test_a_link_withdrawn_during_the_proof_connects_nothing(
    world: World, visitor: Client, while_proving: Meanwhile
) -> None:
    link = world.link()
    while_proving(lambda: links.end(link, "withdrawn", actor=world.admin))

    page = world.connect(visitor, link)

    assert page.status_code == 400 and "<code>link_ended</code>" in page.content.decode()
    assert links.standing(ConnectLink.objects.get(pk=link.pk)) == "ended"
    mailbox = world.mailbox()
    assert (mailbox.state, mailbox.token_id, mailbox.pinned_subject) == (Mailbox.State.PENDING, None, "")
    assert not Token.objects.exists()
    assert "link.ended" in world.deeds() and "mailbox.connected" not in world.deeds()


@pytest.mark.parametrize("deed", ["withdraw", "disconnect"])
def test_a_link_closed_during_a_proof_that_fails_does_not_open_again(
    world: World, visitor: Client, monkeypatch: pytest.MonkeyPatch, deed: str
) -> None:
    link = world.link()

    def refuse(*args: Any, **kwargs: Any) -> list[Check]:
        if deed == "withdraw":
            assert links.end(link, "withdrawn", actor=world.admin)
        else:
            revoke.disconnect(world.mailbox(), actor=world.admin)
        return [Check("imap", False, "no", 1, SignInRefused("no"))]

    monkeypatch.setattr(live_test, "prove", refuse)

    assert world.connect(visitor, link).status_code == 400

    assert links.standing(ConnectLink.objects.get(pk=link.pk)) == "ended"
    assert not Token.objects.exists()


def test_a_link_that_did_its_work_can_no_longer_be_withdrawn(world: World, visitor: Client) -> None:
    link = world.link()
    world.press_go(new_visitor(), link)  # somebody began with it as well, and came no further
    world.connect(visitor, link)
    assert ConsentAttempt.objects.filter(link=link, outcome="").exists()

    assert not links.end(link, "withdrawn", actor=world.admin)
    assert links.standing(ConnectLink.objects.get(pk=link.pk)) == "used"
