"""The connect wizard: what is wrong is said beside its field and stores nothing; each step leads back."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.conf import settings as project
from django.test import Client
from django.urls import reverse

from accounts.roles import Role
from audit.models import AuditEvent
from mailboxes.models import ConnectLink, Mailbox, ProviderApp
from tests.accounts.people import make_member, make_tenant, signed_in
from tests.pages.house import House

CONNECT = "admin:mailboxes_mailbox_connect"
PERMISSIONS = "admin:mailboxes_mailbox_permissions"


@pytest.fixture
def operator(house: House) -> Client:
    return signed_in(make_member(house.tenant, Role.OPERATOR))


def answers(house: House, **changed: Any) -> dict[str, Any]:
    first = {"address": "new@contoso.example", "provider_app": str(house.app.pk), "who": "link"}
    return first | {"receive": "imap", "send": "on", "sign_in_as": "", "purpose": "", "hours": "24"} | changed


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"address": ""}, "This field is required."),
        ({"address": "not an address"}, "Enter a valid email address."),
        ({"who": "somebody"}, "Select a valid choice."),
        ({"provider_app": "01890000-0000-7000-8000-000000000000"}, "Select a valid choice."),
    ],
)
def test_a_wrong_first_answer_is_said_and_stores_nothing(
    house: House, operator: Client, changed: dict[str, str], said: str
) -> None:
    before = house.rows()

    answer = operator.get(reverse(CONNECT), answers(house) | changed)

    assert answer.status_code == 200 and said in answer.content.decode()
    assert house.rows() == before


def test_another_organisations_provider_app_is_no_choice(house: House, neighbour: House, operator: Client) -> None:
    given = answers(house, provider_app=str(neighbour.app.pk))

    assert operator.get(reverse(CONNECT), given).status_code == 200
    assert operator.post(reverse(PERMISSIONS), given).status_code == 302
    assert not Mailbox.objects.filter(address="new@contoso.example").exists()


def test_the_first_step_leads_on_to_the_permissions_and_back_with_its_answers(house: House, operator: Client) -> None:
    step = operator.get(reverse(CONNECT), answers(house), follow=True)
    text = step.content.decode()

    assert step.redirect_chain[-1][0].startswith(reverse(PERMISSIONS))
    assert "What is asked for new@contoso.example" in text
    back = text.partition(f'href="{reverse(CONNECT)}?')[2].partition('"')[0].replace("&amp;", "&")
    first = operator.get(f"{reverse(CONNECT)}?{back}")
    assert first.status_code == 200 and 'value="new@contoso.example"' in first.content.decode()


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"receive": "carrier pigeon"}, "Select a valid choice."),
        ({"sign_in_as": "nobody"}, "Enter a valid email address."),
        ({"hours": "1000"}, "Select a valid choice."),
        ({"receive": "none", "send": ""}, ""),
    ],
)
def test_a_wrong_second_answer_is_said_and_stores_nothing(
    house: House, operator: Client, changed: dict[str, str], said: str
) -> None:
    before = house.rows()

    answer = operator.post(reverse(PERMISSIONS), answers(house) | changed)

    assert answer.status_code == 200, answer
    assert said in answer.content.decode() and answer.context["form"].errors
    assert house.rows() == before


def test_a_link_for_the_owner_is_made_shown_and_withdrawn(house: House, operator: Client) -> None:
    shown = operator.post(reverse(PERMISSIONS), answers(house, purpose="so that orders are archived"), follow=True)
    link = ConnectLink.objects.get(mailbox__address="new@contoso.example")
    text = shown.content.decode()

    assert f"{project.MAILHUB_BASE_URL}/connect/" in text and "Withdraw the link" in text
    assert shown["Referrer-Policy"] == "no-referrer" and "no-store" in shown["Cache-Control"]
    page = operator.get(reverse("admin:mailboxes_mailbox_change", args=[link.mailbox_id])).content.decode()
    assert reverse("admin:mailboxes_mailbox_link", args=[link.pk]) in page

    gone = operator.post(reverse("admin:mailboxes_mailbox_link", args=[link.pk]), follow=True)
    assert "The link no longer works." in gone.content.decode()
    again = operator.get(reverse("admin:mailboxes_mailbox_link", args=[link.pk])).content.decode()
    assert "It has been ended." in again and "/connect/ey" not in again
    assert set(AuditEvent.objects.filter(object_label="new@contoso.example").values_list("action", flat=True)) >= {
        "link.created",
        "link.ended",
    }


def test_without_a_provider_app_the_wizard_says_who_registers_one(db: None) -> None:
    tenant = make_tenant("New")

    operator = signed_in(make_member(tenant, Role.OPERATOR)).get(reverse(CONNECT)).content.decode()
    owner = signed_in(make_member(tenant, Role.OWNER)).get(reverse(CONNECT)).content.decode()

    assert "An administrator of your organisation can register it." in operator
    assert "Register a provider app" not in operator and "Register a provider app" in owner


def test_the_sandboxs_mailboxes_are_one_click_away(
    house: House, operator: Client, settings: Any, tmp_path: Any
) -> None:
    settings.MAILHUB_SANDBOX, settings.MAILHUB_DATA = True, tmp_path
    (tmp_path / "sandbox").mkdir()
    endpoints = {"users": ["alice@sandbox.test", "anna@contoso.example"], "issuer": "https://localhost:1", "ports": []}
    (tmp_path / "sandbox" / "endpoints.json").write_text(json.dumps(endpoints))
    ProviderApp.objects.filter(pk=house.app.pk).update(preset="sandbox")

    text = operator.get(reverse(CONNECT)).content.decode()

    assert f"{reverse(PERMISSIONS)}?address=alice%40sandbox.test" in text
    assert "address=anna%40" not in text and "is connected" in text


def test_disconnecting_asks_for_the_address(house: House) -> None:
    owner = signed_in(make_member(house.tenant, Role.OWNER))
    page = reverse("admin:mailboxes_mailbox_disconnect", args=[house.mailbox.pk])
    before = house.rows()

    asked, wrong = owner.get(page).content.decode(), owner.post(page, {"address": "bob@contoso.example"})

    assert "The one message stored here stays" in asked and "The permission is destroyed here." in asked
    assert wrong.status_code == 200 and "That is not anna@contoso.example." in wrong.content.decode()
    assert house.rows() == before


def test_suspending_and_resuming_say_what_they_did(house: House, operator: Client) -> None:
    page = reverse("admin:mailboxes_mailbox_change", args=[house.mailbox.pk])
    for deed, said, state in (("suspend", "Suspended.", "suspended"), ("resume", "Resumed", "active")):
        answer = operator.post(reverse(f"admin:mailboxes_mailbox_{deed}", args=[house.mailbox.pk]), follow=True)
        assert answer.redirect_chain[-1][0] == page and said in answer.content.decode()
        house.mailbox.refresh_from_db()
        assert house.mailbox.state in (state, "pending", "delayed")


def test_many_at_once_are_suspended_from_the_list(house: House, operator: Client) -> None:
    url = reverse("admin:mailboxes_mailbox_changelist")

    answer = operator.post(url, {"action": "suspend", "_selected_action": [str(house.mailbox.pk)]}, follow=True)

    assert "1 suspended." in answer.content.decode()
    house.mailbox.refresh_from_db()
    assert house.mailbox.state == "suspended"
