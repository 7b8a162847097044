from __future__ import annotations

import pytest
from django.utils import timezone

from accounts.roles import Role
from audit.models import AuditEvent
from mailboxes.models import Mailbox, SyncRun, Token
from tests.api.house import House, Program, make_app

FIELDS = {
    "id", "address", "provider_app", "receive", "send", "state", "reason", "token", "last_synced_at", "next_poll_at",
    "message_count",
}  # fmt: skip
RUN = {"id", "state", "reason", "started_at", "ended_at", "added", "changed", "removed"}


def test_a_mailbox_shows_exactly_the_fields_of_the_contract(house: House, admin: Program) -> None:
    mailbox = admin.get(f"/mailboxes/{house.mailbox.pk}")

    assert set(mailbox) == FIELDS
    assert mailbox["provider_app"] == str(house.app.pk)
    assert set(mailbox["token"]) == {"expires_at", "scopes", "subject", "refreshed_at"}
    assert mailbox["token"]["scopes"] == ["mail.imap", "mail.smtp"]
    assert mailbox["token"]["expires_at"].endswith("Z")
    assert mailbox["reason"] is None
    assert admin.get("/mailboxes") == {"items": [mailbox], "next": None}


def test_what_is_wrong_is_said_with_who_can_mend_it(house: House, admin: Program) -> None:
    Mailbox.objects.update(state="reconnect", reason="consent_revoked")
    Token.objects.update(dead_reason="consent_revoked")

    mailbox = admin.get(f"/mailboxes/{house.mailbox.pk}")

    assert set(mailbox["reason"]) == {"code", "text", "who", "fix"}
    assert (mailbox["reason"]["code"], mailbox["reason"]["who"]) == ("consent_revoked", "owner")
    assert "anna@contoso.test" in mailbox["reason"]["text"]
    assert mailbox["token"] is None


@pytest.mark.parametrize("state", Mailbox.State.values)
def test_every_state_can_be_told_and_asked_for(house: House, admin: Program, state: str) -> None:
    Mailbox.objects.update(state=state)

    (mailbox,) = admin.get(f"/mailboxes?state={state}")["items"]

    assert mailbox["state"] == state
    other = "active" if state != "active" else "pending"
    assert admin.get(f"/mailboxes?state={other}")["items"] == []


def test_it_is_suspended_and_goes_on(house: House) -> None:
    operator = house.program(Role.OPERATOR)
    path = f"/mailboxes/{house.mailbox.pk}"

    assert operator.post(f"{path}/suspend")["state"] == "suspended"
    assert operator.post(f"{path}/suspend")["state"] == "suspended"
    assert operator.post(f"{path}/resume")["state"] == "active"
    assert operator.post(f"{path}/resume")["state"] == "active"

    deeds = AuditEvent.objects.filter(action__in=("mailbox.suspended", "mailbox.resumed")).order_by("seq")
    assert [(deed.action, deed.actor_kind, deed.actor_label) for deed in deeds] == [
        ("mailbox.suspended", "key", "operator program"),
        ("mailbox.resumed", "key", "operator program"),
    ]


def test_disconnecting_says_what_became_of_the_permission(house: House, admin: Program) -> None:
    ended = admin.post(f"/mailboxes/{house.mailbox.pk}/disconnect")

    assert set(ended) == {"revoked", "why"}
    assert ended["revoked"] is False and ended["why"]
    assert not Token.objects.exists()
    mailbox = admin.get(f"/mailboxes/{house.mailbox.pk}")
    assert (mailbox["state"], mailbox["token"]) == ("disconnected", None)
    assert admin.get(f"/messages/{house.message.pk}")["text"] == "See inside."


def test_a_sync_is_asked_for_in_every_state_and_says_why_it_cannot_run(house: House, admin: Program) -> None:
    path = f"/mailboxes/{house.mailbox.pk}"

    queued = admin.post(f"{path}/sync", code=202)
    assert set(queued) == RUN
    assert (queued["state"], queued["reason"]) == ("queued", None)
    assert admin.post(f"{path}/sync", code=202)["id"] == queued["id"]
    for state, code in (("suspended", "suspended"), ("disconnected", "disconnected"), ("reconnect", "consent_revoked")):
        Mailbox.objects.update(state=state)
        skipped = admin.post(f"{path}/sync", code=202)
        assert (skipped["state"], skipped["reason"]["code"]) == ("skipped", code)
    runs = admin.get(f"{path}/sync-runs")["items"]
    assert [run["id"] for run in runs] == [str(run.pk) for run in SyncRun.objects.order_by("-created_at", "-id")]
    assert set(runs[-1]) == RUN and runs[-1]["added"] == 1


def test_runs_come_page_by_page(house: House, admin: Program) -> None:
    for _ in range(4):
        SyncRun.objects.create(tenant=house.tenant, mailbox=house.mailbox)
    path, seen = f"/mailboxes/{house.mailbox.pk}/sync-runs?limit=2", []

    page = admin.get(path)
    seen += page["items"]
    while page["next"]:
        page = admin.get(f"{path}&after={page['next']}")
        seen += page["items"]

    assert len({run["id"] for run in seen}) == len(seen) == 5


def test_folders_show_what_they_are_for(house: House, admin: Program) -> None:
    answer = admin.get(f"/mailboxes/{house.mailbox.pk}/folders")

    assert answer == {
        "items": [{"id": str(house.folder.pk), "name": "INBOX", "role": "inbox", "message_count": 0}],
        "next": None,
    }


def test_a_mailbox_without_consent_needs_an_app_for_it(house: House, admin: Program) -> None:
    given = {"provider_app": str(house.app.pk), "address": "orders@contoso.test"}
    assert admin.post("/mailboxes", given, 422)["errors"][0]["field"] == "provider_app"

    house.app.flow = "client_credentials"
    house.app.save()
    problem = admin.post("/mailboxes", given, 422)

    assert problem["errors"][0]["field"] == "provider_app"  # nobody answers at its issuer: nothing is pinned
    assert Mailbox.objects.count() == 1


def test_a_provider_that_is_silent_now_is_no_fault_of_the_request(house: House, admin: Program) -> None:
    silent = make_app(
        house.tenant,
        "Silent",
        flow="client_credentials",
        discovery={"issuer": "https://localhost:1", "token_endpoint": "https://localhost:1/token"},
        discovered_at=timezone.now(),
        pinned_hosts=["localhost:1"],
    )

    answer = admin("POST", "/mailboxes", {"provider_app": str(silent.pk), "address": "orders@contoso.test"})

    assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
    assert int(answer["Retry-After"]) > 0
    assert Mailbox.objects.count() == 1
