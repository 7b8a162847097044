"""Small files to attach: real enough to be opened."""

from __future__ import annotations

import struct
import zlib
from datetime import datetime, timedelta

from sandbox.letters import Attachment


def pdf(name: str, line: str) -> Attachment:
    """One page with one line of text, its cross-reference table right."""
    stream = f"BT /F1 18 Tf 60 760 Td ({line}) Tj ET".encode("ascii", "replace")
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 4 0 R /Resources << /Font << /F1 5 0 R >> >> >>",
        b"<< /Length %d >>\nstream\n%s\nendstream" % (len(stream), stream),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
    ]
    data, offsets = b"%PDF-1.4\n%\xe2\xe3\xcf\xd3\n", []
    for number, body in enumerate(objects, 1):
        offsets.append(len(data))
        data += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    table = b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    end = b"xref\n0 6\n0000000000 65535 f \n%strailer\n<< /Size 6 /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n"
    return Attachment(name, "application/pdf", data + end % (table, len(data)))


def png(name: str, width: int = 64, height: int = 48) -> Attachment:
    """A gradient."""
    rows = b"".join(
        b"\0" + b"".join(bytes((x * 255 // width, y * 255 // height, 140)) for x in range(width)) for y in range(height)
    )

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    pixels = zlib.compress(rows, 9)
    data = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")
    return Attachment(name, "image/png", data)


def csv(name: str, rows: list[tuple[object, ...]]) -> Attachment:
    return Attachment(name, "text/csv", "".join(",".join(map(str, row)) + "\r\n" for row in rows).encode())


def ics(uid: str, summary: str, start: datetime, organizer: str, attendees: list[str]) -> Attachment:
    """An invitation (RFC 5546) of one hour."""
    stamp = "%Y%m%dT%H%M%SZ"
    lines = [
        "BEGIN:VCALENDAR",
        "PRODID:-//Mailhub//Sandbox//EN",
        "VERSION:2.0",
        "METHOD:REQUEST",
        "BEGIN:VEVENT",
        f"UID:{uid}",
        f"DTSTAMP:{start - timedelta(days=3):{stamp}}",
        f"DTSTART:{start:{stamp}}",
        f"DTEND:{start + timedelta(hours=1):{stamp}}",
        f"SUMMARY:{summary}",
        f"ORGANIZER:mailto:{organizer}",
        *(f"ATTENDEE;PARTSTAT=NEEDS-ACTION;RSVP=TRUE:mailto:{attendee}" for attendee in attendees),
        "END:VEVENT",
        "END:VCALENDAR",
    ]
    data = "".join(f"{line}\r\n" for line in lines).encode()
    return Attachment("invite.ics", "text/calendar", data, (("method", "REQUEST"), ("charset", "utf-8")))
