"""The chain's tables. Rows are only ever added: triggers (migration 0002) refuse everything else."""

from __future__ import annotations

from typing import ClassVar
from uuid import UUID

from django.db import models

INSTALLATION = UUID(int=0)  # the chain of what belongs to no tenant


class ActorKind(models.TextChoices):
    PERSON = "person", "Person"
    OWNER = "owner", "Mailbox owner"
    KEY = "key", "API key"
    SYSTEM = "system", "Mailhub"


class Outcome(models.TextChoices):
    OK = "ok", "Done"
    REFUSED = "refused", "Refused"
    FAILED = "failed", "Failed"


class AuditEvent(models.Model):
    """A deed: who did what to which object, how it ended. Bound to the event before it by `hash`."""

    id = models.BigAutoField(primary_key=True)
    chain = models.UUIDField(editable=False)  # the tenant's id, or INSTALLATION
    seq = models.BigIntegerField("number", editable=False)  # 1, 2, 3… in its chain, without gaps
    tenant_id = models.UUIDField("tenant", null=True, editable=False)  # null: the installation's own event
    at = models.DateTimeField("time", editable=False)
    actor_kind = models.CharField("kind of actor", max_length=16, choices=ActorKind.choices, editable=False)
    actor_id = models.CharField(max_length=64, blank=True, editable=False)  # a UUID; empty: the system
    actor_label = models.CharField("actor", max_length=254, editable=False)
    action = models.CharField(max_length=64, editable=False)  # noun.past_participle
    object_type = models.CharField(max_length=100, blank=True, editable=False)  # app.model; empty: about no object
    object_id = models.CharField(max_length=64, blank=True, editable=False)
    object_label = models.CharField("object", max_length=254, blank=True, editable=False)
    outcome = models.CharField(max_length=16, choices=Outcome.choices, editable=False)
    detail = models.JSONField(editable=False)
    previous_hash = models.CharField(max_length=64, editable=False)
    hash = models.CharField(max_length=64, editable=False)

    class Meta:
        ordering = ("-id",)
        constraints: ClassVar = [
            models.UniqueConstraint(fields=("chain", "seq"), name="audit_event_once"),
            models.CheckConstraint(
                condition=models.Q(tenant_id=models.F("chain")) | models.Q(tenant_id=None, chain=INSTALLATION),
                name="audit_event_of_its_chain",
            ),
        ]
        indexes: ClassVar = [
            models.Index(fields=("-at",), name="audit_event_at"),
            models.Index(fields=("tenant_id", "-at"), name="audit_event_tenant"),
            models.Index(fields=("tenant_id", "action", "-at"), name="audit_event_action"),
            models.Index(fields=("actor_id", "-at"), name="audit_event_actor"),
            models.Index(fields=("object_type", "object_id", "-at"), name="audit_event_object"),
        ]

    def __str__(self) -> str:
        return f"{self.action} {self.object_label}".strip()


class ChainHead(models.Model):
    """The last event of a chain. Locking this row is what puts appends of one chain in line."""

    chain = models.UUIDField(primary_key=True, editable=False)
    seq = models.BigIntegerField(editable=False)  # 0: no event yet
    hash = models.CharField(max_length=64, editable=False)

    def __str__(self) -> str:
        return f"{self.chain} at {self.seq}"
