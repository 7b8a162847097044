from __future__ import annotations

from django.db import transaction

import audit
from accounts.models import Tenant
from audit.actor import Actor


def rename_tenant(tenant: Tenant, *, name: str, actor: Actor) -> bool:
    """Change what the organisation is called; its slug stays. False when it was called so already."""
    with transaction.atomic():
        row = Tenant.objects.select_for_update().get(pk=tenant.pk)
        if row.name == name:
            return False
        detail = {"name": [row.name, name]}
        row.name = name
        row.save(update_fields=["name"])
        audit.record("tenant.changed", actor=actor, tenant_id=row.pk, target=row, detail=detail)
    tenant.name = name
    return True
