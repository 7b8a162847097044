"""Which message is which when UIDs cannot tell: EMAILID, else Message-ID, INTERNALDATE, Date and From together.

Message-ID alone identifies nothing: lists, drafts and resent mail repeat it.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any, NamedTuple, TypeVar
from uuid import UUID

from django.db.models import QuerySet

from mailboxes.models import Message
from mailboxes.protocols.deadline import Deadline
from mailboxes.protocols.imap import ImapSession
from mailboxes.protocols.imap_fetch import Fetched
from mailboxes.services import parse

AT_ONCE = 500  # messages whose headers are asked for in one command
SECONDS = 60.0  # for one command
FIELDS = "HEADER.FIELDS (MESSAGE-ID DATE FROM)"

Name = TypeVar("Name")


class Identity(NamedTuple):
    """`emailid` '' where the server tells none; `headers` a digest of the four that are compared instead."""

    emailid: str
    headers: bytes


def listed(session: ImapSession, uids: list[int]) -> Iterator[list[tuple[Fetched, Identity]]]:
    """Batches of what the server tells of these messages."""
    for start in range(0, len(uids), AT_ONCE):
        session.deadline = Deadline(SECONDS)
        chunk = session.fetch(uids[start : start + AT_ONCE], section=FIELDS)
        yield [(fetched, _of_fetched(fetched)) for fetched in chunk.messages]


def stored(messages: QuerySet[Message]) -> Iterator[tuple[UUID, int, Identity]]:
    """Our messages: key, UID, identity."""
    rows = messages.values_list("pk", "uid", "emailid", "message_id", "internal_date", "date", "sender")
    for pk, uid, emailid, message_id, internal, date, sender in rows.iterator(chunk_size=2000):
        yield pk, uid or 0, Identity(emailid, _digest(message_id, internal, date, sender))


def _of_fetched(fetched: Fetched) -> Identity:
    headers = parse.parse(fetched.raw or b"")
    date = headers.date or fetched.internaldate
    return Identity(fetched.email_id, _digest(headers.message_id, fetched.internaldate, date, headers.sender))


def _digest(message_id: str, internal: datetime | None, date: datetime | None, sender: list[dict[str, Any]]) -> bytes:
    addresses = [entry["address"].casefold() for entry in sender]
    stamps = [moment.timestamp() if moment else None for moment in (internal, date)]
    return hashlib.blake2b(repr((message_id, stamps, addresses)).encode(), digest_size=16).digest()


def same(one: Identity, other: Identity) -> bool:
    if one.emailid and other.emailid:
        return one.emailid == other.emailid
    return one.headers == other.headers


def one_to_one(ours: Mapping[UUID, Identity], theirs: Mapping[int, Identity]) -> dict[UUID, int]:
    """Pairs that are each other's only match. What is ambiguous stays unpaired: kept twice rather than lost."""
    by_emailid = all(identity.emailid for identity in (*ours.values(), *theirs.values()))
    part = 0 if by_emailid else 1
    uids = _by(part, theirs)
    pairs = {}
    for value, pks in _by(part, ours).items():
        if len(pks) == len(uids.get(value, ())) == 1:
            pairs[pks[0]] = uids[value][0]
    return pairs


def _by(part: int, identities: Mapping[Name, Identity]) -> dict[str | bytes, list[Name]]:
    found: defaultdict[str | bytes, list[Name]] = defaultdict(list)
    for name, identity in identities.items():
        found[identity[part]].append(name)
    return found


def names(rows: Iterable[tuple[UUID, int, Identity]]) -> dict[UUID, Identity]:
    return {pk: identity for pk, _, identity in rows}
