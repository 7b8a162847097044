"""A tenant with one of everything, and the programs that knock at the API."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.db import transaction
from django.http import HttpResponse
from django.test import Client
from django.utils import timezone

import audit
from accounts.models import ApiKey, Tenant, User
from accounts.roles import Role
from accounts.services.create_api_key import create_api_key
from mailboxes.models import Folder, Mailbox, Message, OutboxMessage, ProviderApp, SyncRun, Token
from mailboxes.services import bodies, outbox, parse
from mailboxes.services.draft import Draft
from tests.accounts.people import browser, make_member, make_tenant

LETTER = (
    b"From: Zoe <zoe@elsewhere.test>\r\nTo: anna@contoso.test\r\nSubject: The quarterly gr\xc3\xbcn figures\r\n"
    b"Date: Fri, 20 Nov 2026 10:00:00 +0100\r\nMessage-ID: <q3@elsewhere.test>\r\nMIME-Version: 1.0\r\n"
    b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: text/plain\r\n\r\nSee inside.\r\n"
    b"--b\r\nContent-Type: text/csv\r\nContent-Disposition: attachment; filename=figures.csv\r\n\r\n1,2\r\n--b--\r\n"
)


@dataclass
class Program:
    """Speaks to the API with a key, or without one; answers are JSON unless told otherwise."""

    key: str = ""
    client: Client | None = None

    def __call__(self, method: str, path: str, body: Any = None, /, **headers: str) -> HttpResponse:
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        if self.key:
            given["Authorization"] = f"Bearer {self.key}"
        content = {} if body is None else {"data": json.dumps(body), "content_type": "application/json"}
        client = self.client or browser()
        answer: Any = client.generic(method, f"/api/v1{path}", headers=given, **content)
        return answer

    def get(self, path: str, code: int = 200) -> Any:
        return _json(self("GET", path), code)

    def post(self, path: str, body: Any = None, code: int = 200, **headers: str) -> Any:
        return _json(self("POST", path, body, **headers), code)

    def patch(self, path: str, body: Any, code: int = 200) -> Any:
        return _json(self("PATCH", path, body), code)


def _json(answer: HttpResponse, code: int) -> Any:
    assert answer.status_code == code, (answer.status_code, answer.content.decode(errors="replace"))
    kind = "application/problem+json" if code >= 400 else "application/json"
    assert answer["Content-Type"].startswith(kind), answer["Content-Type"]
    return json.loads(answer.content)


@dataclass
class House:
    """One of everything. `owner` made the keys."""

    tenant: Tenant
    owner: User
    app: ProviderApp
    mailbox: Mailbox
    folder: Folder
    message: Message
    outbox: OutboxMessage
    run: SyncRun

    def program(self, role: Role = Role.ADMIN, *, reads: bool = False, days: int | None = None) -> Program:
        made = create_api_key(
            self.tenant, name=f"{role} program", role=role, may_read_mail=reads, days=days, actor=self.owner
        )
        return Program(made.key)

    def row(self) -> ApiKey:
        """The newest key."""
        return ApiKey.objects.filter(tenant=self.tenant).latest("id")

    def ids(self) -> dict[str, UUID]:
        """What stands for the braces of a path."""
        return {
            "provider_app_id": self.app.pk,
            "mailbox_id": self.mailbox.pk,
            "message_id": self.message.pk,
            "outbox_id": self.outbox.pk,
        }


def make_house(name: str = "Contoso", address: str = "anna@contoso.test") -> House:
    tenant = make_tenant(name)
    owner = make_member(tenant, Role.OWNER, reads=True)
    app = make_app(tenant)
    token = Token.objects.create(
        tenant=tenant,
        provider_app=app,
        issuer=app.issuer,
        subject=f"sub-{address}",
        access_token="the-access-token",
        refresh_token="the-refresh-token",
        scopes=["mail.imap", "mail.smtp"],
        expires_at=timezone.now() + timedelta(hours=1),
        refreshed_at=timezone.now(),
    )
    mailbox = Mailbox.objects.create(tenant=tenant, provider_app=app, token=token, address=address, state="active")
    folder = Folder.objects.create(tenant=tenant, mailbox=mailbox, name="INBOX", role="inbox", uidvalidity=7)
    message = make_message(folder, 1)
    run = SyncRun.objects.create(tenant=tenant, mailbox=mailbox, state="done", added=1)
    queued = outbox.queue(mailbox, Draft(to=["bob@elsewhere.test"], subject="Hello", text="Hi\n"), actor=owner)
    with transaction.atomic():
        audit.record("mailbox.connected", actor=owner, tenant_id=tenant.pk, target=mailbox)
    return House(tenant, owner, app, mailbox, folder, message, queued, run)


def make_app(tenant: Tenant, name: str = "Contoso Mail", **columns: Any) -> ProviderApp:
    values: dict[str, Any] = {
        "preset": "oidc",
        "issuer": "https://localhost:1",
        "client_id": "mailhub",
        "client_secret": "the-client-secret",
        "imap": {"host": "imap.contoso.test", "port": 993, "security": "tls"},
        "smtp": {"host": "smtp.contoso.test", "port": 587, "security": "starttls"},
        "scopes": {"imap": ["mail.imap"], "pop3": [], "smtp": ["mail.smtp"]},
        **columns,
    }
    return ProviderApp.objects.create(tenant=tenant, name=name, **values)


def make_message(folder: Folder, uid: int, raw: bytes = LETTER, **columns: Any) -> Message:
    headers = parse.parse(raw)
    body = columns.pop("body", None) or bodies.store_one(folder.mailbox, raw)
    values: dict[str, Any] = {
        "uidvalidity": folder.uidvalidity,
        "uid": uid,
        "message_id": headers.message_id,
        "subject": headers.subject,
        "sender": headers.sender,
        "to": headers.to,
        "search_text": headers.search_text,
        "date": headers.date or timezone.now(),
        "size": len(raw),
        "flags": ["\\Seen"],
        "sha256": body.sha256,
        **columns,
    }
    return Message.objects.create(tenant=folder.tenant, mailbox=folder.mailbox, folder=folder, body=body, **values)
