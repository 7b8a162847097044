from __future__ import annotations

from accounts.errors import LastOwner
from accounts.models import Membership, Tenant
from accounts.roles import Role


def keep_one_owner(membership: Membership) -> None:
    """Call inside the transaction, before `membership` stops being an owner's. Raises LastOwner.

    Locks the tenant's row, so that two owners who remove each other at the same moment take turns.
    """
    if membership.role != Role.OWNER:
        return
    tenant = Tenant.objects.select_for_update().get(pk=membership.tenant_id)
    others = Membership.objects.filter(tenant=tenant, role=Role.OWNER, user__is_active=True).exclude(pk=membership.pk)
    if not others.exists():
        raise LastOwner(
            f"{membership.user} is the only owner of {tenant}. Make somebody else an owner first, then try again."
        )
