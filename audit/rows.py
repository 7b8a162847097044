"""A chain's rows from the database, in order."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from uuid import UUID

from django.db import DataError, OperationalError

from audit.entry import FIELDS

BATCH = 1000  # rows in memory


class UnreadableRowError(ValueError):
    """A row holds what its column cannot: no JSON, no UTF-8, a time beyond all calendars."""


def rows(chain: UUID) -> Iterator[dict[str, Any]]:
    """All events of a chain, read in batches; those appended meanwhile are among them.

    Raises UnreadableRowError exactly at the first row that cannot be read.
    """
    from audit.models import AuditEvent

    found = AuditEvent.objects.filter(chain=chain).order_by("seq").values(*FIELDS)
    rest, size = found, BATCH
    while True:
        try:
            batch = list(rest[:size])
        except (ValueError, DataError, OperationalError) as error:
            if isinstance(error, OperationalError) and "decode" not in str(error):
                raise  # the server went away, which says nothing about the row
            if size == 1:
                raise UnreadableRowError(str(error)) from None
            size = 1  # hand out the good rows that stand before the bad one
            continue
        if not batch:
            return
        yield from batch
        rest = found.filter(seq__gt=batch[-1]["seq"])


def chains() -> set[UUID]:
    """Every chain of the database, also one whose head row was removed."""
    from audit.models import AuditEvent, ChainHead

    return set(ChainHead.objects.values_list("chain", flat=True)) | set(
        AuditEvent.objects.order_by().values_list("chain", flat=True).distinct()
    )
