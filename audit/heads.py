"""Sign the heads of all chains into a log that can be shipped elsewhere (MAILHUB_AUDIT_HEADS).

Each worker machine may keep a log of its own. After restoring a backup move the log away and keep it: it shows,
rightly, that events are gone; a chain that went back is not signed into the same log again.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

from django.conf import settings
from django.utils import timezone

from audit import head_log
from audit.canonical import rfc3339
from audit.head_log import Last
from audit.signed_head import sign
from audit.signing import key_id, private_key, public_pem

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class HeadsWritten:
    """What one round did."""

    signed: int
    gone_back: tuple[UUID, ...]  # chains that no longer hold the event signed last: cut off or written anew


def write_heads() -> HeadsWritten:
    """Sign the head of every chain with events since its last head, and make it durable. For a job, once a minute.

    Raises ImproperlyConfigured without a usable key, OSError when the log cannot be written.
    """
    key = private_key()
    signer = key_id(key.public_key())
    with head_log.opened(Path(settings.MAILHUB_AUDIT_HEADS)) as log:
        log.publish(public_pem(key.public_key()))
        moved, gone_back = _since(log.last)
        at = rfc3339(timezone.now())
        if moved:
            log.append(sign(chain, *head, at=at, key=key, key_id=signer) for chain, head in moved.items())
    for chain in gone_back:
        logger.error("audit: chain %s no longer holds the event that was signed last; its head is not signed", chain)
    return HeadsWritten(len(moved), gone_back)


def _since(last: Last) -> tuple[Last, tuple[UUID, ...]]:
    """Heads to sign now; and the chains whose last signed event is not there any more."""
    from audit.models import AuditEvent, ChainHead

    moved: Last = {}
    gone_back = []
    heads = {str(head.chain): (head.seq, head.hash) for head in ChainHead.objects.filter(seq__gt=0)}
    for chain in sorted(heads.keys() | last.keys()):
        now, before = heads.get(chain, (0, "")), last.get(chain, (0, ""))
        if now == before:
            continue
        seq, digest = before
        if seq and (now[0] <= seq or not AuditEvent.objects.filter(chain=chain, seq=seq, hash=digest).exists()):
            gone_back.append(UUID(chain))
        else:
            moved[chain] = now
    return moved, tuple(gone_back)
