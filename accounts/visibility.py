"""The one door to tenant rows: a queryset that already knows who asks."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Protocol, Self, TypeVar

from django.db import models

from accounts import references

if TYPE_CHECKING:
    from accounts.models.tenant import Tenant
    from accounts.roles import Right

_Row = TypeVar("_Row", bound=models.Model)


class Viewer(Protocol):
    """Whoever may look: a person, an API key, or (always empty-handed) an anonymous visitor."""

    @property
    def is_active(self) -> bool: ...

    def tenants_with(self, right: Right | None) -> models.QuerySet[Tenant]:
        """The tenants where this viewer holds `right`; None: any tie at all. Lazy, for use as a subquery."""


def visible_tenants(actor: Any, right: Right | None) -> models.QuerySet[Tenant] | None:
    """What `actor` may reach with `right`; None for those who reach nothing (signed out, inactive)."""
    if not actor.is_active or not hasattr(actor, "tenants_with"):
        return None
    tenants: models.QuerySet[Tenant] = actor.tenants_with(right)
    return tenants


class TenantQuerySet(models.QuerySet[_Row]):
    """Rows of tenants. Views, admin and API begin with `visible_to`; a foreign row is then a 404 by itself."""

    def visible_to(self, actor: Any, right: Right | None = None) -> Self:
        """The rows that `actor` may see by `right` (default: the model's `view_right`)."""
        tenants = visible_tenants(actor, right or self.model.view_right)  # type: ignore[attr-defined]
        return self.none() if tenants is None else self.filter(tenant__in=tenants.order_by().values("pk"))

    def bulk_create(self, objs: Iterable[_Row], *args: Any, **kwargs: Any) -> list[_Row]:
        rows = list(objs)
        references.check_many(self.model, rows)
        return super().bulk_create(rows, *args, **kwargs)

    def update(self, **kwargs: Any) -> int:
        references.check_update(self, kwargs)
        return super().update(**kwargs)

    def bulk_update(self, objs: Iterable[_Row], fields: Iterable[str], *args: Any, **kwargs: Any) -> int:
        names = list(fields)
        references.check_bulk_update(self.model, names)
        return super().bulk_update(objs, names, *args, **kwargs)


TenantManager = models.Manager.from_queryset(TenantQuerySet)


def may(actor: Any, right: Right, tenant: Tenant) -> bool:
    """Whether `actor` holds `right` in `tenant`."""
    tenants = visible_tenants(actor, right)
    return tenants is not None and tenants.filter(pk=tenant.pk).exists()
