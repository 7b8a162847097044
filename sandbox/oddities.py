"""Messages that a mail program must take as they come: old character sets, broken MIME, nothing at all, far too much."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from email.utils import format_datetime
from random import Random

from sandbox.attachments import png
from sandbox.letters import Attachment, Sample, letter, message_id

LARGE = 1_500_000  # bytes before base64: about 2 MB on the wire


def oddities(person: str, today: datetime) -> Iterator[Sample]:
    for number, make in enumerate((_latin, _quoted, _encoded_words, _emoji, _right_to_left, _long_header, _broken, _cut,
                                   _empty, _raw_eight_bit, _forwarded, _large, _no_date)):  # fmt: skip
        date = today - timedelta(days=5 + 3 * number, hours=number)
        yield Sample(make(person, date), date, flags=("\\Seen",) if number % 2 else ())


def _crlf(text: str, charset: str = "utf-8") -> bytes:
    return text.replace("\n", "\r\n").encode(charset)


def _head(person: str, date: datetime, subject: str, sender: str = "Odd One <odd@fabrikam.example>") -> str:
    return (
        f"From: {sender}\nTo: {person}\nSubject: {subject}\nDate: {format_datetime(date)}\n"
        f"Message-ID: {message_id(person, subject, date)}\n"
    )


def _latin(person: str, date: datetime) -> bytes:
    text = "Grüße aus Köln. Das Menü: Crème brûlée, 4,50 £.\n"
    return letter(
        "post@fabrikam.example", [person], "ISO-8859-1: Grüße aus Köln", text, date, charset="iso-8859-1", cte="8bit"
    )


def _quoted(person: str, date: datetime) -> bytes:
    text = (
        "A line that is longer than seventy-six characters and therefore has to be broken softly = by an equals sign.\n"
    )
    return letter(
        "post@fabrikam.example", [person], "Quoted-printable = soft breaks", text * 3, date, cte="quoted-printable"
    )


def _encoded_words(person: str, date: datetime) -> bytes:
    subject = "=?utf-8?B?w4RuZGVydW5n?= =?iso-8859-1?Q?_der_=D6ffnungszeiten?= =?utf-8?Q?_=E2=80=93_bitte_lesen?="
    sender = "=?utf-8?Q?J=C3=BCrgen_M=C3=BCller?= <juergen@fabrikam.example>"
    return _crlf(_head(person, date, subject, sender) + "\nThe subject comes in three encoded words.\n")


def _emoji(person: str, date: datetime) -> bytes:
    text = "Shipped! 🎉🚀\n\nFamily: 👨‍👩‍👧‍👦 · flag: 🏳️‍🌈 · tone: 👍🏽\n"
    return letter("team@fabrikam.example", [person], "🎉 Release day 🚀", text, date)


def _right_to_left(person: str, date: datetime) -> bytes:
    text = "שלום אליס,\n\nהפגישה תתקיים ביום שלישי בשעה 10:00.\n\nمرحبا، شكرا جزيلا على رسالتك رقم 42.\n"
    return letter("office@adatum.example", [person], "פגישה ביום שלישי / اجتماع", text, date)


def _long_header(person: str, date: datetime) -> bytes:
    received = "".join(
        f"Received: from hop{n}.fabrikam.example (10.0.0.{n}) by hop{n + 1}.fabrikam.example; {format_datetime(date)}\n"
        for n in range(40)
    )
    wide = "X-Trace: " + "0123456789abcdef" * 500 + "\n"  # 8,000 characters on one line, over RFC 5322's 998
    return _crlf(received + wide + _head(person, date, "Forty hops and a very long header") + "\nIt got here.\n")


def _broken(person: str, date: datetime) -> bytes:
    return _crlf(
        _head(person, date, "Broken MIME: no end, no such charset")
        + 'MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary="never"\n\n--never\n'
        "Content-Type: text/plain; charset=x-klingon\nContent-Transfer-Encoding: base64\n\n!!! not base64 at all\n"
        "--never\nContent-Type\n: text/html\n\n<p>The boundary is never closed.\n"
    )


def _cut(person: str, date: datetime) -> bytes:
    return _crlf(
        _head(person, date, "Boundary that is missing") + "MIME-Version: 1.0\nContent-Type: multipart/alternative\n\n"
        "A multipart without a boundary parameter.\n"
    )


def _empty(person: str, date: datetime) -> bytes:
    return _crlf(_head(person, date, "") + "\n")


def _raw_eight_bit(person: str, date: datetime) -> bytes:
    return (
        _crlf(_head(person, date, "8-bit bytes nobody declared: café"), "iso-8859-1")
        + b"\r\nna\xefve caf\xe9 \x00 end\r\n"
    )


def _forwarded(person: str, date: datetime) -> bytes:
    inner = letter("m.rossi@fabrikam.example", [person], "The original", "This is the forwarded message.\n", date)
    head = _head(person, date, "Fwd: The original")
    return (
        _crlf(head + 'MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary="fwd"\n\n--fwd\n\nSee below.\n--fwd\n')
        + b"Content-Type: message/rfc822\r\n\r\n"
        + inner
        + b"\r\n--fwd--\r\n"
    )


def _large(person: str, date: datetime) -> bytes:
    scan = Attachment("scan.bin", "application/octet-stream", Random(person).randbytes(LARGE))  # noqa: S311
    text = "The scan of the whole binder, about 2 MB.\n"
    return letter(
        "m.rossi@fabrikam.example", [person], "Scan (large)", text, date, attachments=[scan, png("cover.png")]
    )


def _no_date(person: str, date: datetime) -> bytes:
    return _crlf(f"From: nobody@fabrikam.example\nTo: {person}\nSubject: Neither date nor Message-ID\n\nIt happens.\n")
