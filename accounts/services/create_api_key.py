from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from uuid import UUID

from django.db import transaction
from django.utils import timezone

import audit
from accounts.errors import ExceedsMaker
from accounts.models import ApiKey, Membership, Tenant
from accounts.models.api_key import PREFIX, digest_of, exceeds, new_key
from accounts.roles import Role
from audit.actor import Actor


@dataclass(frozen=True)
class Made:
    row: ApiKey
    key: str = field(repr=False)  # shown once; only its hash is stored


def create_api_key(
    tenant: Tenant,
    *,
    name: str,
    role: Role,
    may_read_mail: bool = False,
    days: int | None = None,
    actor: Actor,
) -> Made:
    """A new key. `days` until it ends by itself; None: never.

    A person's key never may more than that person, and ends with their membership. Raises ExceedsMaker.
    """
    key = new_key()
    maker = None
    with transaction.atomic():
        if actor.actor_kind == "person":
            membership = (
                Membership.objects.select_related("user").filter(tenant=tenant, user=UUID(actor.actor_id)).first()
            )
            if membership is None or exceeds(membership, role, may_read_mail):
                raise ExceedsMaker("A key never may what you may not: choose another role, or leave reading mail out.")
            maker = membership.user
        row = ApiKey.objects.create(
            tenant=tenant,
            name=name.strip(),
            digest=digest_of(key),
            hint=key[: len(PREFIX) + 4],
            role=role,
            may_read_mail=may_read_mail,
            made_by=maker,
            expires_at=timezone.now() + timedelta(days=days) if days else None,
        )
        audit.record(
            "apikey.created",
            actor=actor,
            tenant_id=tenant.pk,
            target=row,
            detail={
                "role": str(role),
                "may_read_mail": may_read_mail,
                "expires_at": row.expires_at.isoformat() if row.expires_at else None,
            },
        )
    return Made(row, key)
