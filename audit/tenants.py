"""Names of tenants, for commands that people type.

The chain knows tenants by id alone, and this app imports nobody above it: which model has a tenant's slug and
id is said by the setting AUDIT_TENANT_MODEL ("app.Model"), read here and nowhere else.
"""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.apps import apps
from django.conf import settings
from django.db.models import Manager

from audit.models import INSTALLATION


def chain_of(slug: str) -> UUID:
    """The chain of the tenant with this slug; LookupError when there is none."""
    found = _tenants().filter(slug=slug).values_list("pk", flat=True).first()
    if found is None:
        raise LookupError(f"there is no tenant {slug!r}")
    return UUID(str(found))


def name_of(chain: UUID) -> str:
    """The tenant's slug, "installation", or the id itself when the tenant is no longer there."""
    if chain == INSTALLATION:
        return "installation"
    return str(_tenants().filter(pk=chain).values_list("slug", flat=True).first() or chain)


def _tenants() -> Manager[Any]:
    manager: Manager[Any] = apps.get_model(settings.AUDIT_TENANT_MODEL)._default_manager
    return manager
