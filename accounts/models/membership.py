from __future__ import annotations

from typing import ClassVar

from django.conf import settings
from django.db import models

from accounts.models.base import TenantRow
from accounts.models.tenant import Tenant
from accounts.roles import Right, Role


class Membership(TenantRow):
    """A person's place in a tenant. Changed by accounts.services, which keep at least one owner."""

    view_right: ClassVar[Right] = Right.MEMBERS_VIEW

    tenant = models.ForeignKey(
        Tenant, on_delete=models.PROTECT, related_name="memberships", verbose_name="organisation"
    )
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="memberships")
    role = models.CharField(max_length=10, choices=Role.choices)
    may_read_mail = models.BooleanField("may read mail", default=False)
    created_at = models.DateTimeField("member since", auto_now_add=True)

    class Meta:
        verbose_name = "person"
        verbose_name_plural = "people"
        ordering = ("tenant", "user")
        constraints = [
            models.UniqueConstraint("tenant", "user", name="membership_once"),
            models.CheckConstraint(condition=models.Q(role__in=Role.values), name="membership_role_known"),
        ]

    def __str__(self) -> str:
        return f"{self.user} in {self.tenant}"
