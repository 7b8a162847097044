"""The root of API v1, mounted at /api/v1/."""

from __future__ import annotations

from typing import Final

from django.conf import settings

from mailboxes.api import (
    audit_events,
    connect_links,
    folders,
    mailboxes,
    messages,
    outbox,
    provider_apps,
    sync_runs,
)
from mailboxes.api.problems import KINDS
from mailboxes.api.root import MailhubAPI

DESCRIPTION: Final = """
Everything that people do in Mailhub, for programs.

A key belongs to one organisation and has a role; what it may not see is 404. Lists come page by page: send `next` as
`after`. Times are RFC 3339 in UTC, ids are UUIDs. What goes wrong is a problem document (RFC 9457) whose `code` stays
the same for ever. Secrets go in and never come out. Reading mail is a right of its own, and every opened message is in
the audit log.

| code | status | |
|---|---|---|
"""


def description() -> str:
    """With the table of codes, to which the `type` of a problem leads."""
    rows = [f"| `{code}` | {kind.status} | {kind.title}. {kind.detail} |" for code, kind in KINDS.items()]
    return DESCRIPTION.strip() + "\n" + "\n".join(rows)


api = MailhubAPI(
    title="Mailhub",
    version="1.0",
    urls_namespace="api",
    description=description(),
    servers=[{"url": settings.MAILHUB_BASE_URL}],
)
api.add_router("/provider-apps", provider_apps.router)
api.add_router("/connect-links", connect_links.router)
api.add_router("/mailboxes", mailboxes.router)
api.add_router("/mailboxes", sync_runs.router)
api.add_router("/mailboxes", folders.router)
api.add_router("", messages.router)
api.add_router("", outbox.router)
api.add_router("/audit-events", audit_events.router)
