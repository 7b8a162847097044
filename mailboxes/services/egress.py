"""Which networks a tenant's connections may reach; every outgoing connection gets its Egress here."""

from __future__ import annotations

import json
from functools import lru_cache
from pathlib import Path
from typing import Any

import requests
from django.conf import settings

from accounts.models import Tenant
from mailboxes.protocols.http import guarded_session
from mailboxes.protocols.network import Egress


def sandbox_endpoints() -> dict[str, Any] | None:
    """The sandbox's endpoints.json; None when it is off or has not come up yet."""
    if not settings.MAILHUB_SANDBOX:
        return None
    path: Path = settings.MAILHUB_DATA / "sandbox" / "endpoints.json"
    try:
        return _read(path, path.stat().st_mtime_ns)
    except (OSError, ValueError):
        return None


@lru_cache(maxsize=4)
def _read(path: Path, changed: int) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.read_text())
    return found


def for_tenant(tenant: Tenant) -> Egress:
    """Public addresses, what the operator allows for this tenant, and the sandbox's own ports while it is on."""
    sandbox = sandbox_endpoints()
    return Egress(
        allowed_networks=tuple(net for net, slug in settings.MAILHUB_ALLOWED_NETWORKS if slug in ("", tenant.slug)),
        loopback_ports=frozenset(sandbox["ports"]) if sandbox else frozenset(),
        ca_bundle=settings.MAILHUB_CA_BUNDLE,
        sandbox_ca=Path(sandbox["ca"]) if sandbox else None,
    )


def http_session(tenant: Tenant) -> requests.Session:
    """A session whose every request passes the egress rules of this tenant."""
    return guarded_session(for_tenant(tenant))
