"""Each way in which a consent must not go through: refused in words, nothing stored, no code sent where it shouldn't be."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
from django.test import Client
from django.utils import timezone

import audit
from mailboxes.models import ConnectLink, ConsentAttempt, Mailbox, ProviderApp, SignIn, Token
from mailboxes.services import connect, grants, links, provider_apps, token_endpoint
from tests.consent.conftest import World, app_data, new_visitor
from tests.servers.dovecot import Dovecot

CODE = "token:authorization_code"


def changed(url: str, **parameters: str | None) -> str:
    """The way back with other parameters; None takes one away."""
    parts = urlsplit(url)
    query = {name: values[0] for name, values in parse_qs(parts.query).items()} | parameters
    return parts._replace(query=urlencode({k: v for k, v in query.items() if v is not None})).geturl()


def is_refused(world: World, page: Any, code: str) -> bool:
    text = page.content.decode()
    assert page.status_code == 400, text
    assert f"<code>{code}</code>" in text, text
    assert page["Referrer-Policy"] == "no-referrer"
    assert world.nothing_is_stored()
    return True


@pytest.fixture
def back(world: World, visitor: Client) -> str:
    """The way back that a sound consent ends with, not gone yet."""
    return world.provider.consent(world.press_go(visitor, world.link()), world.address)


def test_a_replayed_answer_is_refused_and_its_code_not_sent(world: World, visitor: Client, back: str) -> None:
    world.come_back(visitor, back)
    asked = world.provider.seen(CODE)

    again = world.come_back(visitor, back)

    assert again.status_code == 400 and "<code>state_used</code>" in again.content.decode()
    assert world.provider.seen(CODE) == asked == 1
    assert world.mailbox().state == Mailbox.State.ACTIVE


def test_a_missing_and_an_unknown_state_are_refused(world: World, visitor: Client, back: str) -> None:
    for state in (None, "", "made-up"):
        assert is_refused(world, world.come_back(visitor, changed(back, state=state)), "state")
    assert world.provider.seen(CODE) == 0


def test_a_code_of_another_session_is_refused_and_burns_nothing(world: World, visitor: Client, back: str) -> None:
    assert is_refused(world, world.come_back(new_visitor(), back), "state")

    assert world.provider.seen(CODE) == 0
    assert world.come_back(visitor, back).status_code == 200
    assert world.mailbox().state == Mailbox.State.ACTIVE


def test_swapped_states_do_not_mix_two_consents(world: World, visitor: Client) -> None:
    other = world.person()
    mine = world.provider.consent(world.press_go(visitor, world.link()), world.address)
    theirs = world.provider.consent(world.press_go(visitor, world.link(other)), other)
    codes = [parse_qs(urlsplit(url).query)["code"][0] for url in (mine, theirs)]

    page = world.come_back(visitor, changed(mine, code=codes[1]))

    assert is_refused(world, page, "provider_error")  # PKCE: the verifier fits another code
    assert not Token.objects.exists()


def test_a_state_on_another_apps_callback_is_refused(
    world: World, visitor: Client, back: str, dovecot: Dovecot
) -> None:
    data = app_data(world.provider, dovecot) | {"name": "Another"}
    other = provider_apps.create(world.tenant, data, actor=audit.SYSTEM)
    elsewhere = back.replace(str(world.app.pk), str(other.pk))

    assert is_refused(world, world.come_back(visitor, elsewhere), "state")

    assert world.provider.seen(CODE) == 0
    assert world.come_back(visitor, back).status_code == 200


def test_the_wrong_account_is_named_and_its_permission_given_back(world: World, visitor: Client) -> None:
    bob = world.person()
    link = world.link()

    page = world.connect(visitor, link, bob)

    assert is_refused(world, page, "wrong_account")
    text = page.content.decode()
    assert bob in text and world.address in text and f"Try again as {world.address}" in text
    assert f"/connect/{links.signed(link)}/" in text
    assert links.standing(ConnectLink.objects.get(pk=link.pk)) == "open"
    assert world.mailbox().reason == "wrong_account"
    assert world.last_attempt().outcome == "wrong_account"
    assert world.deeds()[-1] == "consent.refused" and "token.destroyed" not in world.deeds()
    assert not SignIn.objects.exists()  # what was said is enough: no mail server was asked with a stranger's token
    assert world.connect(visitor, link).status_code == 200  # the same link, the right person


def test_a_permission_of_the_wrong_account_is_dead_at_the_provider(
    world: World, visitor: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Any] = []
    exchange = token_endpoint.exchange_code

    def remember(*args: Any, **kwargs: Any) -> Any:
        seen.append(exchange(*args, **kwargs))
        return seen[-1]

    monkeypatch.setattr(token_endpoint, "exchange_code", remember)
    world.connect(visitor, world.link(), world.person())

    assert not world.provider.is_active(seen[0].refresh_token)
    assert not world.provider.is_active(seen[0].access_token)


@pytest.mark.parametrize(
    ("issuer", "code"), [("https://evil.example", "iss_mismatch"), (None, "iss_missing"), ("", "iss_mismatch")]
)
def test_the_issuer_of_the_answer_must_be_the_announced_one(
    world: World, visitor: Client, back: str, issuer: str | None, code: str
) -> None:
    page = world.come_back(visitor, changed(back, iss=issuer))

    assert is_refused(world, page, code)
    assert world.provider.seen(CODE) == 0


@pytest.mark.parametrize("how", ["payload", "signature", "none", "garbage", "missing"])
def test_a_tampered_id_token_is_refused(world: World, visitor: Client, back: str, how: str) -> None:
    world.provider.fault("id_token", how)

    assert is_refused(world, world.come_back(visitor, back), "id_token")


def test_a_declined_consent_is_no_error(world: World, visitor: Client) -> None:
    link = world.link()

    page = world.connect(visitor, link, allow=False)

    assert is_refused(world, page, "denied")
    assert "answered with No" in page.content.decode() and "The person said no" in page.content.decode()
    assert world.mailbox().reason == "denied"
    assert links.standing(ConnectLink.objects.get(pk=link.pk)) == "open"


def test_a_refusal_must_name_its_issuer_too(world: World, visitor: Client) -> None:
    back = world.provider.consent(world.press_go(visitor, world.link()), world.address, allow=False)

    assert is_refused(world, world.come_back(visitor, changed(back, iss="https://evil.example")), "iss_mismatch")


def test_mail_access_left_unticked_stores_nothing(world: World, visitor: Client) -> None:
    page = world.connect(visitor, world.link(), scopes=["mail.smtp"])

    assert is_refused(world, page, "scope_missing")
    assert "leave every box ticked" in page.content.decode()


def test_no_right_to_keep_it_is_refused(world: World, visitor: Client, back: str) -> None:
    world.provider.fault("no_refresh_token")

    assert is_refused(world, world.come_back(visitor, back), "no_refresh_token")


def test_an_attempt_ends_after_ten_minutes(world: World, visitor: Client, back: str) -> None:
    ConsentAttempt.objects.update(created_at=timezone.now() - timedelta(minutes=11))

    assert is_refused(world, world.come_back(visitor, back), "state_used")
    assert world.provider.seen(CODE) == 0


@pytest.mark.parametrize(
    ("fault", "value", "code"),
    [
        ("status", 503, "provider_down"),
        ("status", 429, "throttled"),
        ("error", "invalid_client", "app_misconfigured"),
        ("drop_answer", True, "connection_lost"),
    ],
)
def test_a_fault_of_the_token_endpoint_is_said_in_words(
    world: World, visitor: Client, back: str, fault: str, value: Any, code: str
) -> None:
    world.provider.fault(fault, value)

    assert is_refused(world, world.come_back(visitor, back), code)


def test_a_new_subject_on_a_known_address_waits_for_an_administrator(world: World, visitor: Client) -> None:
    world.connect(visitor, world.link())
    before = world.mailbox()
    world.person(world.address, sub="somebody-new")  # the address was given to another person

    page = world.connect(new_visitor(), world.link())

    assert page.status_code == 400 and "<code>new_account</code>" in page.content.decode()
    after = world.mailbox()
    assert (after.token_id, after.pinned_subject, after.state) == (
        before.token_id,
        before.pinned_subject,
        Mailbox.State.ACTIVE,
    )
    connect.accept_new_account(after, actor=world.admin)
    assert world.connect(new_visitor(), world.link()).status_code == 200
    assert world.mailbox().pinned_subject == "somebody-new"


def test_an_account_that_does_not_open_the_mailbox_is_refused_by_the_mail_server(world: World, visitor: Client) -> None:
    boss = world.person()
    link = world.link("shared@example.test", sign_in_as=boss)  # this Dovecot knows no shared mailboxes

    page = world.connect(visitor, link, boss)

    assert page.status_code == 400 and "<code>wrong_account</code>" in page.content.decode()
    mailbox = world.mailbox("shared@example.test")
    assert (mailbox.token_id, mailbox.pinned_subject, mailbox.reason) == (None, "", "wrong_account")
    assert not Token.objects.exists()
    assert links.standing(ConnectLink.objects.get(pk=link.pk)) == "open"


def test_a_passing_fault_of_the_mail_server_delays_and_is_finished_by_a_job(world: World, visitor: Client) -> None:
    ProviderApp.objects.update(imap={"host": "localhost", "port": 9, "security": "tls"})

    page = world.connect(visitor, world.link())

    assert page.status_code == 200 and "Connected" in page.content.decode()
    mailbox = world.mailbox()
    assert (mailbox.state, mailbox.reason) == (Mailbox.State.DELAYED, "unreachable")
    assert mailbox.token_id is not None
    assert mailbox.next_poll_at is not None and mailbox.next_poll_at <= timezone.now()


def _break(*args: Any) -> None:
    raise KeyError("a fault of ours")


def test_an_answer_that_crashes_us_is_refused_and_given_back(
    world: World, visitor: Client, back: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(grants, "store", _break)

    assert is_refused(world, world.come_back(visitor, back), "internal")
    assert "KeyError" in caplog.text and "code" not in caplog.text
