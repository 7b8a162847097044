"""What happened at the front door, in the installation's chain."""

from __future__ import annotations

from collections.abc import Sequence

from django.db import transaction

import audit
from accounts.models import User
from audit.actor import NamedActor


def succeeded(user: User, *, methods: Sequence[str], ip: str) -> None:
    with transaction.atomic():
        audit.record(
            "signin.succeeded", actor=user, tenant_id=None, target=user, detail={"methods": list(methods), "ip": ip}
        )


def failed(email: str, *, method: str, ip: str) -> None:
    """A wrong password or code. An unknown address is not written down: people type passwords into that box."""
    user = User.objects.filter(email=email.strip().lower()).first()
    with transaction.atomic():
        audit.record(
            "signin.failed",
            actor=NamedActor("person", "", "Unknown person") if user is None else user,
            tenant_id=None,
            target=user,
            outcome="failed",
            detail={"method": method, "ip": ip},
        )


def second_factor_skipped(user: User) -> None:
    with transaction.atomic():
        audit.record("secondfactor.skipped", actor=user, tenant_id=None, target=user)


def second_factor_added(user: User, *, kind: str) -> None:
    with transaction.atomic():
        audit.record("secondfactor.added", actor=user, tenant_id=None, target=user, detail={"kind": kind})


def second_factor_removed(user: User, *, kind: str) -> None:
    with transaction.atomic():
        audit.record("secondfactor.removed", actor=user, tenant_id=None, target=user, detail={"kind": kind})


def password_changed(user: User, *, how: str) -> None:
    """`how`: changed (knew the old one) or link (by a set-password link)."""
    with transaction.atomic():
        audit.record("password.changed", actor=user, tenant_id=None, target=user, detail={"how": how})
