"""Idempotency-Key: the name that a program gives to one request, so that repeating it repeats nothing.

The outbox keeps it in the message's own row, unique within the mailbox: of two requests at once, one makes the row.
"""

from __future__ import annotations

from typing import Annotated

from ninja import Header

from mailboxes.services.outbox import LONGEST_KEY

Key = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        min_length=1,
        max_length=LONGEST_KEY,
        pattern=r"^[\x20-\x7e]+$",
        description="Any name, such as a UUID; 1 to 255 printable ASCII characters. Known for as long as the message is.",
    ),
]
