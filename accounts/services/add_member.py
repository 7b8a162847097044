from __future__ import annotations

from dataclasses import dataclass

from django.db import transaction

import audit
from accounts.errors import AlreadyMember
from accounts.models import Membership, Tenant, User
from accounts.roles import Role
from accounts.services.own_people import refuse_strangers
from audit.actor import Actor


@dataclass(frozen=True)
class Added:
    membership: Membership
    is_new_person: bool  # has no password yet: give them a set-password link


def add_member(
    tenant: Tenant, *, email: str, role: Role, may_read_mail: bool = False, name: str = "", actor: Actor
) -> Added:
    """Give the person with this address a place in `tenant`; somebody unknown gets an account without a password.

    The name of a person who has an account already stays as it is. Raises AlreadyMember, BelongsElsewhere.
    """
    with transaction.atomic():
        user = User.objects.filter(email=email.strip().lower()).first()
        is_new_person = user is None
        if user is None:
            user = User.objects.create_user(email.strip(), name=name.strip())
        else:
            refuse_strangers(user, actor=actor)
        membership, is_new = Membership.objects.get_or_create(
            tenant=tenant, user=user, defaults={"role": role, "may_read_mail": may_read_mail}
        )
        if not is_new:
            raise AlreadyMember(f"{user} is a member of {tenant} already.")
        audit.record(
            "member.added",
            actor=actor,
            tenant_id=tenant.pk,
            target=membership,
            detail={"role": str(role), "may_read_mail": may_read_mail, "new_person": is_new_person},
        )
    return Added(membership, is_new_person)
