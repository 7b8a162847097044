from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from audit.models import AuditEvent
from mailboxes.models import ProviderApp
from tests.api.house import House, Program, make_app

APP: dict[str, Any] = {
    "name": "Fabrikam Mail",
    "preset": "oidc",
    "flow": "authorization_code",
    "issuer": "https://localhost:1/",
    "client_id": "mailhub",
    "client_secret": "s3cret-of-the-client",
    "imap": {"host": "imap.fabrikam.test", "port": 993, "security": "tls"},
    "pop3": None,
    "smtp": {"host": "smtp.fabrikam.test", "port": 587, "security": "starttls"},
    "scopes": {"imap": ["mail.imap"], "pop3": [], "smtp": ["mail.smtp"]},
}


def test_a_client_is_registered_and_its_secret_never_comes_out(house: House, admin: Program, settings: Any) -> None:
    made = admin.post("/provider-apps", APP, 201)

    assert made["redirect_uri"] == f"{settings.MAILHUB_BASE_URL}/connect/callback/{made['id']}/"
    assert {name: made[name] for name in APP if name != "client_secret"} == {
        name: value for name, value in APP.items() if name != "client_secret"
    }
    assert made["reason"]["code"] == "unreachable"  # nobody is at the issuer: it is said, and does not stop it
    assert admin.get(f"/provider-apps/{made['id']}") == made
    assert made in admin.get("/provider-apps")["items"]
    stored = ProviderApp.objects.get(pk=made["id"])
    assert stored.client_secret.reveal() == APP["client_secret"]
    assert APP["client_secret"] not in str(made)
    assert AuditEvent.objects.get(action="providerapp.created").actor_kind == "key"


def test_a_preset_fills_in_what_is_left_out(house: House, admin: Program) -> None:
    given = {name: APP[name] for name in ("name", "client_id", "client_secret")}

    made = admin.post("/provider-apps", {**given, "preset": "google"}, 201)

    assert made["imap"] == {"host": "imap.gmail.com", "port": 993, "security": "tls"}
    assert made["issuer"] == "https://accounts.google.com"
    assert made["scopes"]["smtp"] == ["https://mail.google.com/"]


def test_a_change_touches_what_it_names_alone(house: House, admin: Program) -> None:
    before = admin.get(f"/provider-apps/{house.app.pk}")

    after = admin.patch(
        f"/provider-apps/{house.app.pk}", {"client_secret": "a newer one", "secret_expires_at": "2027-11-21"}
    )

    assert {**after, "reason": None} == {**before, "secret_expires_at": "2027-11-21", "reason": None}
    row = ProviderApp.objects.get(pk=house.app.pk)
    assert (row.client_secret.reveal(), row.secret_expires_at) == ("a newer one", date(2027, 11, 21))
    admin.patch(f"/provider-apps/{house.app.pk}", {"name": "Renamed"})
    assert ProviderApp.objects.get(pk=house.app.pk).client_secret.reveal() == "a newer one"


def test_one_that_mailboxes_name_stays(house: House, admin: Program) -> None:
    problem = admin("DELETE", f"/provider-apps/{house.app.pk}")
    assert (problem.status_code, problem.json()["code"]) == (409, "in_use")

    spare = make_app(house.tenant, "Spare")
    gone = admin("DELETE", f"/provider-apps/{spare.pk}")
    assert (gone.status_code, gone.content) == (204, b"")
    assert admin.get(f"/provider-apps/{spare.pk}", 404)["code"] == "not_found"


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"flow": "service_account"}, "flow"),
        ({"name": "contoso mail"}, "name"),
        ({"name": " "}, "name"),
        ({"preset": "yahoo"}, "preset"),
        ({"issuer": "http://login.example.org"}, "issuer"),
        ({"issuer": None}, "issuer"),
        ({"client_secret": ""}, "client_secret"),
        ({"imap": {"host": "imap.example.org", "port": 993, "security": "none"}}, "imap.security"),
        ({"imap": {"host": "imap.example.org", "port": 0}}, "imap.port"),
        ({"imap": {"host": "not a host", "port": 993}}, "imap"),
        ({"scopes": {"imap": ["two words"]}}, "scopes"),
        ({"scopes": {"nntp": ["x"]}}, "scopes.nntp"),
        ({"nmae": "x"}, "nmae"),
        ({"secret_expires_at": "next year"}, "secret_expires_at"),
    ],
)
def test_what_is_wrong_is_said_by_field(house: House, admin: Program, change: dict[str, Any], field: str) -> None:
    problem = admin.post("/provider-apps", {**APP, **change}, 422)

    assert problem["code"] == "invalid"
    assert [each["field"] for each in problem["errors"]] == [field]
    assert APP["client_secret"] not in str(problem)
    assert ProviderApp.objects.count() == 1


def test_an_empty_change_is_refused(house: House, admin: Program) -> None:
    assert admin.patch(f"/provider-apps/{house.app.pk}", {}, 422)["code"] == "invalid"


def test_the_host_of_a_well_known_provider_is_not_for_tokens_to_leave(house: House, admin: Program) -> None:
    given = {**APP, "preset": "google", "issuer": None, "imap": {"host": "imap.evil.test", "port": 993}}

    assert "imap" in {each["field"] for each in admin.post("/provider-apps", given, 422)["errors"]}
