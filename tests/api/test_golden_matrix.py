"""Every call × every kind of caller, held against tests/golden_matrix.toml."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest
from django.db import transaction
from django.utils import timezone

from accounts.models import ApiKey, Membership
from accounts.roles import Role
from accounts.services.create_api_key import create_api_key
from accounts.services.remove_member import remove_member
from mailhub.api import api
from tests.accounts.people import make_member, signed_in
from tests.api.house import House, Program, make_house

pytestmark = pytest.mark.both_databases
GOLDEN = tomllib.loads((Path(__file__).parents[1] / "golden_matrix.toml").read_text())
CALLS: dict[str, list[int]] = GOLDEN["api"]
APP = {"name": "New", "preset": "oidc", "issuer": "https://localhost:1", "client_id": "c", "client_secret": "s"}


def routes() -> set[str]:
    """Every call that ninja answers, read from its routers."""
    return {
        f"{method} {bound.prefix.rstrip('/')}{path}".replace("//", "/").rstrip("/")
        for bound in api._get_bound_routers()
        for path, view in bound.path_operations.items()
        for operation in view.operations
        for method in operation.methods
    }


def test_every_call_is_in_the_matrix_and_no_other() -> None:
    assert routes() == set(CALLS)


@pytest.fixture
def callers(house: House) -> dict[str, Program]:
    found = {
        "admin": house.program(Role.ADMIN),
        "operator": house.program(Role.OPERATOR),
        "auditor": house.program(Role.AUDITOR),
        "reader": house.program(Role.AUDITOR, reads=True),
        "stranger": make_house("Fabrikam", "frank@fabrikam.test").program(Role.ADMIN, reads=True),
        "expired": house.program(Role.ADMIN, reads=True),
    }
    ApiKey.objects.filter(pk=house.row().pk).update(expires_at=timezone.now())
    found["revoked"] = house.program(Role.ADMIN, reads=True)
    ApiKey.objects.filter(pk=house.row().pk).update(revoked_at=timezone.now())
    gone = make_member(house.tenant, Role.OWNER, reads=True)
    made = create_api_key(house.tenant, name="orphan", role=Role.ADMIN, may_read_mail=True, actor=gone)
    remove_member(Membership.objects.get(user=gone), actor=house.owner)
    return found | {"orphan": Program(made.key), "session": Program("", signed_in(house.owner)), "nobody": Program()}


def body_of(call: str, house: House) -> Any:
    app = str(house.app.pk)
    return {
        "POST /provider-apps": APP,
        "PATCH /provider-apps/{provider_app_id}": {"name": "Renamed"},
        "POST /connect-links": {"provider_app": app, "address": "new@contoso.test"},
        "POST /mailboxes": {"provider_app": app, "address": "new@contoso.test"},
        "POST /mailboxes/{mailbox_id}/outbox": {"to": ["bob@elsewhere.test"], "subject": "Hi", "text": "Hi\n"},
    }.get(call)


@pytest.mark.parametrize("call", sorted(CALLS))
def test_who_gets_what(call: str, house: House, callers: dict[str, Program]) -> None:
    method, path = call.split()
    path = path.format(**house.ids(), n=0)
    ours = [str(house.mailbox.pk), str(house.app.pk), str(house.message.pk), house.mailbox.address, house.owner.email]
    outcomes = {}

    for name, program in callers.items():
        before = transaction.savepoint()
        answer = program(method, path, body_of(call, house))
        transaction.savepoint_rollback(before)  # nobody finds what the caller before has done
        outcomes[name] = answer.status_code
        if CALLS[call][GOLDEN["callers"].index(name)] in (401, 403) or name == "stranger":
            said = answer.content.decode(errors="replace")
            assert not [secret for secret in ours if secret in said], (name, said)

    assert outcomes == dict(zip(GOLDEN["callers"], CALLS[call], strict=True))


def test_an_id_that_nobody_has_is_answered_like_a_strangers(house: House, callers: dict[str, Program]) -> None:
    stranger = callers["stranger"]
    nobodys = "01a1fe6f-842b-7c1e-9d6c-63c69162e1ab"

    for noun, pk in (("mailboxes", house.mailbox.pk), ("messages", house.message.pk), ("outbox", house.outbox.pk)):
        foreign, unknown = stranger.get(f"/{noun}/{pk}", 404), stranger.get(f"/{noun}/{nobodys}", 404)
        assert {**foreign, "request_id": ""} == {**unknown, "request_id": ""}
