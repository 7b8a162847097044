"""Production refuses to start on a missing or weak setting, and says which and how to mend it."""

from __future__ import annotations

from typing import Any

from cryptography.fernet import Fernet
from django.core.exceptions import ImproperlyConfigured


def refuse_weak_settings(settings: dict[str, Any]) -> None:
    """Raises ImproperlyConfigured with every fault at once, so that one start shows the whole list."""
    faults = []
    if not settings["HTTPS"]:
        faults.append("MAILHUB_BASE_URL must begin with https:// (tokens and sessions go over it)")
    if len(settings["SECRET_KEY"]) < 50 or len(set(settings["SECRET_KEY"])) < 10:
        faults.append("MAILHUB_SECRET_KEY must be at least 50 random characters")
    for number, key in enumerate(settings["MAILHUB_ENCRYPTION_KEYS"], 1):
        try:
            Fernet(key)
        except ValueError:
            faults.append(f"MAILHUB_ENCRYPTION_KEYS: key {number} is no Fernet key (32 bytes, URL-safe base64)")
    if settings["DATABASES"]["default"]["ENGINE"].endswith("sqlite3"):
        faults.append("DATABASE_URL must name a PostgreSQL database (postgres://…)")
    if settings["REDIS_URL"].startswith("unix://" + str(settings["MAILHUB_DATA"])):
        faults.append("REDIS_URL must name a Redis or Valkey server")
    if not settings["MAILHUB_AUDIT_KEY"]:
        faults.append("MAILHUB_AUDIT_KEY (or MAILHUB_AUDIT_KEY_FILE) must hold an Ed25519 private key, PEM")
    if settings["MAILHUB_SANDBOX"]:
        faults.append("MAILHUB_SANDBOX must be off: the sandbox is a pretend provider for trying things out")
    if faults:
        raise ImproperlyConfigured("Mailhub does not start in production:\n- " + "\n- ".join(faults))
