"""Is this draft fit to go out? Everything is looked at, so that a person sees all that is wrong at once."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import NamedTuple

from django.utils import timezone

from mailboxes.models import Mailbox
from mailboxes.services import addresses
from mailboxes.services.addresses import BadAddress, NamedAddress
from mailboxes.services.draft import Attachment, Draft, DraftRefused
from mailboxes.services.header_lines import LONGEST_WORD

MOST_RECIPIENTS = 500  # of one message at Microsoft; Google takes 100 by SMTP and refuses the rest one by one
MOST_HEADERS = 50
LONGEST_HEADER = 2000  # characters of an extra header's value
LONGEST_SUBJECT = 998  # characters
LONGEST_TEXT = 4 * 1024 * 1024  # characters of text or HTML; what is longer belongs in an attachment
MOST_ATTACHMENTS = 100
GREATEST_MESSAGE = 25 * 1024 * 1024  # bytes on the wire, base64 included: what Google takes
LONGEST_DELAY = timedelta(days=366)

_HEADER_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{0,75}")
_MESSAGE_ID = re.compile(r"<[\x21-\x3b\x3d\x3f-\x7e]{1,900}>")
_CONTENT_TYPE = re.compile(r"[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]{0,126}/[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]{0,126}")
# Besides X-…: what a sender may say about a message. Not who sent it, which way it took, or who vouches for it.
# fmt: off
_ALLOWED_HEADERS = frozenset(
    {
        "accept-language", "archived-at", "auto-submitted", "comments", "content-language",
        "disposition-notification-to", "expires", "feedback-id", "importance", "keywords", "list-help", "list-id",
        "list-post", "list-unsubscribe", "list-unsubscribe-post", "organization", "precedence", "priority",
        "references", "reply-by", "sensitivity", "thread-index", "thread-topic",
    }
)
# fmt: on
_FORBIDDEN_PREFIXES = (
    "x-mailhub",
    "x-google",
    "x-gm-",
    "x-ms-",
    "x-microsoft",
    "x-originating",
    "x-received",
    "x-forefront",
)
_UNSTORABLE = re.compile(r"[\x00\ud800-\udfff]")


class Checked(NamedTuple):
    """A draft whose every part may go on the wire. The recipients of the envelope, once each, are in `envelope`."""

    sender: NamedAddress
    to: list[NamedAddress]
    cc: list[NamedAddress]
    bcc: list[NamedAddress]
    reply_to: NamedAddress | None
    in_reply_to: str
    references: list[str]
    send_at: datetime
    headers: dict[str, str]
    envelope: list[str]


class _Faults(defaultdict[str, list[str]]):
    def __init__(self) -> None:
        super().__init__(list)

    def address(self, field: str, entry: str) -> NamedAddress | None:
        try:
            return addresses.parse(entry)
        except BadAddress as error:
            self[field].append(str(error))
            return None

    def list(self, field: str, entries: Iterable[str]) -> list[NamedAddress]:
        return [found for entry in entries if (found := self.address(field, entry))]


def check(draft: Draft, mailbox: Mailbox) -> Checked:
    """Raises DraftRefused with the words for each field."""
    faults = _Faults()
    to, cc, bcc = faults.list("to", draft.to), faults.list("cc", draft.cc), faults.list("bcc", draft.bcc)
    envelope = list({entry.address.casefold(): entry.address for entry in (*to, *cc, *bcc)}.values())
    if not (draft.to or draft.cc or draft.bcc):
        faults["to"].append("Name at least one recipient.")
    if len(envelope) > MOST_RECIPIENTS:
        faults["to"].append(f"{len(envelope)} recipients are too many for one message; {MOST_RECIPIENTS} are allowed.")
    sender = _sender(draft, mailbox, faults)
    reply_to = faults.address("reply_to", draft.reply_to) if draft.reply_to else None
    _check_text(draft, faults)
    headers, references = _headers(draft, faults)
    in_reply_to = (draft.in_reply_to or "").strip()
    if in_reply_to and not _MESSAGE_ID.fullmatch(in_reply_to):
        faults["in_reply_to"].append("This is no Message-ID: it looks like <something@example.org>.")
    send_at = _send_at(draft, faults)
    _check_attachments(draft.attachments, faults)
    if faults or sender is None:
        raise DraftRefused(dict(faults))
    return Checked(sender, to, cc, bcc, reply_to, in_reply_to, references, send_at, headers, envelope)


def _sender(draft: Draft, mailbox: Mailbox, faults: _Faults) -> NamedAddress | None:
    if not draft.sender:
        return faults.address("sender", mailbox.address)
    sender = faults.address("sender", draft.sender)
    if sender is None:
        return None
    allowed = [mailbox.address, *mailbox.aliases]
    if sender.address.casefold() not in {address.casefold() for address in allowed}:
        faults["sender"].append(f"{mailbox.address} may not send as {sender.address}.")
    return sender


def _check_text(draft: Draft, faults: _Faults) -> None:
    if addresses.has_control_characters(draft.subject):
        faults["subject"].append("The subject holds a line end or another control character.")
    if len(draft.subject) > LONGEST_SUBJECT:
        faults["subject"].append(f"The subject is longer than {LONGEST_SUBJECT} characters.")
    for field, value in (("text", draft.text), ("html", draft.html)):
        if _UNSTORABLE.search(value):
            faults[field].append("The text holds a character that no message can carry (NUL or half a character).")
        if len(value) > LONGEST_TEXT:
            faults[field].append("The text is longer than 4 million characters: attach it as a file.")


def _headers(draft: Draft, faults: _Faults) -> tuple[dict[str, str], list[str]]:
    """The extra headers, and References apart, as its words must not be encoded."""
    headers: dict[str, str] = {}
    wrong, references = faults["headers"], ""
    if len(draft.headers) > MOST_HEADERS:
        wrong.append(f"{len(draft.headers)} extra headers are too many; {MOST_HEADERS} are allowed.")
    for name, value in draft.headers.items():
        low, value = name.lower(), value.strip()
        if not _HEADER_NAME.fullmatch(name):
            wrong.append("A header's name consists of letters, digits and hyphens.")
        elif not (low in _ALLOWED_HEADERS or (low.startswith("x-") and not low.startswith(_FORBIDDEN_PREFIXES))):
            wrong.append(f"{name} cannot be set here: the mail server, or another field, says it.")
        elif addresses.has_control_characters(value):
            wrong.append(f"The value of {name} holds a line end or another control character.")
        elif len(value) > LONGEST_HEADER:
            wrong.append(f"The value of {name} is longer than {LONGEST_HEADER} characters.")
        elif low in {known.lower() for known in headers} or (low == "references" and references):
            wrong.append(f"{name} is given twice.")
        elif low == "references":
            references = value
        elif value:
            headers[name] = value
        if low == "references" and not all(map(_MESSAGE_ID.fullmatch, value.split())):
            wrong.append("References is a list of Message-IDs like <something@example.org>, with spaces between them.")
        if low.startswith("list-") and (not value.isascii() or max(map(len, value.split(" "))) > LONGEST_WORD):
            wrong.append(f"{name} takes plain ASCII, and no word longer than {LONGEST_WORD} characters.")
    if not wrong:
        del faults["headers"]
    return headers, references.split()


def _send_at(draft: Draft, faults: _Faults) -> datetime:
    now = timezone.now()
    if draft.send_at is None:
        return now
    if timezone.is_naive(draft.send_at):
        faults["send_at"].append("The time to send at needs its time zone.")
        return now
    if draft.send_at > now + LONGEST_DELAY:
        faults["send_at"].append("The time to send at is more than a year away.")
    return max(now, draft.send_at)


def _check_attachments(attachments: list[Attachment], faults: _Faults) -> None:
    if len(attachments) > MOST_ATTACHMENTS:
        faults["attachments"].append(f"{len(attachments)} attachments are too many; {MOST_ATTACHMENTS} are allowed.")
    for number, item in enumerate(attachments, 1):
        if not item.filename.strip() or len(item.filename) > 200 or addresses.has_control_characters(item.filename):
            faults["attachments"].append(f"Attachment {number} needs a file name of at most 200 plain characters.")
        if not _CONTENT_TYPE.fullmatch(item.content_type):
            faults["attachments"].append(f"Attachment {number} needs a content type such as application/pdf.")
    size = sum(len(item.content) for item in attachments)
    if size * 4 // 3 > GREATEST_MESSAGE:
        faults["attachments"].append(too_large(size * 4 // 3))


def too_large(size: int) -> str:
    """`size`: bytes on the wire."""
    return (
        f"The message would be {size / 1024 / 1024:.1f} MiB on the wire; mail servers take at most "
        f"{GREATEST_MESSAGE // 1024 // 1024} MiB."
    )
