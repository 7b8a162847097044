"""Production refuses to start on a missing or weak setting, and says which and how to mend it."""

from __future__ import annotations

from ipaddress import ip_address
from typing import Any
from urllib.parse import parse_qs, urlsplit

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
    elif _is_open_to_others(settings["REDIS_URL"]):
        faults.append("REDIS_URL must hold a password or begin with rediss:// (who writes to the queue runs code here)")
    if not settings["MAILHUB_AUDIT_KEY"]:
        faults.append("MAILHUB_AUDIT_KEY (or MAILHUB_AUDIT_KEY_FILE) must hold an Ed25519 private key, PEM")
    if settings["MAILHUB_SANDBOX"]:
        faults.append("MAILHUB_SANDBOX must be off: the sandbox is a pretend provider for trying things out")
    if faults:
        raise ImproperlyConfigured("Mailhub does not start in production:\n- " + "\n- ".join(faults))


def _is_open_to_others(redis_url: str) -> bool:
    """A server on another machine, over plain TCP, that asks nobody who they are."""
    url = urlsplit(redis_url)
    host = url.hostname or "localhost"
    if url.scheme != "redis" or host == "localhost":
        return False
    try:
        if ip_address(host).is_loopback:
            return False
    except ValueError:  # a name
        pass
    return not (url.password or parse_qs(url.query).get("password"))
