from __future__ import annotations

from django.db import transaction

import audit
from accounts.models import Membership
from accounts.roles import Role
from accounts.services.owners import keep_one_owner
from audit.actor import Actor
from audit.canonical import JSON


def change_member(membership: Membership, *, role: Role, may_read_mail: bool, actor: Actor) -> bool:
    """Set role and right. False when they were so already. Raises LastOwner."""
    with transaction.atomic():
        row = Membership.objects.select_for_update().select_related("tenant", "user").get(pk=membership.pk)
        if (row.role, row.may_read_mail) == (role, may_read_mail):
            return False
        if role != Role.OWNER:
            keep_one_owner(row)
        detail: dict[str, JSON] = {"role": [row.role, str(role)], "may_read_mail": [row.may_read_mail, may_read_mail]}
        row.role, row.may_read_mail = role, may_read_mail
        row.save(update_fields=["role", "may_read_mail"])
        audit.record("member.changed", actor=actor, tenant_id=row.tenant_id, target=row, detail=detail)
    membership.role, membership.may_read_mail = row.role, row.may_read_mail
    return True
