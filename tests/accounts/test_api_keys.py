from __future__ import annotations

import hashlib
import io
import json
import re
from datetime import timedelta

import pytest
from django.core.management import CommandError, call_command
from django.db import IntegrityError, transaction
from django.utils import timezone

from accounts.errors import ExceedsMaker
from accounts.models import ApiKey, Membership, Tenant
from accounts.roles import RIGHTS, Right, Role
from accounts.services.create_api_key import create_api_key
from accounts.visibility import may
from audit.actor import SYSTEM
from audit.models import AuditEvent
from tests.accounts.people import make_member, make_tenant, make_user, signed_in

pytestmark = pytest.mark.django_db


def run(*args: str) -> str:
    out = io.StringIO()
    call_command("create_api_key", *args, stdout=out)
    return out.getvalue()


def test_only_the_hash_of_a_key_is_stored_and_it_has_256_random_bits() -> None:
    tenant = make_tenant()

    first = create_api_key(tenant, name="CI", role=Role.ADMIN, actor=SYSTEM)
    second = create_api_key(tenant, name="CI", role=Role.ADMIN, actor=SYSTEM)

    assert re.fullmatch(r"mh_[A-Za-z0-9_-]{43}", first.key)
    assert first.key != second.key
    assert first.row.digest == hashlib.sha256(first.key.encode()).hexdigest()
    assert first.key not in repr(first)
    kept = str(ApiKey.objects.values().get(pk=first.row.pk)) + str(list(AuditEvent.objects.values()))
    assert first.key not in kept and first.key[7:] not in kept


def test_making_one_is_audited_with_what_it_may() -> None:
    tenant = make_tenant()
    owner = make_member(tenant, reads=True)

    made = create_api_key(tenant, name="CI", role=Role.OPERATOR, may_read_mail=True, days=30, actor=owner)

    event = AuditEvent.objects.get(action="apikey.created")
    assert (event.tenant_id, event.actor_label, event.object_label) == (tenant.pk, owner.email, "CI")
    assert event.detail["role"] == "operator" and event.detail["may_read_mail"] is True
    assert made.row.expires_at is not None
    assert abs(made.row.expires_at - timezone.now() - timedelta(days=30)) < timedelta(minutes=1)


def test_a_key_is_never_an_owner() -> None:
    tenant = make_tenant()

    with pytest.raises(IntegrityError), transaction.atomic():
        create_api_key(tenant, name="CI", role=Role.OWNER, actor=SYSTEM)


@pytest.mark.parametrize(
    ("maker", "reads", "role", "wants_mail"),
    [
        (Role.OPERATOR, False, Role.ADMIN, False),
        (Role.OPERATOR, False, Role.AUDITOR, False),
        (Role.AUDITOR, True, Role.OPERATOR, False),
        (Role.OWNER, False, Role.AUDITOR, True),
    ],
)
def test_a_key_never_exceeds_its_maker(maker: Role, reads: bool, role: Role, wants_mail: bool) -> None:
    tenant = make_tenant()
    person = make_member(tenant, maker, reads=reads)

    with pytest.raises(ExceedsMaker):
        create_api_key(tenant, name="CI", role=role, may_read_mail=wants_mail, actor=person)

    assert not ApiKey.objects.exists()


def test_nobody_makes_a_key_of_a_tenant_that_is_not_theirs() -> None:
    tenant, other = make_tenant(), make_tenant("Fabrikam")

    for person in (make_member(other), make_user(is_superuser=True)):
        with pytest.raises(ExceedsMaker):
            create_api_key(tenant, name="CI", role=Role.AUDITOR, actor=person)


@pytest.mark.parametrize("role", [Role.ADMIN, Role.OPERATOR, Role.AUDITOR])
def test_a_key_sees_by_its_role_in_its_tenant_alone(role: Role) -> None:
    tenant, other = make_tenant(), make_tenant("Fabrikam")
    key = create_api_key(tenant, name="CI", role=role, actor=SYSTEM).row

    for right in Right:
        assert may(key, right, tenant) == (right in RIGHTS[role])
        assert not may(key, right, other)
    assert list(Tenant.objects.visible_to(key)) == [tenant]


def test_reading_mail_is_a_right_of_its_own() -> None:
    tenant = make_tenant()

    assert may(
        create_api_key(tenant, name="a", role=Role.AUDITOR, may_read_mail=True, actor=SYSTEM).row,
        Right.MAIL_READ,
        tenant,
    )
    assert not may(create_api_key(tenant, name="b", role=Role.ADMIN, actor=SYSTEM).row, Right.MAIL_READ, tenant)


# The command ---------------------------------------------------------------------------------------------------------


def test_the_command_prints_the_key_once_as_json() -> None:
    tenant = make_tenant()

    answer = json.loads(
        run("--tenant", tenant.slug, "--name", "CI", "--role", "auditor", "--read-mail", "--days", "7", "--json")
    )

    assert set(answer) == {"key"}
    row = ApiKey.objects.get(digest=hashlib.sha256(answer["key"].encode()).hexdigest())
    assert (row.tenant, row.role, row.may_read_mail, row.made_by) == (tenant, "auditor", True, None)
    assert row.expires_at is not None and row.expires_at < timezone.now() + timedelta(days=8)


def test_the_command_says_to_a_person_what_it_made() -> None:
    tenant = make_tenant()

    text = run("--tenant", tenant.slug, "--name", "CI", "--role", "admin")

    assert "CI: Administrator of Contoso, reads no mail, until it is revoked." in text
    assert text.count("mh_") == 1


@pytest.mark.parametrize(
    "wrong",
    [
        {"--tenant": "nobody"},
        {"--role": "owner"},
        {"--name": " "},
        {"--name": "a\nb"},
        {"--days": "0"},
        {"--days": "soon"},
    ],
)
def test_the_command_refuses_wrong_usage_with_exit_code_2(wrong: dict[str, str]) -> None:
    given = {"--tenant": make_tenant().slug, "--name": "CI", "--role": "admin", **wrong}

    with pytest.raises(CommandError) as refusal:
        run(*[part for pair in given.items() for part in pair])

    assert refusal.value.returncode in (1, 2)  # argparse's own refusals end a real process with 2
    assert not ApiKey.objects.exists()


# The page ------------------------------------------------------------------------------------------------------------


def test_an_owner_makes_a_key_on_the_page_and_sees_it_once() -> None:
    tenant = make_tenant()
    page = signed_in(make_member(tenant))
    assert page.get("/admin/accounts/apikey/add/").status_code == 200

    answer = page.post(
        "/admin/accounts/apikey/add/", {"tenant": str(tenant.pk), "name": "CI", "role": "operator", "days": "90"}
    )

    assert answer.status_code == 200
    assert "no-store" in answer["Cache-Control"]
    key = re.search(r"mh_[\w-]{43}", answer.content.decode())
    assert key
    row = ApiKey.objects.get()
    assert row.digest == hashlib.sha256(key[0].encode()).hexdigest()
    for path in ("", f"{row.pk}/change/"):
        shown = page.get(f"/admin/accounts/apikey/{path}").content.decode()
        assert row.hint in shown and key[0] not in shown and row.digest not in shown


def test_a_key_is_revoked_on_its_page_and_in_the_list() -> None:
    tenant = make_tenant()
    owner = make_member(tenant)
    page = signed_in(owner)
    first, second = [
        create_api_key(tenant, name=name, role=Role.ADMIN, actor=owner).row for name in ("first", "second")
    ]

    assert page.get(f"/admin/accounts/apikey/{first.pk}/revoke/").status_code == 404
    assert page.post(f"/admin/accounts/apikey/{first.pk}/revoke/").status_code == 302
    page.post("/admin/accounts/apikey/", {"action": "revoke", "_selected_action": [str(first.pk), str(second.pk)]})

    assert not ApiKey.objects.filter(revoked_at=None).exists()
    assert AuditEvent.objects.filter(action="apikey.revoked").count() == 2
    assert "Revoked" in page.get(f"/admin/accounts/apikey/{first.pk}/change/").content.decode()


def test_the_page_refuses_a_key_that_exceeds_its_maker() -> None:
    tenant = make_tenant()
    page = signed_in(make_member(tenant, Role.ADMIN))

    answer = page.post(
        "/admin/accounts/apikey/add/",
        {"tenant": str(tenant.pk), "name": "CI", "role": "admin", "may_read_mail": "on", "days": ""},
    )

    assert "A key never may what you may not" in answer.content.decode()
    assert not ApiKey.objects.exists()


@pytest.mark.parametrize("role", [Role.OPERATOR, Role.AUDITOR, None])
def test_the_page_is_not_there_for_those_who_may_not(role: Role | None) -> None:
    tenant = make_tenant()
    key = create_api_key(tenant, name="CI", role=Role.ADMIN, actor=make_member(tenant)).row
    person = make_member(make_tenant("Fabrikam")) if role is None else make_member(tenant, role)
    page = signed_in(person)

    assert page.get(f"/admin/accounts/apikey/{key.pk}/change/").status_code == 404
    assert page.post(f"/admin/accounts/apikey/{key.pk}/revoke/").status_code == 404
    if role is not None:
        assert page.get("/admin/accounts/apikey/").status_code == 404
        assert page.get("/admin/accounts/apikey/add/").status_code == 404
    else:
        assert "CI" not in page.get("/admin/accounts/apikey/").content.decode()
        page.post("/admin/accounts/apikey/add/", {"tenant": str(tenant.pk), "name": "x", "role": "admin", "days": ""})
        assert not ApiKey.objects.filter(name="x").exists()
    key.refresh_from_db()
    assert key.revoked_at is None


def test_a_member_who_is_removed_takes_their_keys_along() -> None:
    tenant = make_tenant()
    owner, other = make_member(tenant), make_member(tenant)
    create_api_key(tenant, name="CI", role=Role.ADMIN, actor=other)
    page = signed_in(owner)

    page.post(f"/admin/accounts/membership/{Membership.objects.get(user=other).pk}/delete/", {"post": "yes"})

    assert ApiKey.objects.get().revoked_at is not None
    assert AuditEvent.objects.get(action="member.removed").detail["keys_revoked"] == 1
