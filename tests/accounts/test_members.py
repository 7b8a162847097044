from __future__ import annotations

import pytest

from accounts.errors import AlreadyMember, BelongsElsewhere, LastOwner
from accounts.models import Membership, User
from accounts.roles import Role
from accounts.services.add_member import add_member
from accounts.services.change_member import change_member
from accounts.services.password_link import new_password_link
from accounts.services.remove_member import remove_member
from accounts.services.reset_second_factor import reset_second_factor
from audit.models import AuditEvent
from tests.accounts.people import enrol, make_member, make_tenant, make_user

pytestmark = pytest.mark.django_db


def membership(user: User) -> Membership:
    return Membership.objects.get(user=user)


def actions() -> list[str]:
    return list(AuditEvent.objects.order_by("id").values_list("action", flat=True))


def test_somebody_new_gets_an_account_without_a_password() -> None:
    tenant = make_tenant()
    owner = make_member(tenant)

    added = add_member(tenant, email=" Bob@Example.org ", role=Role.OPERATOR, name="Bob", actor=owner)

    assert added.is_new_person
    assert added.membership.user.email == "bob@example.org"
    assert not added.membership.user.has_usable_password()
    event = AuditEvent.objects.get(action="member.added")
    assert (event.tenant_id, event.actor_label) == (tenant.pk, owner.email)
    assert event.detail == {"role": "operator", "may_read_mail": False, "new_person": True}


def test_somebody_known_joins_with_the_account_they_have() -> None:
    tenant, labs = make_tenant(), make_tenant("Contoso Labs")
    owner, bob = make_member(tenant), make_user("bob@example.org", name="Bob")
    make_member(labs, user=owner)
    make_member(labs, Role.AUDITOR, user=bob)

    added = add_member(tenant, email="BOB@example.org", role=Role.AUDITOR, name="Mallory", actor=owner)

    assert not added.is_new_person
    assert added.membership.user == bob
    bob.refresh_from_db()
    assert bob.name == "Bob"


def test_an_account_that_another_organisation_made_is_not_let_in() -> None:
    evil, contoso = make_tenant("Evil"), make_tenant()
    add_member(evil, email="ben@contoso.example", role=Role.AUDITOR, actor=make_member(evil))

    with pytest.raises(BelongsElsewhere, match="another organisation"):
        add_member(
            contoso, email="ben@contoso.example", role=Role.ADMIN, may_read_mail=True, actor=make_member(contoso)
        )

    assert not Membership.objects.filter(tenant=contoso, user__email="ben@contoso.example").exists()
    assert add_member(contoso, email="ben@contoso.example", role=Role.ADMIN, actor=make_user(is_superuser=True))


def test_nobody_joins_twice() -> None:
    tenant = make_tenant()
    owner = make_member(tenant)

    with pytest.raises(AlreadyMember):
        add_member(tenant, email=owner.email, role=Role.AUDITOR, actor=owner)

    assert membership(owner).role == Role.OWNER
    assert actions() == []


def test_a_change_tells_what_was_and_what_is() -> None:
    tenant = make_tenant()
    owner, bob = make_member(tenant), make_member(tenant, Role.AUDITOR)

    assert change_member(membership(bob), role=Role.ADMIN, may_read_mail=True, actor=owner)
    assert not change_member(membership(bob), role=Role.ADMIN, may_read_mail=True, actor=owner)

    assert (membership(bob).role, membership(bob).may_read_mail) == (Role.ADMIN, True)
    assert AuditEvent.objects.get().detail == {"role": ["auditor", "admin"], "may_read_mail": [False, True]}


def test_the_last_owner_stays_an_owner() -> None:
    tenant = make_tenant()
    owner = make_member(tenant)
    make_member(tenant, Role.ADMIN)

    with pytest.raises(LastOwner, match="only owner of Contoso"):
        remove_member(membership(owner), actor=owner)
    with pytest.raises(LastOwner):
        change_member(membership(owner), role=Role.ADMIN, may_read_mail=False, actor=owner)

    assert membership(owner).role == Role.OWNER
    assert actions() == []


def test_an_owner_who_cannot_sign_in_does_not_count() -> None:
    tenant = make_tenant()
    owner, gone = make_member(tenant), make_member(tenant)
    User.objects.filter(pk=gone.pk).update(is_active=False)

    with pytest.raises(LastOwner):
        remove_member(membership(owner), actor=owner)


def test_the_last_owner_may_still_change_their_right_to_read() -> None:
    owner = make_member(make_tenant())

    assert change_member(membership(owner), role=Role.OWNER, may_read_mail=True, actor=owner)


def test_one_of_two_owners_leaves_and_loses_every_right() -> None:
    tenant = make_tenant()
    owner, bob = make_member(tenant), make_member(tenant, reads=True)

    remove_member(membership(bob), actor=owner)

    assert not Membership.objects.filter(user=bob).exists()
    assert not bob.grants().by_tenant
    event = AuditEvent.objects.get(action="member.removed")
    assert event.object_label == f"{bob.email} in Contoso"


def test_a_password_link_is_made_only_for_people_of_ones_own() -> None:
    tenant = make_tenant()
    owner, own, shared = make_member(tenant), make_member(tenant, Role.ADMIN), make_member(tenant, Role.ADMIN)
    make_member(make_tenant("Fabrikam"), Role.AUDITOR, user=shared)
    keeper = make_member(tenant, Role.AUDITOR, user=make_user(is_superuser=True))

    assert "/accounts/password/reset/key/" in new_password_link(membership(own), actor=owner)
    for person in (shared, keeper):
        with pytest.raises(BelongsElsewhere):
            new_password_link(person.memberships.get(tenant=tenant), actor=owner)
        with pytest.raises(BelongsElsewhere):
            reset_second_factor(person.memberships.get(tenant=tenant), actor=owner)
    assert actions() == ["member.changed"]


def test_a_lost_second_factor_is_removed_by_an_owner() -> None:
    tenant = make_tenant()
    owner, bob = make_member(tenant), make_member(tenant, Role.AUDITOR)
    enrol(bob)

    assert reset_second_factor(membership(bob), actor=owner)
    assert not reset_second_factor(membership(bob), actor=owner)

    assert AuditEvent.objects.get().detail == {"kinds": ["totp"]}
