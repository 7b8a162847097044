"""The owner's way: a page, a form, the provider, the receipt; no account anywhere in Mailhub."""

from __future__ import annotations

import re
from datetime import timedelta
from urllib.parse import parse_qs, urlsplit

from allauth.account.models import EmailAddress
from allauth.socialaccount.models import SocialAccount, SocialApp, SocialToken
from django.contrib.sessions.models import Session
from django.test import Client
from django.utils import timezone

from accounts.models import User
from mailboxes.models import ConnectLink, ConsentAttempt, Mailbox, ProviderApp, SignIn, Token
from mailboxes.services import links, prove_again, provider_apps
from tests.consent.conftest import World, app_data, new_visitor
from tests.servers.dovecot import Dovecot


def test_a_consent_connects_the_mailbox(world: World, visitor: Client) -> None:
    link = world.link()

    page = world.connect(visitor, link)

    assert page.status_code == 200
    assert "Connected. Thank you." in page.content.decode()
    mailbox = world.mailbox()
    assert (mailbox.state, mailbox.reason) == (Mailbox.State.ACTIVE, "")
    assert mailbox.next_poll_at is not None and mailbox.next_poll_at <= timezone.now()
    token = mailbox.token
    assert token is not None and token.account == world.address and token.subject == f"sub-{world.address}"
    assert {"mail.imap", "mail.smtp"} <= set(token.scopes)
    assert mailbox.pinned_subject == token.subject
    assert ConnectLink.objects.get(pk=link.pk).used_at is not None
    assert world.deeds()[-1] == "mailbox.connected"
    assert {(row.protocol, row.outcome) for row in SignIn.objects.filter(mailbox=mailbox)} == {
        ("imap", "ok"),
        ("smtp", "ok"),
    }


def test_opening_the_page_changes_nothing(world: World, visitor: Client) -> None:
    link = world.link()

    page = visitor.get(f"/connect/{links.signed(link)}/")

    text = page.content.decode()
    assert page.status_code == 200 and page["Referrer-Policy"] == "no-referrer"
    assert "no-store" in page["Cache-Control"]
    assert len(re.findall("<form", text)) == 1
    assert "Mira Hoffmann" in text and world.address in text and "Contoso Ltd" in text
    assert not ConsentAttempt.objects.exists() and links.standing(link) == "open"


def test_the_authorization_request_has_all_that_protects_it(world: World, visitor: Client) -> None:
    url = world.press_go(visitor, world.link())

    asked = {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}
    attempt = world.last_attempt()
    assert asked["code_challenge_method"] == "S256" and len(asked["code_challenge"]) == 43
    assert asked["nonce"] == attempt.nonce and asked["response_type"] == "code"
    assert asked["login_hint"] == world.address and asked["prompt"] == "consent"
    assert asked["redirect_uri"] == f"http://localhost:8000/connect/callback/{world.app.pk}/"
    assert asked["scope"].split() == ["openid", "email", "profile", "offline_access", "mail.imap", "mail.smtp"]
    assert len(asked["state"]) >= 40 and asked["state"] not in repr(attempt.__dict__)


def test_the_query_of_the_owners_page_reaches_nobody(world: World, visitor: Client) -> None:
    path = f"/connect/{links.signed(world.link())}/?scope=everything&auth_params=prompt%3Dnone&process=login&next=//evil.test"

    url = visitor.post(path)["Location"]

    assert "everything" not in url and "prompt=none" not in url and "evil" not in url


def test_a_link_works_once(world: World, visitor: Client) -> None:
    link = world.link()
    world.connect(visitor, link)

    again = new_visitor().get(f"/connect/{links.signed(link)}/")

    assert again.status_code == 410 and "used before" in again.content.decode()


def test_a_link_ends_by_itself(world: World, visitor: Client) -> None:
    link = world.link(expires_in=timedelta(seconds=1))
    ConnectLink.objects.filter(pk=link.pk).update(expires_at=timezone.now() - timedelta(seconds=1))

    for method in (visitor.get, visitor.post):
        assert method(f"/connect/{links.signed(link)}/").status_code == 410
    assert not ConsentAttempt.objects.exists()


def test_a_made_up_link_is_no_link(world: World, visitor: Client) -> None:
    link = world.link()

    assert visitor.get(f"/connect/{link.pk}/").status_code == 404
    assert visitor.get(f"/connect/{links.signed(link)}x/").status_code == 404


def test_i_dont_know_them_ends_the_link_and_tells_the_tenant(world: World, visitor: Client) -> None:
    link = world.link()
    path = f"/connect/{links.signed(link)}/unknown/"

    asked = visitor.get(path)
    assert asked.status_code == 200 and links.standing(ConnectLink.objects.get(pk=link.pk)) == "open"
    done = visitor.post(path)

    assert "has ended" in done.content.decode()
    assert links.standing(ConnectLink.objects.get(pk=link.pk)) == "ended"
    assert world.mailbox().reason == "declined"
    assert world.deeds()[-1] == "link.ended"
    assert visitor.post(f"/connect/{links.signed(link)}/").status_code == 410


def test_the_owner_posts_a_form_with_its_csrf_token(world: World) -> None:
    visitor = new_visitor(enforce_csrf_checks=True)
    path = f"/connect/{links.signed(world.link())}/"

    assert visitor.post(path).status_code == 403
    token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', visitor.get(path).content.decode())[1]  # type: ignore[index]
    assert visitor.post(path, {"csrfmiddlewaretoken": token}).status_code == 302


def test_a_receipt_says_what_was_allowed_and_takes_it_back(world: World, visitor: Client) -> None:
    receipt = world.connect(visitor, world.link())
    path = receipt.redirect_chain[-1][0]
    token = Token.objects.get()

    text = visitor.get(f"{path}?text").content.decode()
    assert world.address in text and "Read your mail" in text and "MH-" in text
    ended = new_visitor().post(path)  # another browser that holds the receipt

    assert "Permission taken back" in ended.content.decode()
    mailbox = world.mailbox()
    assert (mailbox.state, mailbox.reason, mailbox.token_id) == (Mailbox.State.DISCONNECTED, "taken_back", None)
    assert not Token.objects.filter(pk=token.pk).exists()
    assert world.deeds()[-3:] == ["mailbox.state_changed", "mailbox.disconnected", "token.destroyed"]
    assert "There is nothing to take back" in visitor.post(path).content.decode()


def test_no_table_of_allauth_and_no_session_holds_anything(world: World, visitor: Client) -> None:
    people = User.objects.count()
    world.connect(visitor, world.link())

    assert not any(model.objects.exists() for model in (SocialAccount, SocialToken, SocialApp, EmailAddress))
    assert User.objects.count() == people
    kept = repr([row.get_decoded() for row in Session.objects.all()])
    token = Token.objects.get()
    secrets = [secret.reveal() for secret in (token.access_token, token.refresh_token)]
    assert "_auth_user_id" not in kept and not any(secret in kept for secret in secrets)


def test_of_two_trips_by_one_link_one_wins(world: World, visitor: Client) -> None:
    link, other = world.link(), new_visitor()
    ways = [world.provider.consent(world.press_go(client, link), world.address) for client in (visitor, other)]

    first, second = world.come_back(visitor, ways[0]), world.come_back(other, ways[1])

    assert first.status_code == 200
    assert second.status_code == 400 and "<code>link_used</code>" in second.content.decode()
    assert Token.objects.get().generation == 1


def test_a_new_link_moves_a_known_mailbox_only_when_its_consent_succeeds(
    world: World, visitor: Client, dovecot: Dovecot
) -> None:
    world.connect(visitor, world.link())
    before = world.mailbox()
    data = app_data(world.provider, dovecot) | {"name": "Another app"}
    other = provider_apps.create(world.tenant, data, actor=world.admin)
    link = world.link(provider_app=other, receive="imap", send=False)
    assert (world.mailbox().provider_app, world.mailbox().send) == (world.app, True)

    world.connect(new_visitor(), link, world.person())  # the wrong person
    assert (world.mailbox().provider_app, world.mailbox().token_id) == (world.app, before.token_id)
    world.connect(new_visitor(), link)

    after = world.mailbox()
    assert (after.pk, after.provider_app, after.send) == (before.pk, other, False)
    assert after.state == Mailbox.State.ACTIVE
    assert not Token.objects.filter(pk=before.token_id).exists()


def test_pages_with_a_form_let_the_browser_name_its_origin(world: World, visitor: Client) -> None:
    """With no-referrer alone browsers post "Origin: null", which Django refuses: found in Chromium."""
    link = world.link()
    paths = [f"/connect/{links.signed(link)}/", f"/connect/{links.signed(link)}/unknown/"]
    pages = [visitor.get(path) for path in paths] + [world.connect(visitor, link)]

    assert all('<meta name="referrer" content="same-origin">' in page.content.decode() for page in pages)
    assert all(page["Referrer-Policy"] == "no-referrer" for page in pages)


def test_a_mailbox_that_only_sends_is_proven_again_by_the_upkeep(
    world: World, visitor: Client, dovecot: Dovecot
) -> None:
    smtp = world.app.smtp
    ProviderApp.objects.update(smtp={"host": "localhost", "port": 9, "security": "tls"})
    world.connect(visitor, world.link(receive="none"))
    mailbox = world.mailbox()
    assert (mailbox.state, mailbox.next_poll_at) == (Mailbox.State.DELAYED, None)
    assert prove_again.due(timezone.now(), 10) == []
    later = timezone.now() + timedelta(minutes=3)
    assert prove_again.due(later, 10) == [mailbox.pk]

    assert not prove_again.prove_again(mailbox.pk)
    ProviderApp.objects.update(smtp=smtp)
    assert prove_again.prove_again(mailbox.pk)

    assert world.mailbox().state == Mailbox.State.ACTIVE
    assert prove_again.due(later, 10) == []
