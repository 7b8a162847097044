"""One look at a mailbox, and each time we signed in for it."""

from __future__ import annotations

from django.db import models
from django.utils import timezone

from accounts.models import TenantRow
from accounts.roles import Right
from mailboxes.models.mailbox import Mailbox


class SyncRun(TenantRow):
    """What a poll did, or why it could not run."""

    view_right = Right.MAILBOXES_VIEW

    class State(models.TextChoices):
        QUEUED = "queued", "Queued"
        RUNNING = "running", "Running"
        DONE = "done", "Done"
        FAILED = "failed", "Failed"
        SKIPPED = "skipped", "Skipped"

    mailbox = models.ForeignKey(Mailbox, on_delete=models.CASCADE, related_name="runs")
    state = models.CharField(max_length=7, choices=State.choices, default=State.QUEUED)
    reason = models.CharField(max_length=40, blank=True)  # a code of words.REASONS
    detail = models.CharField(max_length=500, blank=True)
    requested_by = models.CharField(max_length=254, blank=True)  # '' = the schedule
    created_at = models.DateTimeField(default=timezone.now)
    started_at = models.DateTimeField(null=True)
    ended_at = models.DateTimeField(null=True)
    added = models.PositiveIntegerField(default=0)
    changed = models.PositiveIntegerField(default=0)
    removed = models.PositiveIntegerField(default=0)

    class Meta:
        indexes = [models.Index(fields=["mailbox", "-created_at"], name="run_list")]
        ordering = ["-created_at", "-id"]

    def __str__(self) -> str:
        return f"{self.get_state_display()} {self.created_at:%Y-%m-%d %H:%M}"


class SignIn(TenantRow):
    """A protocol login or a use of the token at the provider; kept 30 days. `reply` is redacted."""

    view_right = Right.MAILBOXES_VIEW

    mailbox = models.ForeignKey(Mailbox, null=True, on_delete=models.CASCADE, related_name="sign_ins")
    protocol = models.CharField(max_length=8)  # imap, pop3, smtp, token (refresh, code, revoke)
    mechanism = models.CharField(max_length=20)  # XOAUTH2, OAUTHBEARER; for token: the grant type
    outcome = models.CharField(max_length=8)  # ok, refused, failed
    reply = models.CharField(max_length=500, blank=True)
    milliseconds = models.PositiveIntegerField(default=0)
    token_generation = models.PositiveIntegerField(default=0)
    at = models.DateTimeField(default=timezone.now)

    class Meta:
        indexes = [models.Index(fields=["mailbox", "-at"], name="signin_list")]
        ordering = ["-at", "-id"]

    def __str__(self) -> str:
        return f"{self.protocol} {self.outcome} {self.at:%Y-%m-%d %H:%M}"
