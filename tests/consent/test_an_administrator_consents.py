"""From the wizard, in the administrator's own browser."""

from __future__ import annotations

from django.test import Client
from django.urls import reverse

from mailboxes.models import Mailbox, Token
from tests.consent.conftest import World, new_visitor


def go(world: World, client: Client, **asked: str) -> str:
    data = {"provider_app": str(world.app.pk), "address": world.address, "who": "me", "receive": "imap", "send": "on"}
    answer = client.post(reverse("admin:mailboxes_mailbox_permissions"), data | asked)
    assert answer.status_code == 302, answer.content.decode()
    return str(answer["Location"])


def test_the_administrator_ends_on_the_live_test(world: World, admins_browser: Client) -> None:
    url = go(world, admins_browser)

    page = world.come_back(admins_browser, world.provider.consent(url, world.address), follow=False)

    mailbox = world.mailbox()
    assert page["Location"] == reverse("admin:mailboxes_mailbox_connected", args=[mailbox.pk])
    assert mailbox.state == Mailbox.State.ACTIVE
    assert world.last_attempt().started_by == world.admin
    assert admins_browser.session["_auth_user_id"] == str(world.admin.pk)  # still signed in, as himself


def test_another_person_in_the_same_browser_is_refused(world: World, admins_browser: Client) -> None:
    back = world.provider.consent(go(world, admins_browser), world.address)
    session = admins_browser.session
    for key in ("_auth_user_id", "_auth_user_backend", "_auth_user_hash"):
        del session[key]
    session.save()

    page = world.come_back(admins_browser, back)

    assert page.status_code == 400 and "<code>other_user</code>" in page.content.decode()
    assert not Token.objects.exists() and world.provider.seen("token:authorization_code") == 0


def test_an_outsider_finds_no_such_provider_app(world: World) -> None:
    answer = new_visitor().post(reverse("admin:mailboxes_mailbox_permissions"), {"provider_app": str(world.app.pk)})

    assert answer.status_code == 302 and "/accounts/login/" in answer["Location"]
