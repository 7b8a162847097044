"""A message as the server gave it: headers as rows for lists and search; the bytes lie in a pack."""

from __future__ import annotations

from django.db import models

from accounts.models import TenantRow
from accounts.roles import Right
from mailboxes.models.body import Body
from mailboxes.models.folder import Folder
from mailboxes.models.mailbox import Mailbox


class Message(TenantRow):
    """Identity is (folder, uidvalidity, uid), or the UIDL for POP3. Message-ID alone identifies nothing."""

    view_right = Right.MAIL_READ

    mailbox = models.ForeignKey(Mailbox, on_delete=models.CASCADE, related_name="messages")
    folder = models.ForeignKey(Folder, on_delete=models.CASCADE, related_name="messages")
    uidvalidity = models.BigIntegerField(default=0)
    uid = models.BigIntegerField(null=True)
    uidl = models.CharField(max_length=140, blank=True)
    message_id = models.CharField(max_length=998, blank=True)
    in_reply_to = models.CharField(max_length=998, blank=True)
    subject = models.CharField(max_length=998, blank=True)
    sender = models.JSONField(default=list)  # From: [{"name", "address"}]
    to = models.JSONField(default=list)
    cc = models.JSONField(default=list)
    search_text = models.TextField(blank=True)  # subject and addresses, case-folded
    date = models.DateTimeField()  # the Date header, else INTERNALDATE, else when it was stored
    internal_date = models.DateTimeField(null=True)
    size = models.PositiveIntegerField()  # raw bytes
    flags = models.JSONField(default=list)
    has_attachments = models.BooleanField(default=False)
    sha256 = models.CharField(max_length=64)  # of the raw bytes, hexadecimal
    emailid = models.CharField(max_length=255, blank=True)  # EMAILID (RFC 8474) or X-GM-MSGID
    mailhub_id = models.CharField(max_length=64, blank=True)  # X-Mailhub-ID: our own outgoing message, seen in Sent
    body = models.ForeignKey(Body, null=True, on_delete=models.PROTECT, related_name="messages")
    unreadable = models.CharField(
        max_length=40, blank=True
    )  # why its headers were not parsed, or a code of words.REASONS
    stored_at = models.DateTimeField(auto_now_add=True)
    gone_at = models.DateTimeField(null=True)  # no longer at the server; stays here until retention ends

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["folder", "uidvalidity", "uid"], condition=models.Q(uid__isnull=False), name="message_once"
            ),
            models.UniqueConstraint(fields=["folder", "uidl"], condition=~models.Q(uidl=""), name="message_once_uidl"),
        ]
        indexes = [
            models.Index(fields=["mailbox", "-date", "-id"], name="message_list"),
            models.Index(fields=["folder", "-date", "-id"], name="message_list_folder"),
            models.Index(fields=["mailbox", "message_id"], name="message_by_id"),
            models.Index(fields=["mailbox", "mailhub_id"], name="message_ours", condition=~models.Q(mailhub_id="")),
            models.Index(fields=["tenant", "stored_at"], name="message_by_hour"),
        ]
        ordering = ["-date", "-id"]

    def __str__(self) -> str:
        return self.subject or "(no subject)"
