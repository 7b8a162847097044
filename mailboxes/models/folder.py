"""A folder at the server, how far we have read it, and what it still owes us."""

from __future__ import annotations

from django.db import models

from accounts.models import TenantRow
from accounts.roles import Right
from mailboxes.models.mailbox import Mailbox


class Folder(TenantRow):
    """Marks are shortcuts, the set of stored UIDs is the truth.

    `forward_uid`: all above it is new. `backfill_uid`: all below it is still to be fetched (null: backfill is done).
    """

    view_right = Right.MAILBOXES_VIEW

    class Role(models.TextChoices):
        INBOX = "inbox", "Inbox"
        SENT = "sent", "Sent"
        DRAFTS = "drafts", "Drafts"
        JUNK = "junk", "Junk"
        TRASH = "trash", "Trash"
        ARCHIVE = "archive", "Archive"
        ALL = "all", "All mail"
        FLAGGED = "flagged", "Flagged"
        NONE = "", "–"

    mailbox = models.ForeignKey(Mailbox, on_delete=models.CASCADE, related_name="folders")
    name = models.CharField(max_length=500)  # decoded; as the server spells it
    delimiter = models.CharField(max_length=4, blank=True)
    role = models.CharField(max_length=8, choices=Role.choices, blank=True, default=Role.NONE)
    selectable = models.BooleanField(default=True)
    followed = models.BooleanField(default=True)
    uidvalidity = models.BigIntegerField(default=0)  # 0: not opened yet
    uidnext = models.BigIntegerField(default=0)
    highestmodseq = models.BigIntegerField(default=0)  # taken before the fetch it stands for; 0: none
    server_count = models.PositiveIntegerField(default=0)  # EXISTS when last opened
    forward_uid = models.BigIntegerField(default=0)
    backfill_uid = models.BigIntegerField(null=True)
    message_count = models.PositiveIntegerField(default=0)
    compared_at = models.DateTimeField(null=True)  # last full set difference
    suspect_since = models.DateTimeField(null=True)  # much seems to be gone: a second look must agree
    last_synced_at = models.DateTimeField(null=True)
    gone_at = models.DateTimeField(null=True)  # no longer listed by the server

    class Meta:
        constraints = [models.UniqueConstraint(fields=["mailbox", "name"], name="folder_once")]
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


class FetchDebt(TenantRow):
    """A UID that the server listed but did not return, or returned unreadable: asked for again, never forgotten."""

    view_right = Right.MAILBOXES_VIEW

    folder = models.ForeignKey(Folder, on_delete=models.CASCADE, related_name="debts")
    uidvalidity = models.BigIntegerField()
    uid = models.BigIntegerField()
    why = models.CharField(max_length=40)
    tries = models.PositiveIntegerField(default=1)
    next_try_at = models.DateTimeField()
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["folder", "uidvalidity", "uid"], name="debt_once")]

    def __str__(self) -> str:
        return f"UID {self.uid} of {self.folder}"
