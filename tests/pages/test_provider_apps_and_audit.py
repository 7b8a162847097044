"""Provider apps: guided, refused in words. The audit log: filtered, verified, exported."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from accounts.roles import Role
from audit.models import AuditEvent
from mailboxes.models import ProviderApp
from tests.accounts.people import make_member, signed_in
from tests.pages.house import House

ADD = "admin:mailboxes_providerapp_add"


@pytest.fixture
def owner(house: House) -> Client:
    return signed_in(make_member(house.tenant, Role.OWNER))


def app_form(house: House, **changed: Any) -> dict[str, Any]:
    return {
        "tenant": str(house.tenant.pk),
        "name": "Second",
        "issuer": "https://other.example",
        "client_id": "mailhub",
        "client_secret": "shh-very-secret",
        "imap_host": "imap.other.example",
        "imap_port": "993",
        "imap_security": "tls",
        "imap_scopes": "mail",
    } | changed


def test_the_redirect_uri_is_shown_before_saving_and_stays(house: House, owner: Client) -> None:
    shown = owner.get(f"{reverse(ADD)}?preset=google")
    uri = shown.context["redirect_uri"]
    made = shown.context["form"]["made"].value()
    refused = owner.post(f"{reverse(ADD)}?preset=google", app_form(house, made=made, client_secret=""))

    assert uri in shown.content.decode()
    assert refused.context["redirect_uri"] == uri and "client_secret" in refused.context["form"].errors


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"name": ""}, "name"),
        ({"issuer": ""}, "issuer"),
        ({"imap_port": "99999"}, "imap_port"),
        ({"tenant": ""}, "tenant"),
        ({"secret_expires_at": "soon"}, "secret_expires_at"),
    ],
)
def test_a_wrong_answer_is_said_beside_its_field_and_stores_nothing(
    house: House, owner: Client, changed: dict[str, str], field: str
) -> None:
    answer = owner.post(f"{reverse(ADD)}?preset=oidc", app_form(house) | changed)
    text = answer.content.decode()

    assert answer.status_code == 200 and f'id="id_{field}_error"' in text
    assert "shh-very-secret" not in text
    assert ProviderApp.objects.filter(tenant=house.tenant).count() == 1


def test_a_secret_is_kept_when_its_field_is_left_empty_and_is_never_shown(house: House, owner: Client) -> None:
    house.app.client_secret = "shh-very-secret"  # type: ignore[assignment]
    house.app.save()

    text = owner.get(reverse("admin:mailboxes_providerapp_change", args=[house.app.pk])).content.decode()

    assert "shh-very-secret" not in text and "Leave empty to keep the present one" in text


def test_a_help_text_is_text_and_no_markup(house: House, owner: Client) -> None:
    text = owner.get(f"{reverse(ADD)}?preset=microsoft").content.decode()

    assert "&lt;" in text  # the placeholder in the issuer's help


def test_an_app_in_use_stays(house: House, owner: Client) -> None:
    answer = owner.post(reverse("admin:mailboxes_providerapp_remove", args=[house.app.pk]), follow=True)

    assert "Mailboxes point to it, so it stays" in answer.content.decode()
    assert ProviderApp.objects.filter(pk=house.app.pk).exists()


def test_the_log_is_filtered_by_noun_time_and_outcome(house: House, owner: Client) -> None:
    url = reverse("admin:audit_auditevent_changelist")

    for query, hits in (
        ("about=mailbox", 1),
        ("about=token", 0),
        ("within=1", 1),
        ("within=x", 1),
        ("outcome__exact=failed", 0),
    ):
        answer = owner.get(f"{url}?{query}")
        assert answer.context["cl"].result_count == hits, query
    assert "No event fits" in owner.get(f"{url}?about=token").content.decode()


def test_verifying_names_the_chain_and_its_length(house: House, owner: Client) -> None:
    answer = owner.post(reverse("admin:audit_auditevent_verify"), follow=True)

    assert "The chain of Contoso is whole: 1 events" in answer.content.decode().replace("&nbsp;", " ")


def test_verifying_needs_a_post(house: House, owner: Client) -> None:
    answer = owner.get(reverse("admin:audit_auditevent_verify"), follow=True)

    assert "is whole" not in answer.content.decode()


def test_the_export_is_the_chain_line_by_line(house: House, owner: Client) -> None:
    answer = owner.get(reverse("admin:audit_auditevent_export", args=[house.tenant.pk]))
    lines = [json.loads(line) for line in b"".join(answer).splitlines()]

    assert [line["seq"] for line in lines] == list(
        range(1, AuditEvent.objects.filter(chain=house.tenant.pk).count() + 1)
    )


def test_the_page_of_an_event_reads_as_a_sentence(house: House, owner: Client) -> None:
    text = owner.get(reverse("admin:audit_auditevent_change", args=[house.event.pk])).content.decode()

    assert "Mailhub connected anna@contoso.example" in text and house.event.hash in text
