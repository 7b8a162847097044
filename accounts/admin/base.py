"""The one base of all tenant-scoped admin classes: rows through `visible_to`, permissions from the table of roles.

Closed here are Django's ways round a scoped queryset: choices of foreign keys, list filters, autocomplete, `?a__b=`
look-ups, raw ids, bulk actions on rows that one may see but not change, the stock deletion, and LogEntry.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, ClassVar, Final

from django.contrib import admin
from django.core.exceptions import ImproperlyConfigured, PermissionDenied
from django.db import models
from django.http import Http404, HttpRequest, HttpResponse

from accounts.admin.filters import ScopedRelatedFilter, scoped
from accounts.grants import grants_of
from accounts.models import Tenant
from accounts.roles import Right

FILTER_SUFFIXES: Final = frozenset(
    {"", "exact", "in", "isnull", "isempty", "gt", "gte", "lt", "lte", "id__exact", "pk__exact", "year", "month", "day"}
)


class TenantAdmin(admin.ModelAdmin):  # type: ignore[type-arg]  # its model is any TenantRow
    """State the rights; None means never. A row or page without the right is a 404, as if it were not there.

    An action needs `permissions`: `permissions=["connect"]` asks for `connect_right` (and a method
    `has_connect_permission` that returns `self.may(request, self.connect_right)`), row by row.
    """

    view_right: ClassVar[Right | None] = None  # None: the model's own
    add_right: ClassVar[Right | None] = None
    change_right: ClassVar[Right | None] = None
    delete_right: ClassVar[Right | None] = None
    tenant_path: ClassVar[str] = "tenant_id"  # where a row keeps its tenant's id

    view_on_site = False
    show_full_result_count = False

    def __init__(self, model: Any, admin_site: admin.AdminSite) -> None:
        super().__init__(model, admin_site)
        for way_round in ("raw_id_fields", "list_editable", "inlines"):  # none of them asks for rights row by row
            if getattr(self, way_round):
                raise ImproperlyConfigured(f"{type(self).__name__}: {way_round} goes round the tenant's door")

    # Rights ----------------------------------------------------------------------------------------------------------

    def may(self, request: HttpRequest, right: Right | None, obj: Any = None) -> bool:
        """Whether the person holds `right` for the row; without one: for the chosen tenant, or anywhere."""
        if right is None:
            return False
        if obj is not None:
            return grants_of(request).allows(right, getattr(obj, self.tenant_path))
        if request.tenant is not None:  # type: ignore[attr-defined]
            return grants_of(request).allows(right, request.tenant.pk)  # type: ignore[attr-defined]
        return grants_of(request).allows_anywhere(right)

    @property
    def right_to_view(self) -> Right:
        right: Right = self.view_right or self.model.view_right
        return right

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self.may(request, self.right_to_view, obj)

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self.may(request, self.add_right)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self.may(request, self.change_right, obj)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self.may(request, self.delete_right, obj)

    def has_module_permission(self, request: HttpRequest) -> bool:
        return self.has_view_permission(request)

    # Rows ------------------------------------------------------------------------------------------------------------

    def get_queryset(self, request: HttpRequest) -> models.QuerySet[Any]:
        rows = self.model._default_manager.visible_to(request.user, self.right_to_view)
        if request.tenant is not None:  # type: ignore[attr-defined]
            rows = rows.filter(**{self.tenant_path: request.tenant.pk})  # type: ignore[attr-defined]
        ordering = self.get_ordering(request)
        found: models.QuerySet[Any] = rows.order_by(*ordering) if ordering else rows
        return found

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> Any:
        found = super().get_object(request, object_id, from_field)
        if found is None:
            raise Http404  # stock redirects to the index and names the id
        return found

    def row_or_404(self, request: HttpRequest, object_id: Any, right: Right | None) -> Any:
        """For own views of an admin class: the row, if it is visible and the person holds `right` for it."""
        row = self.get_object(request, str(object_id))
        if not self.may(request, right, row):
            raise Http404
        return row

    def with_right(
        self, request: HttpRequest, rows: models.QuerySet[Any], right: Right | None, *, path: str = ""
    ) -> models.QuerySet[Any]:
        """Those of `rows` for which the person holds `right`; `path` leads to their tenant."""
        if right is None:
            return rows.none()
        tenants = request.user.tenants_with(right).order_by().values("pk")  # type: ignore[union-attr]
        return rows.filter(**{f"{path or self.tenant_path}__in": tenants})

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        fields = super().get_readonly_fields(request, obj)
        return fields if obj is None or "tenant" in fields else (*fields, "tenant")  # a row never moves

    # Pages -----------------------------------------------------------------------------------------------------------

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> Any:
        return self._or_404(super().changelist_view, request, extra_context)

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> Any:
        return self._or_404(super().changeform_view, request, object_id, form_url, extra_context)

    def delete_view(self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None) -> Any:
        return self._or_404(super().delete_view, request, object_id, extra_context)

    def history_view(
        self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        raise Http404  # LogEntry knows no tenants; the audit log does

    def _or_404(self, view: Callable[..., Any], *args: Any) -> Any:
        try:
            return view(*args)
        except PermissionDenied:
            raise Http404 from None

    # Choices, filters, look-ups --------------------------------------------------------------------------------------

    def formfield_for_foreignkey(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        if db_field.related_model is Tenant:
            choices: Any = self.with_right(request, Tenant.objects.all(), self.add_right, path="pk")
        else:
            choices = scoped(db_field.related_model, request)
        kwargs.setdefault("queryset", choices)
        return super().formfield_for_foreignkey(db_field, request, **kwargs)

    def formfield_for_manytomany(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        kwargs.setdefault("queryset", scoped(db_field.related_model, request))
        return super().formfield_for_manytomany(db_field, request, **kwargs)

    def get_list_filter(self, request: HttpRequest) -> Any:
        return [self._scoped_filter(each) for each in super().get_list_filter(request)]

    def _scoped_filter(self, each: Any) -> Any:
        if not isinstance(each, str):
            return each
        if "__" in each:
            raise ImproperlyConfigured(f"{type(self).__name__}: the filter {each!r} would offer other tenants' values")
        return (each, ScopedRelatedFilter) if self.model._meta.get_field(each).is_relation else each

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest | None = None) -> bool:
        """Only what the list offers as a filter: no way to guess values of a row, or of its relations, bit by bit."""
        if request is None:
            return False
        names = [self.date_hierarchy] if self.date_hierarchy else []
        for each in self.get_list_filter(request):
            if isinstance(each, type):
                if lookup == getattr(each, "parameter_name", None):
                    return True
            else:
                names.append(each[0] if isinstance(each, tuple) else each)
        return any(
            lookup == name or (lookup.startswith(f"{name}__") and lookup[len(name) + 2 :] in FILTER_SUFFIXES)
            for name in names
        )

    # Deeds -----------------------------------------------------------------------------------------------------------

    def get_actions(self, request: HttpRequest) -> dict[str, Any]:
        actions: dict[str, Any] = super().get_actions(request)
        actions.pop("delete_selected", None)  # goes round the services
        return {name: (self._narrowed(function), *rest) for name, (function, *rest) in actions.items()}

    def _narrowed(self, action: Callable[..., Any]) -> Callable[..., Any]:
        """The action, reaching those of the chosen rows for which the person holds its rights: a list may show more."""
        permissions = getattr(action, "allowed_permissions", ())
        if not permissions:
            raise ImproperlyConfigured(f"{type(self).__name__}: {action.__name__} must name its permissions")
        rights = [self.right_to_view if each == "view" else getattr(self, f"{each}_right") for each in permissions]

        @wraps(action)
        def narrowed(model_admin: Any, request: HttpRequest, rows: models.QuerySet[Any]) -> Any:
            for right in rights:
                rows = self.with_right(request, rows, right)
            return action(model_admin, request, rows)

        return narrowed

    def delete_model(self, request: HttpRequest, obj: Any) -> None:
        raise NotImplementedError(f"{type(self).__name__} must delete through a service")

    def log_addition(self, request: HttpRequest, obj: Any, message: Any) -> None:  # type: ignore[override]
        """Nothing: the deed's service writes to the audit chain; LogEntry knows no tenants."""

    def log_change(self, request: HttpRequest, obj: Any, message: Any) -> None:  # type: ignore[override]
        """Nothing, as above."""

    def log_deletions(self, request: HttpRequest, queryset: Any) -> None:  # type: ignore[override]
        """Nothing, as above."""
