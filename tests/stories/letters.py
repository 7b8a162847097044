"""Messages as the world sends them: well-formed ones, and those that were never allowed. The same seed, the same bytes."""

from __future__ import annotations

import random
from collections.abc import Iterator

FOLDERS = ("INBOX", "INBOX", "INBOX", "Archive", "Sent", "Projekte/Öffentlich")
ODDITIES: tuple[tuple[str, bytes], ...] = (
    ("eight bits", "Subject: Grüße\r\n\r\n8-bit ÄÖÜ €\r\n".encode()),
    ("latin 1 without a charset", "Subject: caf\xe9\r\n\r\n\xe9\xe8\r\n".encode("latin-1")),
    ("no body", b"Subject: only a head\r\n\r\n"),
    ("no head", b"\r\njust a body\r\n"),
    ("no line end", b"Subject: cut\r\n\r\nno line end"),
    ("bare line feeds", b"Subject: unix\n\none\ntwo\n"),
    ("mixed line ends", b"Subject: mixed\r\n\r\none\ntwo\r\nthree\r\r\nfour\rfive\r\n"),
    ("zeros", b"Subject: zeros\r\n\r\nbefore\0after\0\0\r\n"),
    ("control characters", b"Subject: \x01\x07\x1b[31m\r\n\r\n" + bytes(range(1, 32)) + b"\x7f\xff\xfe\r\n"),
    ("dots", b"Subject: dots\r\n\r\n.\r\n..\r\n...\r\n.x\r\n"),
    ("mbox", b"Subject: mbox\r\n\r\nFrom here on\r\n>From there\r\n"),
    ("looks like IMAP", b"Subject: ) FLAGS {3}\r\n\r\n* 1 FETCH (UID 1 BODY[] {5}\r\nabcde)\r\n"),
    ("a boundary without an end", b'Content-Type: multipart/mixed; boundary="x"\r\n\r\n--x\r\n\r\npart\r\n--x\r\n'),
    ("a boundary that is missing", b"Content-Type: multipart/mixed\r\n\r\nwhich boundary?\r\n"),
    ("an unknown charset", b"Content-Type: text/plain; charset=klingon\r\n\r\n\xf0\xf1\r\n"),
    ("broken base64", b"Content-Transfer-Encoding: base64\r\n\r\n!!!not=base64===\r\n"),
    ("broken encoded word", b"Subject: =?utf-8?B?4oKs?= =?nope?Q?x?= =?utf-8?B?%%?=\r\n\r\nx\r\n"),
    ("a date from nowhere", b"Date: Smarch 13th, 25:61\r\nSubject: when\r\n\r\nx\r\n"),
    ("a long line", b"Subject: " + b"long " * 3000 + b"\r\n\r\n" + b"x" * 70_000 + b"\r\n"),
    (
        "deep nesting",
        b"".join(b'Content-Type: multipart/mixed; boundary="%d"\r\n\r\n--%d\r\n' % (n, n) for n in range(300)),
    ),
    ("two Message-IDs", b"Message-ID: <a@x>\r\nMessage-ID: <b@x>\r\nSubject: two\r\n\r\nx\r\n"),
)


def letters(seed: int, count: int, to: str) -> Iterator[tuple[str, bytes]]:
    """(folder, bytes): all the oddities first, then letters that differ in size, alphabet and parts; some are sent twice."""
    chance = random.Random(seed)
    made: list[bytes] = [f"X-Oddity: {name}\r\n".encode() + raw for name, raw in ODDITIES]
    while len(made) < count:
        number = len(made)
        made.append(chance.choice(made[len(ODDITIES) :]) if number % 50 == 49 else _letter(chance, number, to))
    for raw in made:
        yield chance.choice(FOLDERS), raw


def is_plain(raw: bytes) -> bool:
    """Only CRLF as line ends, no zeros: a mail server has no reason to touch a byte of it."""
    return raw.count(b"\r") == raw.count(b"\n") == raw.count(b"\r\n") and b"\0" not in raw and raw.endswith(b"\n")


def _letter(chance: random.Random, number: int, to: str) -> bytes:
    head = (
        f"From: Sender {number} <sender{number}@elsewhere.test>\r\nTo: {to}\r\nSubject: Letter {number}\r\n"
        f"Date: Fri, 20 Nov 2026 {number % 24:02}:{number % 60:02}:00 +0000\r\nMessage-ID: <{number}@elsewhere.test>\r\n"
    )
    text = "".join(chance.choice("abcdefghij äöü€\t.-—") for _ in range(chance.randrange(20, 4000)))
    lines = "\r\n".join(text[start : start + 70] for start in range(0, len(text), 70)) + "\r\n"
    if number % 3:
        return f"{head}MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n{lines}".encode()
    return (
        (
            f"{head}MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b{number}\r\n\r\n--b{number}\r\n"
            f"Content-Type: text/plain; charset=utf-8\r\n\r\n{lines}--b{number}\r\nContent-Type: application/octet-stream\r\n\r\n"
        ).encode()
        + chance.randbytes(chance.randrange(1, 3000)).replace(b"\r", b"").replace(b"\n", b"").replace(b"\0", b"")
        + f"\r\n--b{number}--\r\n".encode()
    )
