"""Append one event to its chain, inside the transaction of the deed it tells about."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal
from uuid import UUID

from django.db import models, transaction
from django.utils import timezone

from audit.actor import Actor
from audit.canonical import GENESIS, JSON, NotCanonicalError, canonical, normal
from audit.entry import FIELDS, entry_hash, from_row

if TYPE_CHECKING:
    from audit.models import AuditEvent, ChainHead

GREATEST_DETAIL = 16 * 1024  # bytes of canonical JSON
GREATEST_LABEL = 254  # characters
_ACTION = re.compile(r"[a-z]+\.[a-z]+(_[a-z]+)*")
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")
_UNSTORABLE = re.compile(r"[\x00\ud800-\udfff]")


def record(
    action: str,
    *,
    actor: Actor,
    tenant_id: UUID | None,
    target: object | None = None,
    outcome: Literal["ok", "refused", "failed"] = "ok",
    detail: Mapping[str, JSON] | None = None,
) -> AuditEvent:
    """Write that `actor` did `action` to `target` (a saved model instance); `tenant_id` None: the installation's chain.

    Call it as the last statement of the deed's own transaction: it holds the chain's lock until the commit. One
    chain a transaction, or two deeds could wait for each other; and not thousands of events in one, for each leaves
    PostgreSQL a dead version of the head row to step over.

    Raises TransactionManagementError outside of a transaction, ValueError (NotCanonicalError among them) or TypeError
    for what the chain does not take: an ill-formed action, a target without a key, a detail that is not JSON or larger
    than GREATEST_DETAIL. What text comes from outside may be hostile: U+0000 and broken surrogates become U+FFFD.
    """
    # Models can be imported only when the applications are loaded, and `audit` itself is imported before.
    from audit.models import INSTALLATION, ActorKind, AuditEvent, ChainHead, Outcome

    _require_transaction()
    if not _ACTION.fullmatch(action):
        raise ValueError(f"an action is called noun.past_participle, got {action!r}")
    chain = tenant_id or INSTALLATION
    head = _locked_head(chain)
    object_type, object_id, object_label = _described(target)
    event = AuditEvent(
        chain=chain,
        seq=head.seq + 1,
        tenant_id=tenant_id,
        at=timezone.now(),  # read under the lock, so that times follow the numbers
        actor_kind=ActorKind(actor.actor_kind).value,
        actor_id=str(actor.actor_id),
        actor_label=_label(actor.actor_label),
        action=action,
        object_type=object_type,
        object_id=object_id,
        object_label=object_label,
        outcome=Outcome(outcome).value,
        detail=_detail(detail or {}),
        previous_hash=head.hash,
        hash="",
    )
    event.hash = entry_hash(from_row({name: getattr(event, name) for name in FIELDS}))
    event.save(force_insert=True)
    moved = ChainHead.objects.filter(chain=chain, seq=head.seq, hash=head.hash).update(seq=event.seq, hash=event.hash)
    if moved != 1:
        raise RuntimeError(f"the head of chain {chain} moved while it was locked")
    return event


def _require_transaction() -> None:
    """A deed whose event could be lost separately is a bug, also inside a test's own all-enclosing transaction."""
    blocks = transaction.get_connection().atomic_blocks
    if not any(not getattr(block, "_from_testcase", False) for block in blocks):
        raise transaction.TransactionManagementError("audit.record() belongs inside the transaction of its deed")


def _locked_head(chain: UUID) -> ChainHead:
    """PostgreSQL locks the row; SQLite's transactions are IMMEDIATE, so this one already holds the only write lock."""
    from audit.models import ChainHead

    locked = ChainHead.objects.select_for_update().filter(chain=chain)
    head = locked.first()
    if head is None:
        # Two first events at once: the second waits here for the first one's commit, then finds its row.
        ChainHead.objects.bulk_create([ChainHead(chain=chain, seq=0, hash=GENESIS)], ignore_conflicts=True)
        head = locked.get()
    return head


def _described(target: object | None) -> tuple[str, str, str]:
    """Type, id and label of the object."""
    if target is None:
        return "", "", ""
    if not isinstance(target, models.Model):
        raise TypeError(f"a target is a model instance, got {type(target).__name__}")
    if target.pk is None:
        raise ValueError("the target has no key: record before deleting it, or after saving it")
    return target._meta.label_lower, str(target.pk), _label(str(target))


def _label(text: str) -> str:
    clean = _UNPRINTABLE.sub("\ufffd", text)
    return clean if len(clean) <= GREATEST_LABEL else f"{clean[: GREATEST_LABEL - 1]}…"


def _detail(detail: Mapping[str, JSON]) -> JSON:
    if not isinstance(detail, dict):
        raise NotCanonicalError(f"detail is a dict, got {type(detail).__name__}")
    clean = normal(_storable(detail))
    if len(canonical(clean)) > GREATEST_DETAIL:
        raise NotCanonicalError(f"detail is larger than {GREATEST_DETAIL} bytes")
    return clean


def _storable(value: object) -> object:
    match value:
        case str():
            return _UNSTORABLE.sub("\ufffd", value)
        case list() | tuple():
            return [_storable(item) for item in value]
        case dict():
            return {_storable(key): _storable(item) for key, item in value.items()}
    return value
