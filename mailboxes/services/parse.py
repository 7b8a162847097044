"""The few headers that become a row, out of bytes that may be anything.

Only the header block is looked at, and only so much of it that hostile input costs milliseconds: fast_mail_parser reads
what is short, the standard library what it cannot read; what neither reads is stored raw and marked. Nothing raises.
"""

from __future__ import annotations

import email.utils
import re
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.header import decode_header
from typing import Any

import fast_mail_parser

from mailboxes.services.attachments import has_attachments

LONGEST_BLOCK = 32 * 1024  # bytes of headers for the fast parser, whose time grows with their square
LONGEST_FIELD = 16 * 1024  # bytes of one field for the standard library
MOST_HEADERS = 1024 * 1024  # bytes that are searched for fields at all
LONGEST_LINE = 998  # characters of the columns (RFC 5322, 2.1.1)
LONGEST_IDENTIFIER = 998  # bytes: it is indexed, and an index entry of PostgreSQL holds 2,704
LONGEST_NAME = 300
LONGEST_ADDRESS = 320

Address = dict[str, str]

_UNSTORABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]+")  # PostgreSQL refuses NUL, UTF-8 lone surrogates
_IDENTIFIER = re.compile(r"<[^<>\s]+>")
_FIELD = re.compile(
    rb"^(from|to|cc|subject|date|message-id|in-reply-to|x-mailhub-id|content-type)[ \t]*:(.*(?:\r?\n[ \t].*)*)",
    re.I | re.M,
)
# Newer patch releases of Python answer a list with one fault in it with nothing at all, unless told not to.
_LAX: dict[str, Any] = {"strict": False} if getattr(email.utils, "supports_strict_parsing", False) else {}
_EARLIEST = datetime(1971, 1, 1, tzinfo=UTC)  # older: a clock that was never set


@dataclass(slots=True)
class Headers:
    """What goes into the columns of a message: clean text of the columns' length. `date` None: no usable Date header."""

    message_id: str = ""
    in_reply_to: str = ""
    subject: str = ""
    sender: list[Address] = field(default_factory=list)
    to: list[Address] = field(default_factory=list)
    cc: list[Address] = field(default_factory=list)
    date: datetime | None = None
    mailhub_id: str = ""
    has_attachments: bool = False
    unreadable: str = ""

    @property
    def search_text(self) -> str:
        parts = [self.subject]
        for entry in (*self.sender, *self.to, *self.cc):
            parts += (entry["name"], entry["address"])
        return " ".join(filter(None, parts)).casefold()


def parse(raw: bytes) -> Headers:
    """The headers of a whole message, or of a header block alone."""
    end = _end_of_headers(raw)
    block = raw[: min(end, MOST_HEADERS)]
    try:
        headers = (_fast(block) if len(block) <= LONGEST_BLOCK else None) or _standard(block)
        headers.has_attachments = has_attachments(raw, end)
    except (KeyboardInterrupt, SystemExit):
        raise
    except (
        BaseException
    ) as error:  # whatever a message does to a parser (a panic of Rust is no Exception), it is stored
        return Headers(unreadable=f"parser: {type(error).__name__}"[:40])
    return headers


def _end_of_headers(raw: bytes) -> int:
    """Where the empty line begins; the whole when there is none."""
    end = raw.find(b"\r\n\r\n")
    end = len(raw) if end < 0 else end
    bare = raw.find(b"\n\n", 0, end)  # no further: most messages hold none at all, and are long
    return end if bare < 0 else bare


def _fast(block: bytes) -> Headers | None:
    """None when the fast parser gives up, or leaves something undecoded."""
    try:
        mail = fast_mail_parser.parse_email(block + b"\r\n\r\n", mode="metadata")
    except fast_mail_parser.ParseError:
        return None
    told = {name.lower(): values[0] for name, values in mail.headers.items() if values}
    if not told or "=?" in f"{mail.subject}{told.get('from', '')}{told.get('to', '')}{told.get('cc', '')}":
        return None
    lists = []
    for name, found in (("from", [mail.from_] if mail.from_ else []), ("to", mail.to), ("cc", mail.cc)):
        whole = told.get(name, "")
        if whole.strip() and (not found or (name == "from" and "," in whole) or ":" in whole):
            return None  # a list that it could not read, several authors, or groups
        lists.append([_address(entry.display_name or "", entry.address) for entry in found])
    return Headers(
        message_id=_identifier(told.get("message-id", "")),
        in_reply_to=_identifier(told.get("in-reply-to", "")),
        subject=_clean(mail.subject),
        sender=lists[0],
        to=lists[1],
        cc=lists[2],
        date=_date(told.get("date", "")),
        mailhub_id=_clean(told.get("x-mailhub-id", ""), 64),
    )


def _standard(block: bytes) -> Headers:
    fields: dict[str, str] = {}
    for found in _FIELD.finditer(block):
        name = found[1].decode("ascii").lower()
        if name not in fields:
            fields[name] = _text(found[2][:LONGEST_FIELD]).strip()
    if not fields:
        return Headers(unreadable="no_headers")
    return Headers(
        message_id=_identifier(fields.get("message-id", "")),
        in_reply_to=_identifier(fields.get("in-reply-to", "")),
        subject=_clean(_decoded(fields.get("subject", ""))),
        sender=_addresses(fields.get("from", "")),
        to=_addresses(fields.get("to", "")),
        cc=_addresses(fields.get("cc", "")),
        date=_date(fields.get("date", "")),
        mailhub_id=_clean(fields.get("x-mailhub-id", ""), 64),
    )


def _text(value: bytes) -> str:
    """Headers ought to be ASCII, are often UTF-8, and else most likely Latin."""
    unfolded = re.sub(rb"\r?\n(?=[ \t])", b"", value)
    try:
        return unfolded.decode()
    except UnicodeDecodeError:
        return unfolded.decode("cp1252", "replace")


def _decoded(value: str) -> str:
    """Encoded words (RFC 2047) decoded; those in an unknown charset as Latin-1, so that something can be read."""
    if "=?" not in value:
        return value
    parts = []
    for part, charset in decode_header(value):
        if isinstance(part, str):
            parts.append(part)
            continue
        try:
            parts.append(part.decode(charset or "ascii", "replace"))
        except LookupError:
            parts.append(part.decode("latin-1"))
    return "".join(parts)


def _addresses(value: str) -> list[Address]:
    """Taken apart before decoding, so that an encoded comma stays in its name."""
    if not value:
        return []
    try:
        found = email.utils.getaddresses([value], **_LAX)
    except RecursionError:  # thousands of nested comments
        return [_address("", value)]
    return [_address(_decoded(name), _decoded(address)) for name, address in found if name or address]


def _address(name: str, address: str) -> Address:
    return {"name": _clean(name, LONGEST_NAME), "address": _clean(address, LONGEST_ADDRESS)}


def _identifier(value: str) -> str:
    """The first <…> of Message-ID or In-Reply-To, else what stands there."""
    found = _IDENTIFIER.search(value)
    text = _clean(found[0] if found else value)
    return text.encode()[:LONGEST_IDENTIFIER].decode(errors="ignore")


def _date(value: str) -> datetime | None:
    try:
        date = email.utils.parsedate_to_datetime(value[:200])
        date = (date if date.tzinfo else date.replace(tzinfo=UTC)).astimezone(UTC)
    except (TypeError, ValueError, IndexError, OverflowError):
        return None
    return date if date >= _EARLIEST else None


def _clean(text: str, length: int = LONGEST_LINE) -> str:
    return _UNSTORABLE.sub(" ", text).strip()[:length]
