"""What somebody may do, read once a request: the same table as `visible_to`, for buttons, menus and permissions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from django.http import HttpRequest

from accounts.roles import Right


@dataclass(frozen=True)
class Grants:
    everywhere: frozenset[Right] = frozenset()  # a platform operator's
    by_tenant: Mapping[UUID, frozenset[Right]] = field(default_factory=dict)

    def allows(self, right: Right, tenant_id: UUID) -> bool:
        return right in self.everywhere or right in self.by_tenant.get(tenant_id, frozenset())

    def allows_anywhere(self, right: Right) -> bool:
        return right in self.everywhere or any(right in rights for rights in self.by_tenant.values())


def grants_of(request: HttpRequest) -> Grants:
    """The grants of whoever asks; empty for an anonymous visitor."""
    user: Any = request.user
    known: tuple[Any, Grants] | None = getattr(request, "_accounts_grants", None)
    if known is None or known[0] != user.pk:
        known = (user.pk, user.grants() if user.is_authenticated else Grants())
        request._accounts_grants = known  # type: ignore[attr-defined]
    return known[1]
