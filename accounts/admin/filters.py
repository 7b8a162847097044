"""List filters that offer only what the person may see."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.core.exceptions import ImproperlyConfigured
from django.db import models
from django.http import HttpRequest


class ScopedRelatedFilter(admin.RelatedFieldListFilter):
    """Django's own offers every row of the related table."""

    def field_choices(self, field: Any, request: HttpRequest, model_admin: Any) -> Any:
        visible = scoped(field.related_model, request)
        ordering = self.field_admin_ordering(field, request, model_admin)
        limit = {"pk__in": visible.order_by().values("pk")}
        return field.get_choices(include_blank=False, ordering=ordering, limit_choices_to=limit)


def scoped(model: Any, request: HttpRequest) -> models.QuerySet[Any]:
    """The rows of `model` that may be offered as a choice; ImproperlyConfigured when it has no door of its own."""
    rows = model._default_manager.all()
    if not hasattr(rows, "visible_to"):
        raise ImproperlyConfigured(f"{model._meta.label} has no visible_to: its rows can't be offered to anybody")
    if request.tenant and any(field.name == "tenant" for field in model._meta.concrete_fields):  # type: ignore[attr-defined]
        rows = rows.filter(tenant=request.tenant)  # type: ignore[attr-defined]
    visible: models.QuerySet[Any] = rows.visible_to(request.user)
    return visible
