from __future__ import annotations

from typing import Any, ClassVar, Self

from django.core.exceptions import ValidationError
from django.db import models

from accounts import references
from accounts.ids import new_id
from accounts.models.tenant import Tenant
from accounts.roles import Right
from accounts.visibility import TenantManager


class TenantRow(models.Model):
    """A row that belongs to a tenant for good: seen through `visible_to`, pointing to rows of its tenant alone."""

    view_right: ClassVar[Right]

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT, related_name="+")

    objects = TenantManager()

    class Meta:
        abstract = True

    @classmethod
    def from_db(cls, *args: Any, **kwargs: Any) -> Self:
        row = super().from_db(*args, **kwargs)
        row._stored_keys = row._reference_keys()
        return row

    def clean(self) -> None:
        """The same rule for forms, as words for a person."""
        super().clean()
        if self.tenant_id:
            try:
                self._check_tenant()
            except references.CrossTenantReference:
                raise ValidationError("What is chosen here belongs to another organisation.") from None

    def save(self, *args: Any, **kwargs: Any) -> None:
        self._check_tenant()
        super().save(*args, **kwargs)
        self._stored_keys = self._reference_keys()

    def _check_tenant(self) -> None:
        keys, stored = self._reference_keys(), getattr(self, "_stored_keys", None)
        if self._state.adding or stored is None:
            references.check_many(type(self), [self])
        elif keys != stored:
            if keys.get("tenant_id") != stored.get("tenant_id", keys.get("tenant_id")):
                raise references.CrossTenantReference(f"a {self._meta.verbose_name} never changes its tenant")
            references.check_many(type(self), [self])

    def _reference_keys(self) -> dict[str, Any]:
        """The loaded keys of the tenant and of the tenant's rows; a deferred one is not fetched for this."""
        held = self.__dict__
        return {name: held[name] for name in references.reference_columns(type(self)) if name in held}
