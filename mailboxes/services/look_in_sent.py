"""Is an uncertain message in Sent? For a day, with growing pauses, the newest headers there are compared with ours.

Found proves that the server took it. Absence proves nothing: copies come late, and some servers keep none. Mailhub puts
no copy into Sent itself: Google and Microsoft do it, and of other providers it knows nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import islice
from typing import Any
from uuid import UUID

from django.db import transaction
from django.utils import timezone

from mailboxes.errors import CommandRefused, MailError
from mailboxes.models import Mailbox, Message, OutboxMessage, SendAttempt, SignIn
from mailboxes.protocols.deadline import Deadline
from mailboxes.protocols.imap import ImapSession
from mailboxes.services import recipients, send_ledger
from mailboxes.services.imap_door import open_imap

LOOK_FOR = timedelta(hours=24)  # after the marker
SHORTEST_PAUSE = timedelta(seconds=30)
NEWEST = 1000  # messages of a Sent folder
AT_ONCE = 200  # headers in one command
SECONDS = 60.0  # for one command

_SECTION = "HEADER.FIELDS (X-MAILHUB-ID MESSAGE-ID X-MICROSOFT-ORIGINAL-MESSAGE-ID)"
_FIELD = re.compile(rb"^(X-Mailhub-ID|Message-ID|X-Microsoft-Original-Message-ID)[ \t]*:\s*(\S*)", re.I | re.M)
_UNREACHABLE = (
    Mailbox.State.PENDING,
    Mailbox.State.RECONNECT,
    Mailbox.State.SUSPENDED,
    Mailbox.State.DISCONNECTED,
)


@dataclass
class Look:
    """One look: where, at how much, what was found there, or why it could not be."""

    outbox: OutboxMessage
    places: list[dict[str, Any]] = field(default_factory=list)
    found: dict[str, str] | None = None
    why_not: str = ""  # a code of words.REASONS

    def match(self, headers: bytes) -> str:
        """The headers by which these are ours; '' when they are another message's."""
        said = {(name.title(), value.decode("ascii", "replace")) for name, value in _FIELD.findall(headers)}
        ours = {
            "X-Mailhub-ID": self.outbox.mailhub_id,
            "Message-ID": self.outbox.message_id,
            "X-Microsoft-Original-Message-ID": self.outbox.message_id,
        }
        return ", ".join(name for name, value in ours.items() if (name.title().encode(), value) in said)


def due(now: datetime, limit: int) -> list[UUID]:
    """Uncertain messages whose turn to be looked for has come: soon after the marker, then ever more rarely."""
    rows = OutboxMessage.objects.filter(state=OutboxMessage.State.UNCERTAIN, dot_at__gt=now - LOOK_FOR)
    times = rows.order_by("dot_at").values_list("pk", "dot_at", "looked_at").iterator(chunk_size=500)
    return list(islice((pk for pk, dot_at, looked_at in times if dot_at and _is_due(now, dot_at, looked_at)), limit))


def _is_due(now: datetime, dot_at: datetime, looked_at: datetime | None) -> bool:
    return looked_at is None or now >= looked_at + max(SHORTEST_PAUSE, (looked_at - dot_at) / 2)


def look(outbox_id: UUID) -> bool:
    """True when it was found and is `sent` now. What hinders the look is kept as evidence, and raises nothing."""
    outbox = OutboxMessage.objects.select_related("mailbox__tenant", "mailbox__provider_app").get(pk=outbox_id)
    if outbox.state != OutboxMessage.State.UNCERTAIN:
        return False
    seen = Look(outbox)
    if outbox.recipients_left:
        seen.why_not = "copy_of_others"  # has the same headers, and proves nothing of those who are left
    elif not _is_stored_here(seen):
        for mailbox in _mailboxes(outbox.mailbox):
            _look_at_server(mailbox, seen)
            if seen.found:
                break
    return _keep(seen)


def _mailboxes(mailbox: Mailbox) -> list[Mailbox]:
    """The mailbox, and that of the person who signs in for a shared one: the copy may lie with either."""
    person = Mailbox.objects.select_related("tenant", "provider_app").filter(
        tenant=mailbox.tenant, address__iexact=mailbox.account_expected
    )
    return [mailbox, *(other for other in person if other.pk != mailbox.pk)]


def _is_stored_here(seen: Look) -> bool:
    """A copy that a poll has brought in, in any mailbox of the tenant: only who got our message can show its HMAC."""
    of_tenant = Mailbox.objects.filter(tenant=seen.outbox.tenant_id).values("pk")
    copies = Message.objects.filter(mailbox__in=of_tenant, mailhub_id=seen.outbox.mailhub_id)
    copy = copies.select_related("mailbox", "folder").first()
    if copy is None:
        return False
    seen.found = {"mailbox": copy.mailbox.address, "folder": copy.folder.name, "by": "X-Mailhub-ID"}
    return True


def _look_at_server(mailbox: Mailbox, seen: Look) -> None:
    if mailbox.receive != Mailbox.Receive.IMAP:
        seen.why_not = "no_sent_folder"
        return
    if mailbox.state in _UNREACHABLE or mailbox.token_id is None:
        seen.why_not = mailbox.reason or "not_connected"
        return
    sign_ins: list[SignIn] = []
    try:
        with open_imap(mailbox, sign_ins.append) as session:
            _look_into_folders(session, mailbox, seen)
    except MailError as error:
        seen.why_not = error.reason
    finally:
        SignIn.objects.bulk_create(sign_ins)


def _look_into_folders(session: ImapSession, mailbox: Mailbox, seen: Look) -> None:
    session.deadline = Deadline(SECONDS)
    sent = [folder for folder in session.list_folders() if folder.role == "sent" and folder.selectable]
    if not sent:
        seen.why_not = "sent_folder_missing"
    for folder in sent:
        session.deadline = Deadline(SECONDS)
        try:
            session.examine(folder.name)
        except CommandRefused as refusal:
            seen.why_not = refusal.reason
            continue
        place: dict[str, Any] = {"mailbox": mailbox.address, "folder": folder.name, "compared": 0}
        seen.places.append(place)
        for headers in _newest_headers(session):
            place["compared"] += 1
            if by := seen.match(headers):
                seen.found = {"mailbox": mailbox.address, "folder": folder.name, "by": by}
                return


def _newest_headers(session: ImapSession) -> Iterator[bytes]:
    """Newest first. Fetched, not searched for: SEARCH for a header takes seconds, and finds nothing at some servers."""
    newest = session.uids()[-NEWEST:]
    while newest:
        newest, some = newest[:-AT_ONCE], newest[-AT_ONCE:]
        session.deadline = Deadline(SECONDS)
        fetched = session.fetch(some, section=_SECTION).messages
        yield from (one.raw for one in reversed(fetched) if one.raw)


def _keep(seen: Look) -> bool:
    outbox, now = seen.outbox, timezone.now()
    earlier = outbox.evidence or {}
    evidence = {
        "looks": int(earlier.get("looks", 0)) + 1,
        "at": now.isoformat(),
        "places": seen.places,
        "found": seen.found,
        "why_not": "" if seen.found else seen.why_not,
    }
    values: dict[str, Any] = {"looked_at": now, "evidence": evidence}
    if seen.found:
        values |= recipients.after_taking(outbox) | {"sent_at": outbox.dot_at or now, "due_at": now}
    with transaction.atomic():
        same = OutboxMessage.objects.filter(pk=outbox.pk, state=OutboxMessage.State.UNCERTAIN, tries=outbox.tries)
        if not same.update(**values):
            return False  # a person was faster
        if seen.found is None:
            return False
        for name, value in values.items():
            setattr(outbox, name, value)
        where = f"{seen.found['folder']} of {seen.found['mailbox']}, by {seen.found['by']}"
        send_ledger.note(outbox, SendAttempt.Stage.FOUND, where)
        send_ledger.tell(outbox)
    return True
