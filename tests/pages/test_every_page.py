"""Every page opens for those who may, in the frame, with a title and breadcrumbs; no page acts on GET."""

from __future__ import annotations

import re

import pytest
from django.test import Client
from django.urls import reverse

from accounts.roles import Role
from mailboxes.models import Mailbox, OutboxMessage
from tests.accounts.people import make_member, make_tenant, signed_in
from tests.pages.house import House

MAIL_OF_ITS_OWN = ("/body/", "/raw/", "/attachments/", "/export/")


@pytest.fixture
def owner(house: House) -> Client:
    return signed_in(make_member(house.tenant, Role.OWNER, reads=True))


def test_every_page_opens_for_an_owner_who_reads_mail(house: House, owner: Client) -> None:
    answers = {page: owner.get(page).status_code for page in house.pages()}

    assert {page: status for page, status in answers.items() if status != 200} == {}


def test_every_page_stands_in_the_frame_under_a_title_of_its_own(house: House, owner: Client) -> None:
    titles = {}
    for page in house.pages():
        if any(part in page for part in MAIL_OF_ITS_OWN):
            continue
        text = owner.get(page).content.decode()
        title = re.search(r"<title>(.*?)</title>", text, re.S)
        assert title and title[1].strip().endswith("· Mailhub"), page
        assert text.count("<h1") == 1, page
        assert "style=" not in text and "<style" not in text and "onclick" not in text, page
        assert 'aria-label="Breadcrumbs"' in text or page == reverse("dashboard"), page
        titles[page.partition("?")[0]] = title[1].strip()
    assert len(set(titles.values())) >= len(titles) - 3  # the three pages of the wizard share one


def test_no_page_acts_when_it_is_only_looked_at(house: House, owner: Client) -> None:
    before = house.rows()

    for deed in house.deeds():
        assert owner.get(deed).status_code in (200, 302), deed

    assert house.rows() == before


def test_a_deed_needs_the_token_against_forged_requests(house: House, owner: Client) -> None:
    strict = Client(enforce_csrf_checks=True, headers={"host": "localhost:8000"})
    strict.cookies = owner.cookies
    before = house.rows()

    for deed in house.deeds():
        assert strict.post(deed).status_code == 403, deed

    assert house.rows() == before


@pytest.mark.django_db
def test_an_empty_list_offers_the_way_on_and_nothing_to_act_on() -> None:
    owner = signed_in(make_member(make_tenant("New"), Role.OWNER, reads=True))

    for model, button in (
        ("mailbox", "Connect a mailbox"),
        ("outboxmessage", "Write a message"),
        ("providerapp", "Register a provider app"),
    ):
        text = owner.get(reverse(f"admin:mailboxes_{model}_changelist")).content.decode()
        assert text.count(button) == 1, model
        assert 'name="action"' not in text, model
        assert 'id="searchbar"' not in text, model
        assert 'class="paginator"' not in text, model


def test_a_search_without_a_hit_says_so_and_leads_back(house: House, owner: Client) -> None:
    text = owner.get(reverse("admin:mailboxes_mailbox_changelist") + "?q=nobody").content.decode()

    assert "Nothing fits" in text and "nobody" in text and "Show all" in text


def test_the_overview_ticks_its_steps_and_then_leaves_them_out(house: House, owner: Client) -> None:
    first = owner.get(reverse("dashboard"))
    OutboxMessage.objects.filter(pk=house.uncertain.pk).update(state="sent")
    second = owner.get(reverse("dashboard"))

    assert first.context["steps_done"] == 3 and "Four steps" in first.content.decode()
    assert second.context["steps"] is None and "Four steps" not in second.content.decode()


def test_the_overview_leads_straight_to_what_mends_a_mailbox(house: House, owner: Client) -> None:
    Mailbox.objects.filter(pk=house.mailbox.pk).update(state="reconnect", reason="consent_revoked")

    text = owner.get(reverse("dashboard")).content.decode()

    assert reverse("admin:mailboxes_mailbox_reconnect", args=[house.mailbox.pk]) in text
    assert "Send reconnect link" in text


def test_the_mailbox_page_never_shows_a_secret(house: House, owner: Client) -> None:
    token = house.mailbox.token
    assert token is not None
    token.access_token, token.refresh_token = "very-secret-access", "very-secret-refresh"  # type: ignore[assignment]
    token.save()

    text = "".join(owner.get(page).content.decode() for page in house.pages() if "/mailbox/" in page)

    assert "very-secret" not in text


@pytest.mark.parametrize("state", Mailbox.State.values)
def test_a_mailbox_in_every_state_says_what_is_the_matter(house: House, owner: Client, state: str) -> None:
    Mailbox.objects.filter(pk=house.mailbox.pk).update(state=state, reason="" if state == "active" else "disconnected")

    answer = owner.get(reverse("admin:mailboxes_mailbox_change", args=[house.mailbox.pk]))

    assert answer.status_code == 200
    assert answer.context["banner"].title
