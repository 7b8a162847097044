"""A tenant's row refers to rows of its own tenant only.

Checked wherever a reference is written: `save`, `bulk_create`, `update`, `bulk_update`. A referenced row that is
loaded costs nothing; others cost one query a foreign key, and only when the reference is new or changed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import Any
from uuid import UUID

from django.db import models


class CrossTenantReference(Exception):
    """A row of one tenant would have pointed to a row of another: a fault in our code, never a person's."""


@cache
def tenant_references(model: Any) -> tuple[models.ForeignKey[Any, Any], ...]:
    """The model's foreign keys (and one-to-ones) to rows that belong to a tenant."""
    return tuple(
        field
        for field in model._meta.concrete_fields
        if isinstance(field, models.ForeignKey) and is_tenant_row(field.related_model)
    )


@cache
def reference_columns(model: type[models.Model]) -> tuple[str, ...]:
    """The attributes that hold the row's tenant and its references."""
    return ("tenant_id", *(field.attname for field in tenant_references(model)))


def is_tenant_row(model: Any) -> bool:
    from accounts.models.base import TenantRow

    return isinstance(model, type) and issubclass(model, TenantRow)


def check_many(model: type[models.Model], rows: Sequence[models.Model]) -> None:
    """Raise CrossTenantReference when one of the unsaved or changed `rows` points across tenants."""
    for field in tenant_references(model):
        unknown: dict[Any, Any] = {}
        for row in rows:
            target, own = _key(getattr(row, field.attname)), _key(row.tenant_id)  # type: ignore[attr-defined]
            if target is None:
                continue
            known = _key(getattr(row, field.name).tenant_id) if field.is_cached(row) else None
            if (known or unknown.setdefault(target, own)) != own:
                _refuse(model, field)
        if unknown and _tenants_of(field, unknown) != unknown:
            _refuse(model, field)


def check_update(rows: models.QuerySet[Any], changes: Mapping[str, Any]) -> None:
    """Raise CrossTenantReference when `rows.update(**changes)` could point across tenants or move a row."""
    if "tenant" in changes or "tenant_id" in changes:
        raise CrossTenantReference(f"a {rows.model._meta.verbose_name} never changes its tenant")
    model: Any = rows.model
    for field in tenant_references(model):
        value = changes.get(field.name, changes.get(field.attname))
        if value is None:
            continue
        if hasattr(value, "resolve_expression"):
            raise CrossTenantReference(f"{field} can't be set by an expression: its tenant would be unknown")
        target = value if isinstance(value, models.Model) else _loaded(field, value)
        if target is None or rows.exclude(tenant_id=target.tenant_id).exists():  # type: ignore[attr-defined]
            _refuse(rows.model, field)


def check_bulk_update(model: type[models.Model], fields: Iterable[str]) -> None:
    """Raise CrossTenantReference: bulk_update writes expressions, whose tenants can't be seen."""
    names = set(fields)
    if names & {"tenant", *(field.name for field in tenant_references(model))}:
        raise CrossTenantReference("bulk_update can't write references between tenant rows: save them one by one")


def _key(value: Any) -> UUID | None:
    """A key as the database gives it: jobs and forms pass ids as text."""
    return UUID(value) if isinstance(value, str) else value


def _tenants_of(field: models.ForeignKey[Any, Any], targets: Iterable[Any]) -> dict[Any, Any]:
    rows: Any = field.related_model
    return dict(rows._base_manager.filter(pk__in=list(targets)).values_list("pk", "tenant_id"))


def _loaded(field: models.ForeignKey[Any, Any], pk: Any) -> models.Model | None:
    rows: Any = field.related_model
    found: models.Model | None = rows._base_manager.filter(pk=pk).only("tenant_id").first()
    return found


def _refuse(model: type[models.Model], field: models.ForeignKey[Any, Any]) -> None:
    raise CrossTenantReference(f"{model._meta.label}.{field.name} would point to another tenant's row")
