from __future__ import annotations

import os
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from django.conf import settings
from django.db import transaction

from accounts.models import Tenant, User
from accounts.services.create_tenant import create_tenant
from audit.actor import SYSTEM

DEMO_EMAIL: Final = "demo@mailhub.local"
DEMO_TENANT: Final = "Sandbox Ltd"
ALPHABET: Final = "abcdefghjkmnpqrstuvwxyz23456789"  # nothing that reads like something else


@dataclass(frozen=True)
class Demo:
    user: User
    tenant: Tenant
    password_file: Path | None  # None: the demo user has chosen a password of their own


def make_demo() -> Demo:
    """The demo user, their organisation and their password in MAILHUB_DATA/demo-password; does nothing twice."""
    file = settings.MAILHUB_DATA / "demo-password"
    user = User.objects.filter(email=DEMO_EMAIL, is_demo=True).first()
    if user is None:
        password = _new_password(file)
        with transaction.atomic():
            user = create_tenant(DEMO_TENANT, owner_email=DEMO_EMAIL, password=password, actor=SYSTEM).owner
            User.objects.filter(pk=user.pk).update(is_demo=True, name="Demo")
            user.refresh_from_db()
    elif not file.exists():
        user.set_password(_new_password(file))
        user.save(update_fields=["password"])
    tenant = Tenant.objects.filter(memberships__user=user).order_by("created_at")[0]
    is_current = user.check_password(file.read_text().strip())
    return Demo(user, tenant, file if is_current else None)


def _new_password(file: Path) -> str:
    password = "-".join("".join(secrets.choice(ALPHABET) for _ in range(5)) for _ in range(3))  # about 74 bits
    file.unlink(missing_ok=True)
    with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as out:
        out.write(password + "\n")
    return password
