from __future__ import annotations

import hashlib
import secrets
from typing import ClassVar, Final

from django.conf import settings
from django.db import models
from django.utils import timezone

from accounts.models.base import TenantRow
from accounts.models.membership import Membership
from accounts.models.tenant import Tenant
from accounts.roles import RIGHTS, Right, Role

PREFIX: Final = "mh_"
KEY_ROLES: Final = [role for role in Role if role is not Role.OWNER]


def new_key() -> str:
    """256 random bits, in 43 characters after the prefix by which secret scanners know a Mailhub key."""
    return PREFIX + secrets.token_urlsafe(32)


def digest_of(key: str) -> str:
    """SHA-256, hexadecimal: a slow hash is for what people think up; nobody guesses 256 random bits."""
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()


class ApiKey(TenantRow):
    """A program's key to one tenant. Acts and looks for itself; what it may is never more than what its maker may now."""

    view_right: ClassVar[Right] = Right.KEYS_VIEW

    tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT, related_name="+", verbose_name="organisation")
    name = models.CharField(max_length=80)
    digest = models.CharField(max_length=64, unique=True, editable=False)
    hint = models.CharField(max_length=8, editable=False)  # how the key begins, to recognise it by
    role = models.CharField(max_length=10, choices=[(role.value, role.label) for role in KEY_ROLES])
    may_read_mail = models.BooleanField("may read mail", default=False)
    # null: made at the command line of the installation, so bound to no person
    made_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.PROTECT, related_name="api_keys", editable=False
    )
    created_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField("ends", null=True)  # null: lives until it is revoked
    revoked_at = models.DateTimeField(null=True, editable=False)
    # The rate limit counts here, so that all processes share it and one UPDATE both asks and counts.
    minute = models.DateTimeField("last used", null=True, editable=False)  # the minute of its last request
    requests = models.PositiveIntegerField(default=0, editable=False)  # in that minute

    class Meta:
        verbose_name = "API key"
        verbose_name_plural = "API keys"
        ordering = ("tenant", "name", "id")
        constraints = [
            models.CheckConstraint(condition=models.Q(role__in=[r.value for r in KEY_ROLES]), name="api_key_no_owner"),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def is_active(self) -> bool:
        return self.revoked_at is None and (self.expires_at is None or self.expires_at > timezone.now())

    def rights(self) -> frozenset[Right]:
        """What the key may do now: its role's rights, as far as its maker still holds them."""
        if not self.is_active:
            return frozenset()
        own = rights_of(self.role, self.may_read_mail)
        if self.made_by is None:
            return own
        return own & self.made_by.grants().by_tenant.get(self.tenant_id, frozenset())

    def tenants_with(self, right: Right | None) -> models.QuerySet[Tenant]:
        """The key's own tenant, if it holds `right` there (None: any right at all); lazy."""
        held = self.rights()
        allowed = bool(held) if right is None else right in held
        return Tenant.objects.filter(pk=self.tenant_id) if allowed else Tenant.objects.none()

    @property
    def actor_kind(self) -> str:
        return "key"

    @property
    def actor_id(self) -> str:
        return str(self.pk)

    @property
    def actor_label(self) -> str:
        return self.name


def rights_of(role: str, may_read_mail: bool) -> frozenset[Right]:
    return RIGHTS[Role(role)] | ({Right.MAIL_READ} if may_read_mail else frozenset())


def exceeds(membership: Membership, role: str, may_read_mail: bool) -> bool:
    """Whether a key of this role would have more rights than the member who wants to make it."""
    return not rights_of(role, may_read_mail) <= rights_of(membership.role, membership.may_read_mail)
