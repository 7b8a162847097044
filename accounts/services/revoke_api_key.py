from __future__ import annotations

from django.db import transaction
from django.utils import timezone

import audit
from accounts.models import ApiKey, Membership
from audit.actor import Actor


def revoke_api_key(key: ApiKey, *, actor: Actor) -> bool:
    """The key opens nothing any more, at once. False when it was revoked before."""
    now = timezone.now()
    with transaction.atomic():
        if not ApiKey.objects.filter(pk=key.pk, revoked_at=None).update(revoked_at=now):
            return False
        audit.record("apikey.revoked", actor=actor, tenant_id=key.tenant_id, target=key)
    key.revoked_at = now
    return True


def end_keys_of(membership: Membership) -> int:
    """Inside the deed that ends the membership: should the person come back one day, their old keys don't."""
    keys = ApiKey.objects.filter(tenant=membership.tenant_id, made_by=membership.user_id, revoked_at=None)
    return keys.update(revoked_at=timezone.now())
