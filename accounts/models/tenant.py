from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Self

from django.db import models
from django.utils.text import slugify

from accounts.ids import new_id
from accounts.visibility import visible_tenants

if TYPE_CHECKING:
    from accounts.roles import Right


class TenantsQuerySet(models.QuerySet["Tenant"]):
    def visible_to(self, actor: Any, right: Right | None = None) -> Self:
        """The tenants that `actor` belongs to (or keeps), or where `actor` holds `right`."""
        tenants = visible_tenants(actor, right)
        return self.none() if tenants is None else self.filter(pk__in=tenants.order_by().values("pk"))


class Tenant(models.Model):
    """An organisation that owns mailboxes."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    name = models.CharField(max_length=120)
    slug = models.SlugField(max_length=60, unique=True, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)

    objects: ClassVar[models.Manager[Tenant]] = models.Manager.from_queryset(TenantsQuerySet)()

    class Meta:
        verbose_name = "organisation"
        ordering = ("name", "pk")

    def __str__(self) -> str:
        return self.name

    def save(self, *args: Any, **kwargs: Any) -> None:
        if not self.slug:
            self.slug = free_slug(self.name)
        super().save(*args, **kwargs)


def free_slug(name: str) -> str:
    """A slug from `name` that no tenant has yet: "contoso", then "contoso-2" …"""
    stem = slugify(name)[:50].strip("-") or "tenant"
    taken = set(Tenant.objects.filter(slug__startswith=stem).values_list("slug", flat=True))
    slug, number = stem, 1
    while slug in taken:
        number += 1
        slug = f"{stem}-{number}"
    return slug
