"""An organisation with something on every page: made through the models, as the services leave it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.db import transaction
from django.urls import reverse
from django.utils import timezone

import audit
from accounts.models import Tenant
from audit.models import AuditEvent
from mailboxes.models import (
    ConnectLink,
    Folder,
    Mailbox,
    Message,
    OutboxMessage,
    ProviderApp,
    SendAttempt,
    SignIn,
    SyncRun,
    Token,
)
from mailboxes.models.secret_field import SecretField
from mailboxes.services import bodies

LETTER = (
    b"From: Tove <tove@nordwind.example>\r\nTo: anna@contoso.example\r\nSubject: Delivery dates\r\n"
    b"MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=cut\r\n\r\n"
    b"--cut\r\nContent-Type: text/html; charset=utf-8\r\n\r\n"
    b'<p>Dear <b>Anna</b></p><script>alert(1)</script><img src="https://spy.example/pixel.gif">'
    b'<p onclick="evil()"><a href="https://nordwind.example/plan">the plan</a></p>\r\n'
    b'--cut\r\nContent-Type: text/html; name="plan.html"\r\nContent-Disposition: attachment; filename="plan.html"\r\n\r\n'
    b"<script>alert(2)</script>\r\n--cut--\r\n"
)


@dataclass
class House:
    tenant: Tenant
    app: ProviderApp
    mailbox: Mailbox
    folder: Folder
    message: Message
    link: ConnectLink
    uncertain: OutboxMessage
    queued: OutboxMessage
    event: AuditEvent

    def pages(self) -> Iterator[str]:
        """Every page of the administration that a GET opens, by address."""
        yield reverse("dashboard")
        for model in ("mailbox", "message", "outboxmessage", "providerapp"):
            yield reverse(f"admin:mailboxes_{model}_changelist")
        for name in ("audit_auditevent", "accounts_membership", "accounts_tenant"):
            yield reverse(f"admin:{name}_changelist")
        page = reverse("admin:mailboxes_mailbox_change", args=[self.mailbox.pk])
        yield from (page, *(f"{page}?tab={tab}" for tab in ("folders", "outbox", "signins", "nonsense")))
        yield reverse("admin:mailboxes_message_changelist") + (
            f"?mailbox__id__exact={self.mailbox.pk}&folder={self.folder.pk}&q=delivery"
        )
        yield reverse("admin:mailboxes_mailbox_connect")
        yield reverse("admin:mailboxes_mailbox_permissions") + (
            f"?address=new@contoso.example&provider_app={self.app.pk}&who=me"
        )
        yield from (
            reverse(f"admin:mailboxes_mailbox_{name}", args=[self.mailbox.pk]) for name in ("connected", "disconnect")
        )
        yield reverse("admin:mailboxes_mailbox_link", args=[self.link.pk])
        yield reverse("admin:mailboxes_message_change", args=[self.message.pk])
        yield from (reverse(f"admin:mailboxes_message_{name}", args=[self.message.pk]) for name in ("body", "raw"))
        yield reverse("admin:mailboxes_message_attachment", args=[self.message.pk, 0])
        yield from (
            reverse("admin:mailboxes_outboxmessage_change", args=[row.pk]) for row in (self.uncertain, self.queued)
        )
        yield reverse("admin:mailboxes_outboxmessage_compose")
        yield reverse("admin:mailboxes_providerapp_add")
        yield from (f"{reverse('admin:mailboxes_providerapp_add')}?preset={p}" for p in ("google", "microsoft", "oidc"))
        yield reverse("admin:mailboxes_providerapp_change", args=[self.app.pk])
        yield reverse("admin:mailboxes_providerapp_remove", args=[self.app.pk])
        yield reverse("admin:audit_auditevent_change", args=[self.event.pk])
        yield reverse("admin:audit_auditevent_changelist") + "?about=mailbox&within=7&outcome__exact=ok"
        yield reverse("admin:audit_auditevent_export", args=[self.tenant.pk])

    def deeds(self) -> Iterator[str]:
        """Every address that does something on POST, and must do nothing on GET."""
        for name in ("sync", "suspend", "resume", "disconnect", "accept"):
            yield reverse(f"admin:mailboxes_mailbox_{name}", args=[self.mailbox.pk])
        yield reverse("admin:mailboxes_mailbox_link", args=[self.link.pk])
        yield reverse("admin:mailboxes_outboxmessage_cancel", args=[self.queued.pk])
        yield from (
            reverse(f"admin:mailboxes_outboxmessage_{name}", args=[self.uncertain.pk]) for name in ("confirm", "again")
        )
        yield from (reverse(f"admin:mailboxes_providerapp_{name}", args=[self.app.pk]) for name in ("check", "remove"))

    def rows(self) -> list[Any]:
        """What a deed could change, as it stands in the database."""
        kept = (Mailbox, Token, ConnectLink, OutboxMessage, SendAttempt, SyncRun, ProviderApp)
        return [clear(model) for model in kept] + [AuditEvent.objects.count()]


def clear(model: Any) -> list[Any]:
    """Its rows without their secrets, which do not come out by `values`."""
    names = [field.attname for field in model._meta.concrete_fields if not isinstance(field, SecretField)]
    return list(model.objects.order_by("pk").values(*names))


def build(tenant: Tenant, *, state: str = "active", reason: str = "") -> House:
    now = timezone.now()
    app = ProviderApp.objects.create(
        tenant=tenant,
        name="Keycloak",
        preset="oidc",
        issuer="https://id.contoso.example",
        client_id="mailhub",
        secret_expires_at=(now + timedelta(days=9)).date(),
        imap={"host": "imap.contoso.example", "port": 993, "security": "tls"},
        smtp={"host": "smtp.contoso.example", "port": 465, "security": "tls"},
        scopes={"imap": ["mail.imap"], "smtp": ["mail.smtp"]},
        pinned_hosts=["id.contoso.example:443"],
    )
    token = Token.objects.create(
        tenant=tenant, provider_app=app, issuer=app.issuer, subject="anna-1", account="anna@contoso.example"
    )
    mailbox = Mailbox.objects.create(
        tenant=tenant,
        provider_app=app,
        token=token,
        address="anna@contoso.example",
        state=state,
        reason=reason,
        message_count=1,
        last_synced_at=now,
    )
    folder = Folder.objects.create(tenant=tenant, mailbox=mailbox, name="INBOX", role="inbox", message_count=1)
    message = Message.objects.create(
        tenant=tenant,
        mailbox=mailbox,
        folder=folder,
        uid=1,
        subject="Delivery dates",
        search_text="delivery dates tove@nordwind.example",
        sender=[{"name": "Tove", "address": "tove@nordwind.example"}],
        to=[{"name": "", "address": mailbox.address}],
        date=now,
        size=len(LETTER),
        sha256=hashlib.sha256(LETTER).hexdigest(),
        has_attachments=True,
        body=bodies.store_one(mailbox, LETTER),
    )
    SyncRun.objects.create(tenant=tenant, mailbox=mailbox, state="done", started_at=now, ended_at=now, added=1)
    SyncRun.objects.create(tenant=tenant, mailbox=mailbox, state="failed", reason="provider_down", ended_at=now)
    for protocol, outcome in (("imap", "ok"), ("smtp", "refused")):
        SignIn.objects.create(
            tenant=tenant, mailbox=mailbox, protocol=protocol, mechanism="XOAUTH2", outcome=outcome, reply="535 no"
        )
    link = ConnectLink.objects.create(
        tenant=tenant,
        mailbox=mailbox,
        provider_app=app,
        receive="imap",
        send=True,
        created_by_label="ada@contoso.example",
        expires_at=now + timedelta(days=1),
    )
    uncertain = outgoing(mailbox, "uncertain", "reply_lost", "Invoice 1")
    with transaction.atomic():
        event = audit.record("mailbox.connected", actor=audit.SYSTEM, tenant_id=tenant.pk, target=mailbox)
    return House(
        tenant, app, mailbox, folder, message, link, uncertain, outgoing(mailbox, "queued", "", "Invoice 2"), event
    )


def outgoing(mailbox: Mailbox, state: str, reason: str, subject: str) -> OutboxMessage:
    row = OutboxMessage.objects.create(
        tenant=mailbox.tenant,
        mailbox=mailbox,
        state=state,
        reason=reason,
        body=bodies.store_one(mailbox, subject.encode()),
        sender=mailbox.address,
        recipients={"to": ["bo@example.com", "eve@example.com"]},
        subject=subject,
        message_id=f"<{subject.replace(' ', '-')}@mailhub.example>",
        mailhub_id="x",
        queued_by="ada@contoso.example",
        tries=1,
    )
    for stage in ("started", "connected", "dot_follows", "lost"):
        SendAttempt.objects.create(tenant=mailbox.tenant, outbox=row, number=1, stage=stage, reply="250 ok")
    return row
