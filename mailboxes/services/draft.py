"""What somebody wants to send, as it came in, and the refusal that names each field."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from datetime import datetime

from django.core.exceptions import ValidationError


@dataclass(frozen=True)
class Attachment:
    filename: str
    content_type: str
    content: bytes = field(repr=False)


@dataclass(frozen=True)
class Draft:
    """Addresses may carry a display name. `sender` None: the mailbox's own address."""

    to: list[str] = field(default_factory=list)
    cc: list[str] = field(default_factory=list)
    bcc: list[str] = field(default_factory=list)
    sender: str | None = None
    reply_to: str | None = None
    in_reply_to: str | None = None
    send_at: datetime | None = None  # aware; not before
    subject: str = ""
    text: str = ""
    html: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    attachments: list[Attachment] = field(default_factory=list)

    def fingerprint(self) -> str:
        """SHA-256 that tells two requests under one idempotency key apart."""
        said = {name: value for name, value in vars(self).items() if name not in ("attachments", "send_at")}
        said["send_at"] = self.send_at.isoformat() if self.send_at else None
        said["attachments"] = [
            [item.filename, item.content_type, hashlib.sha256(item.content).hexdigest()] for item in self.attachments
        ]
        return hashlib.sha256(json.dumps(said, sort_keys=True).encode("ascii")).hexdigest()


class DraftRefused(ValidationError):
    """Nothing was stored. `message_dict`: a list of sentences for each field of Draft that is wrong."""
