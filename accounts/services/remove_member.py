from __future__ import annotations

from django.db import transaction

import audit
from accounts.models import Membership
from accounts.services.owners import keep_one_owner
from accounts.services.revoke_api_key import end_keys_of
from audit.actor import Actor


def remove_member(membership: Membership, *, actor: Actor) -> None:
    """End the person's place in the tenant, at once and in every session, and the API keys that they made there.

    Their account stays. Raises LastOwner.
    """
    with transaction.atomic():
        row = Membership.objects.select_for_update().select_related("tenant", "user").get(pk=membership.pk)
        keep_one_owner(row)
        tenant_id, role, label = row.tenant_id, row.role, str(row)
        ended = end_keys_of(row)
        row.delete()
        audit.record(
            "member.removed",
            actor=actor,
            tenant_id=tenant_id,
            target=membership,
            detail={"role": role, "member": label, "keys_revoked": ended},
        )
