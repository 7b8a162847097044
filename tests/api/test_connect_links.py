from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from django.utils import timezone

from mailboxes.models import ConnectLink, Mailbox
from tests.accounts.people import browser
from tests.api.house import House, Program


def asked(house: House, **change: Any) -> dict[str, Any]:
    return {"provider_app": str(house.app.pk), "address": "bob@contoso.test", **change}


def test_a_link_is_made_for_an_owner_who_needs_no_account(house: House, admin: Program, settings: Any) -> None:
    answer = admin.post("/connect-links", asked(house, sign_in_as=None, receive="imap", send=True), 201)

    assert set(answer) == {"id", "url", "expires_at"}
    assert answer["url"].startswith(f"{settings.MAILHUB_BASE_URL}/connect/")
    left = datetime.fromisoformat(answer["expires_at"]) - timezone.now()
    assert timedelta(hours=23, minutes=59) < left <= timedelta(days=1)
    page = browser().get(answer["url"].removeprefix(settings.MAILHUB_BASE_URL))
    assert page.status_code == 200
    link = ConnectLink.objects.get(pk=answer["id"])
    assert (link.created_by, link.created_by_label) == (None, "admin program")
    (waiting,) = admin.get("/mailboxes?address=BOB@contoso.test")["items"]
    assert (waiting["state"], waiting["token"], waiting["reason"]["code"]) == ("pending", None, "link_sent")


def test_a_known_address_keeps_its_id_and_its_settings(house: House, admin: Program) -> None:
    before = admin.get(f"/mailboxes/{house.mailbox.pk}")

    admin.post("/connect-links", asked(house, address="ANNA@Contoso.test", send=False), 201)

    assert Mailbox.objects.count() == 1
    assert admin.get(f"/mailboxes/{house.mailbox.pk}") == before


def test_a_link_may_live_for_a_second(house: House, admin: Program) -> None:
    answer = admin.post("/connect-links", asked(house, expires_in=1), 201)

    assert datetime.fromisoformat(answer["expires_at"]) <= timezone.now() + timedelta(seconds=1)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"address": "no address"}, "address"),
        ({"address": "josé@contoso.test"}, "address"),
        ({"sign_in_as": "nobody"}, "sign_in_as"),
        ({"receive": "exchange"}, "receive"),
        ({"receive": "pop3"}, "receive"),
        ({"receive": "none", "send": False}, "receive"),
        ({"expires_in": 0}, "expires_in"),
        ({"expires_in": 10**9}, "expires_in"),
        ({"provider_app": "x"}, "provider_app"),
        ({"scopes": []}, "scopes"),
    ],
)
def test_what_is_wrong_is_said_by_field(house: House, admin: Program, change: dict[str, Any], field: str) -> None:
    problem = admin.post("/connect-links", asked(house, **change), 422)

    assert problem["code"] == "invalid"
    assert [each["field"] for each in problem["errors"]] == [field]
    assert not ConnectLink.objects.exists()


def test_an_app_for_another_flow_is_refused(house: House, admin: Program) -> None:
    house.app.flow = "client_credentials"
    house.app.save()

    assert admin.post("/connect-links", asked(house), 422)["errors"][0]["field"] == "provider_app"


def test_a_strangers_app_is_not_there(house: House, stranger: Program) -> None:
    assert stranger.post("/connect-links", asked(house), 404)["code"] == "not_found"
    assert not ConnectLink.objects.exists()
