from __future__ import annotations

import pytest
from django.contrib.auth.models import AnonymousUser

from accounts.models import Membership, Tenant, User
from accounts.roles import RIGHTS, Right, Role
from accounts.visibility import may
from tests.accounts.people import make_member, make_tenant, make_user

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("role", Role)
@pytest.mark.parametrize("right", Right)
def test_a_member_sees_what_the_role_gives_and_nothing_else(role: Role, right: Right) -> None:
    tenant = make_tenant()
    member = make_member(tenant, role)

    seen = Membership.objects.visible_to(member, right).exists()

    assert seen is (right in RIGHTS[role])
    assert may(member, right, tenant) is seen
    assert member.grants().allows(right, tenant.pk) is seen


def test_no_role_reads_mail_by_itself() -> None:
    assert all(Right.MAIL_READ not in rights for rights in RIGHTS.values())


@pytest.mark.parametrize("role", Role)
def test_a_member_reads_mail_when_the_membership_says_so(role: Role) -> None:
    tenant = make_tenant()

    assert may(make_member(tenant, role, reads=True), Right.MAIL_READ, tenant)
    assert not may(make_member(tenant, role), Right.MAIL_READ, tenant)


@pytest.mark.parametrize("right", Right)
def test_a_member_of_another_tenant_sees_nothing(right: Right) -> None:
    tenant = make_tenant()
    make_member(tenant)
    outsider = make_member(make_tenant("Fabrikam"), reads=True)

    assert not Membership.objects.visible_to(outsider, right).filter(tenant=tenant).exists()
    assert not may(outsider, right, tenant)


@pytest.mark.parametrize("right", Right)
def test_somebody_inactive_or_signed_out_sees_nothing(right: Right) -> None:
    tenant = make_tenant()
    gone = make_member(tenant, reads=True)
    gone.is_active = False
    gone.save()

    for actor in (gone, AnonymousUser()):
        assert not Membership.objects.visible_to(actor, right).exists()
        assert not Tenant.objects.visible_to(actor).exists()
        assert not User.objects.visible_to(actor).exists()
        assert not may(actor, right, tenant)
    assert not gone.grants().allows_anywhere(right)
    assert not gone.is_staff


def test_an_inactive_platform_operator_sees_nothing() -> None:
    make_member(make_tenant())
    operator = make_user(is_superuser=True, is_active=False)

    assert not Membership.objects.visible_to(operator).exists()
    assert not operator.is_staff


def test_a_platform_operator_sees_all_tenants_but_no_mail() -> None:
    tenants = [make_tenant(), make_tenant("Fabrikam")]
    operator = make_user(is_superuser=True)

    assert set(Tenant.objects.visible_to(operator)) == set(tenants)
    assert may(operator, Right.MAILBOXES_VIEW, tenants[0])
    assert not may(operator, Right.MAIL_READ, tenants[0])
    assert not may(operator, Right.OUTBOX_SEND, tenants[0])
    assert not may(operator, Right.MEMBERS_CHANGE, tenants[0])


def test_a_platform_operator_reads_no_mail_by_becoming_a_member() -> None:
    tenant = make_tenant()
    operator = make_member(tenant, user=make_user(is_superuser=True), reads=True)

    assert not may(operator, Right.MAIL_READ, tenant)
    assert not operator.grants().allows(Right.MAIL_READ, tenant.pk)


def test_a_person_in_two_tenants_sees_their_union_each_by_its_role() -> None:
    first, second = make_tenant(), make_tenant("Fabrikam")
    person = make_member(first, Role.OWNER)
    make_member(second, Role.AUDITOR, user=person)

    assert set(Tenant.objects.visible_to(person)) == {first, second}
    assert set(Tenant.objects.visible_to(person, Right.MEMBERS_CHANGE)) == {first}
    assert set(Tenant.objects.visible_to(person, Right.AUDIT_VIEW)) == {first, second}


def test_people_see_their_fellows_and_always_themselves() -> None:
    tenant = make_tenant()
    owner, auditor = make_member(tenant), make_member(tenant, Role.AUDITOR)
    make_member(make_tenant("Fabrikam"))

    assert set(User.objects.visible_to(owner)) == {owner, auditor}
    assert set(User.objects.visible_to(auditor)) == {auditor}
