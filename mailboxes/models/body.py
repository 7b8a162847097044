"""Raw bytes: a Body is where they lie, a Pack is the immutable file that holds many of them."""

from __future__ import annotations

from django.db import models

from accounts.models import TenantRow
from accounts.roles import Right
from mailboxes.models.mailbox import Mailbox


class Pack(TenantRow):
    """A `writing` row commits before its file is written; the chunk's transaction flips it to `live` (DESIGN, Bodies)."""

    view_right = Right.MAIL_READ

    class State(models.TextChoices):
        WRITING = "writing"
        LIVE = "live"
        MERGED = "merged"

    mailbox = models.ForeignKey(Mailbox, on_delete=models.CASCADE, related_name="packs")
    state = models.CharField(max_length=8, choices=State.choices, default=State.WRITING)
    name = models.CharField(max_length=200, unique=True)  # in the storage "packs"
    size = models.BigIntegerField(default=0)  # bytes of the file
    created_at = models.DateTimeField(auto_now_add=True)
    changed_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return self.name


class Body(TenantRow):
    """One per mailbox and content: messages with the same bytes share it."""

    view_right = Right.MAIL_READ

    mailbox = models.ForeignKey(Mailbox, on_delete=models.CASCADE, related_name="bodies")
    sha256 = models.CharField(max_length=64)
    size = models.PositiveIntegerField()  # bytes before compression
    pack = models.ForeignKey(Pack, on_delete=models.PROTECT, related_name="bodies")
    offset = models.BigIntegerField()
    length = models.PositiveIntegerField()  # bytes in the pack: nonce + ciphertext + tag
    key_generation = models.PositiveSmallIntegerField(default=1)

    class Meta:
        verbose_name_plural = "bodies"
        constraints = [models.UniqueConstraint(fields=["mailbox", "sha256"], name="body_once")]

    def __str__(self) -> str:
        return self.sha256[:12]
