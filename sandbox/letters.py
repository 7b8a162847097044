"""Building sample messages whose bytes are the same each time: own boundaries, own Message-IDs, given dates."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime

from sandbox.people import PEOPLE

OUTSIDE = {
    "anna.keller@contoso.example": "Anna Keller",
    "m.rossi@fabrikam.example": "Marco Rossi",
    "support@northwind.example": "Northwind Support",
    "yuki.tanaka@adatum.example": "Yuki Tanaka (田中 由紀)",
}


@dataclass(frozen=True)
class Attachment:
    name: str
    kind: str  # like application/pdf
    data: bytes
    parameters: tuple[tuple[str, str], ...] = ()  # of the Content-Type


@dataclass(frozen=True)
class Sample:
    """A message and where it lies."""

    raw: bytes
    date: datetime
    folder: str = "INBOX"
    flags: tuple[str, ...] = ("\\Seen",)


def message_id(*parts: object) -> str:
    return f"<{hashlib.sha256(repr(parts).encode()).hexdigest()[:24]}@sandbox.test>"


def address(mail: str) -> Address:
    user, _, domain = mail.partition("@")
    return Address((PEOPLE | OUTSIDE).get(mail, ""), user, domain)


def letter(
    sender: str,
    to: Sequence[str],
    subject: str,
    text: str,
    date: datetime,
    *,
    html: str = "",
    references: Sequence[str] = (),
    attachments: Sequence[Attachment] = (),
    headers: Sequence[tuple[str, str]] = (),
    charset: str = "utf-8",
    cte: str | None = None,
) -> bytes:
    """The bytes of a well-formed message. Its Message-ID follows from sender, subject, date."""
    message = EmailMessage(policy=SMTP)
    message["From"] = address(sender) if sender in PEOPLE | OUTSIDE else sender
    message["To"] = [address(mail) for mail in to]
    message["Subject"] = subject
    message["Date"] = format_datetime(date)
    message["Message-ID"] = message_id(sender, subject, date)
    if references:
        message["In-Reply-To"] = references[-1]
        message["References"] = " ".join(references)
    for name, value in headers:
        message[name] = value
    message.set_content(text, charset=charset, cte=cte)
    if html:
        message.add_alternative(html, subtype="html", cte="quoted-printable")
    for attachment in attachments:
        main, _, sub = attachment.kind.partition("/")
        message.add_attachment(
            attachment.data, maintype=main, subtype=sub, filename=attachment.name, params=dict(attachment.parameters)
        )
    for number, part in enumerate(message.walk()):
        if part.is_multipart():
            part.set_boundary(f"=_{hashlib.sha256(f'{subject}{date}{number}'.encode()).hexdigest()[:20]}")
    return message.as_bytes()
