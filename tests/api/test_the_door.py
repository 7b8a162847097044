"""What holds for every call: whose key it is, how often it asks, how much it sends, and how a refusal looks."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from django.test import Client
from django.utils import timezone

from accounts.models import ApiKey, Membership, User
from accounts.roles import Role
from accounts.services.change_member import change_member
from accounts.services.remove_member import remove_member
from accounts.services.revoke_api_key import revoke_api_key
from mailboxes.api import limits
from tests.accounts.people import browser, make_member, signed_in
from tests.api.house import House, Program

pytestmark = pytest.mark.both_databases
PROBLEM = {"type", "title", "status", "code", "detail", "errors", "request_id"}


def is_refused(program: Program) -> bool:
    problem = program.get("/mailboxes", 401)
    return bool(problem["code"] == "auth")


def test_a_refusal_is_a_problem_document(house: House) -> None:
    answer = Program()("GET", "/mailboxes")

    assert answer.status_code == 401
    assert answer["Content-Type"] == "application/problem+json"
    assert answer["WWW-Authenticate"] == 'Bearer realm="Mailhub"'
    assert answer["Cache-Control"] == "no-store"
    problem = json.loads(answer.content)
    assert set(problem) == PROBLEM
    assert (problem["status"], problem["code"], problem["errors"]) == (401, "auth", [])
    assert problem["request_id"] == answer["X-Request-ID"]


@pytest.mark.parametrize("key", ["", "mh_", "mh_" + "x" * 43, "nonsense", "mh_" + "x" * 9999, "mh_\udcff"])
def test_what_is_no_key_opens_nothing(house: House, key: str) -> None:
    client = browser()
    answer = client.get("/api/v1/mailboxes", HTTP_AUTHORIZATION=f"Bearer {key}")

    assert (answer.status_code, answer.json()["code"]) == (401, "auth")


def test_a_key_is_taken_from_the_header_alone(house: House, admin: Program) -> None:
    for address in (f"/api/v1/mailboxes?key={admin.key}", f"/api/v1/mailboxes?access_token={admin.key}"):
        assert browser().get(address).status_code == 401
    assert browser().get("/api/v1/mailboxes", headers={"Authorization": f"Basic {admin.key}"}).status_code == 401


def test_a_session_opens_nothing_here_and_hinders_no_key(house: House, admin: Program) -> None:
    page = signed_in(house.owner)
    assert page.get("/").status_code == 200
    without_factor = browser()
    without_factor.force_login(make_member(house.tenant, Role.ADMIN))

    for client in (page, without_factor):
        assert client.get("/api/v1/mailboxes").status_code == 401
        assert client.post("/api/v1/provider-apps", {}, content_type="application/json").status_code == 401
        assert Program(admin.key, client).get("/mailboxes")["items"]


def test_no_cross_site_token_is_asked_of_a_program(house: House, admin: Program) -> None:
    strict = Client(enforce_csrf_checks=True, headers={"host": "localhost:8000"})

    assert Program(admin.key, strict).post(f"/mailboxes/{house.mailbox.pk}/sync", code=202)


def test_a_key_ends_on_its_day(house: House) -> None:
    program = house.program(days=1)
    assert program.get("/mailboxes")

    ApiKey.objects.update(expires_at=timezone.now() - timedelta(seconds=1))

    assert is_refused(program)


def test_a_revoked_key_is_refused_at_once(house: House, admin: Program) -> None:
    assert revoke_api_key(house.row(), actor=house.owner)

    assert is_refused(admin)


def test_a_key_ends_with_its_makers_membership_and_never_comes_back(house: House, admin: Program) -> None:
    other = make_member(house.tenant, Role.OWNER)
    remove_member(Membership.objects.get(user=house.owner), actor=other)
    assert is_refused(admin)

    make_member(house.tenant, Role.OWNER, user=house.owner, reads=True)

    assert is_refused(admin)


def test_a_key_rests_while_its_maker_may_not_sign_in(house: House, admin: Program) -> None:
    User.objects.filter(pk=house.owner.pk).update(is_active=False)

    assert is_refused(admin)


def test_a_key_shrinks_with_its_maker(house: House, admin: Program) -> None:
    other = make_member(house.tenant, Role.OWNER)
    maker = Membership.objects.get(user=house.owner)

    change_member(maker, role=Role.OPERATOR, may_read_mail=False, actor=other)

    assert admin.get("/provider-apps")
    assert admin.post("/provider-apps", {}, 403)["code"] == "role"
    assert admin.get(f"/messages/{house.message.pk}", 403)["code"] == "role"
    assert admin.get("/audit-events", 403)["code"] == "role"


def test_the_role_is_asked_before_the_row(house: House, stranger: Program) -> None:
    operator = house.program(Role.OPERATOR)
    foreign = Program(stranger.key).get("/mailboxes")["items"][0]["id"]

    for mailbox in (house.mailbox.pk, foreign):
        assert operator.post(f"/mailboxes/{mailbox}/disconnect", code=403)["code"] == "role"


def test_a_key_has_its_share_of_each_minute(house: House, admin: Program, settings: Any) -> None:
    settings.MAILHUB_API_REQUESTS_PER_MINUTE = 3
    other = house.program()

    with time_machine.travel(datetime(2026, 11, 21, 12, 0, 50, tzinfo=UTC), tick=False) as clock:
        for _ in range(3):
            admin.get("/mailboxes")
        answer = admin("GET", "/mailboxes")
        assert (answer.status_code, answer.json()["code"], answer["Retry-After"]) == (429, "rate", "10")
        assert other.get("/mailboxes")
        clock.shift(10)
        assert admin.get("/mailboxes")


def test_a_body_is_bounded_before_it_is_read(house: House, admin: Program) -> None:
    large = {"name": "x" * limits.GREATEST_BODY}

    assert admin.post("/provider-apps", large, 413)["code"] == "too_large"
    assert Program().post("/provider-apps", large, 401)["code"] == "auth"


@pytest.mark.parametrize(
    ("body", "kind", "status"),
    [
        (b"{", "application/json", 400),
        (b"\xff\xfe", "application/json", 400),
        (b'{"name": NaN}', "application/json", 400),
        (b"[" * 100_000, "application/json", 400),
        (b"1" * 10_000, "application/json", 400),
        (b"{}", "text/plain", 415),
        (b"name=x", "application/x-www-form-urlencoded", 415),
        (b"[]", "application/json", 422),
        (b"null", "application/json", 422),
        (b"", "application/json", 422),
    ],
)
def test_a_body_is_a_json_object(house: House, admin: Program, body: bytes, kind: str, status: int) -> None:
    key = {"Authorization": f"Bearer {admin.key}"}

    answer = browser().generic("POST", "/api/v1/provider-apps", body, kind, headers=key)

    assert (answer.status_code, answer.json()["code"]) == (status, "invalid")


def test_a_body_of_unknown_length_is_refused(house: House, admin: Program) -> None:
    key = {"Authorization": f"Bearer {admin.key}", "Transfer-Encoding": "chunked"}

    answer = browser().generic("POST", "/api/v1/provider-apps", b"{}", "application/json", headers=key)

    assert (answer.status_code, answer.json()["code"]) == (411, "invalid")


def test_what_is_no_call_is_said_in_the_same_way(house: House, admin: Program) -> None:
    for path in ("/nothing", "/mailboxes/", "/mailboxes/x/y/z"):
        assert admin.get(path, 404)["code"] == "not_found"
    answer = admin("PUT", "/mailboxes")
    assert (answer.status_code, answer.json()["code"], set(answer["Allow"].split(", "))) == (
        405,
        "invalid",
        {"GET", "POST"},
    )
    assert admin.get("/mailboxes/no-uuid", 422)["errors"][0]["field"] == "mailbox_id"


@pytest.mark.parametrize("limit", ["0", "501", "-1", "many"])
def test_a_page_has_one_to_five_hundred_rows(house: House, admin: Program, limit: str) -> None:
    assert admin.get(f"/mailboxes?limit={limit}", 422)["errors"][0]["field"] == "limit"


def test_a_cursor_is_good_for_its_own_list_alone(house: House, admin: Program, stranger: Program) -> None:
    for number in range(2):
        admin.post("/connect-links", {"provider_app": str(house.app.pk), "address": f"{number}@contoso.test"}, 201)
    cursor = admin.get("/mailboxes?limit=1")["next"]

    assert len(admin.get(f"/mailboxes?limit=2&after={cursor}")["items"]) == 2
    for program, path in (
        (admin, f"/audit-events?after={cursor}"),
        (admin, f"/mailboxes?state=active&after={cursor}"),
        (admin, f"/mailboxes?after={cursor}x"),
        (admin, "/mailboxes?after=1"),
        (stranger, f"/mailboxes?after={cursor}"),
    ):
        assert program.get(path, 422)["errors"][0]["field"] == "after"


def test_a_fault_of_ours_is_a_problem_document_that_tells_nothing(
    house: House, admin: Program, monkeypatch: Any
) -> None:
    def broken(*_: Any) -> None:
        raise RuntimeError("the-inner-secret")

    monkeypatch.setattr("mailboxes.api.mailboxes.shown", broken)
    client = Client(raise_request_exception=False, headers={"host": "localhost:8000"})

    problem = Program(admin.key, client).get(f"/mailboxes/{house.mailbox.pk}", 500)

    assert problem["code"] == "internal"
    assert "the-inner-secret" not in str(problem)
    assert len(problem["request_id"]) == 12


def test_a_program_is_not_sent_to_another_host_where_its_key_would_get_lost(house: House, admin: Program) -> None:
    local = Client(headers={"host": "127.0.0.1:8000"})

    assert Program(admin.key, local).get("/mailboxes")["items"]
