"""Mail of realistic sizes and shapes, the same bytes for the same seed: no clock, no locale, no network.

Sizes are lognormal (median about 8 KB, mean about 18 KB, the tail made of attachments); headers are what real mail
carries: Received, DKIM, ARC, threads, lists, encoded names, eight charsets and encodings.
"""

from __future__ import annotations

import base64
import datetime as dt
import math
import quopri
import random
from collections.abc import Iterator, Sequence
from email.header import Header

from bench.words import ATTACHMENTS, DOMAINS, JAPANESE, NAMES, WORDS, WORDS_8BIT

SEED = 20261
MEDIAN, SIGMA, LARGEST, SMALLEST = 7600, 1.30, 900_000, 1800  # bytes, with LF as line end
EPOCH = dt.datetime(2019, 1, 1, tzinfo=dt.UTC)
SPACING = 10_800  # seconds between two messages
_STYLE = (
    '<!DOCTYPE html><html><head><meta charset="utf-8"><style>.c{font:14px/1.4 Arial,Helvetica,sans-serif;color:#333}'
    '.b{background:#0a6;padding:12px 24px;border-radius:4px}td{padding:8px 16px}</style></head><body class="c">'
)
_ENCODINGS = {
    "ascii": (("us-ascii", "7bit"), ("utf-8", "quoted-printable")),
    "latin": (
        ("utf-8", "quoted-printable"), ("utf-8", "base64"), ("iso-8859-1", "quoted-printable"), ("utf-8", "8bit"),
        ("windows-1252", "quoted-printable"),
    ),
    "japanese": (("utf-8", "base64"), ("iso-2022-jp", "base64"), ("shift_jis", "base64")),
}  # fmt: skip


def messages(count: int, seed: int = SEED) -> Iterator[bytes]:
    """`count` messages with LF as line end, as a local delivery agent stores them."""
    writer, sizes = _Writer(seed), random.Random(seed + 1)
    for number in range(count):
        size = min(int(math.exp(sizes.gauss(math.log(MEDIAN), SIGMA))), LARGEST)
        yield writer.message(number, max(SMALLEST, size))


class _Writer:
    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self._ids: list[str] = []

    def message(self, number: int, target: int) -> bytes:
        """About `target` bytes."""
        header = self._header(number)
        size = max(250, target - sum(len(line) + 1 for line in header))
        kind = self.random.choices(tuple(_ENCODINGS), (62, 34, 4))[0]
        body = self._body(size, kind, large=target > 24_000)
        return ("\n".join(header) + "\n" + body).encode()

    # -- header -----------------------------------------------------------------------------------------------------

    def _header(self, number: int) -> list[str]:
        rnd = self.random
        domain, when = rnd.choice(DOMAINS), EPOCH + dt.timedelta(seconds=number * SPACING + rnd.randint(0, 9000))
        date = when.strftime("%a, %d %b %Y %H:%M:%S ") + rnd.choice(("+0000", "+0100", "-0500", "+0900"))
        lines = [f"Return-Path: <bounce+{self._hex(10)}@{domain}>", "Delivered-To: user@example.com"]
        lines += [
            f"Received: from mx{hop}.{domain} (mx{hop}.{domain} [192.0.2.{rnd.randint(1, 254)}])\n\tby mail{hop}."
            f"{rnd.choice(DOMAINS)} (Postfix) with ESMTPS id {self._hex(11).upper()}\n\tfor <user@example.com>; {date}"
            for hop in range(rnd.randint(2, 6))
        ]
        lines += self._signatures(domain, int(when.timestamp()))
        lines += [f"Date: {date}", f"From: {self._mailbox()}"]
        lines.append("To: " + ",\n ".join(self._mailbox() for _ in range(rnd.choice((1, 1, 1, 1, 2, 3, 6)))))
        if rnd.random() < 0.2:
            lines.append("Cc: " + ",\n ".join(self._mailbox() for _ in range(rnd.randint(1, 5))))
        lines += self._thread(domain)
        if rnd.random() < 0.3:
            lines.append(
                f"List-Unsubscribe: <https://{domain}/u/{self._hex(32)}>,\n <mailto:u-{self._hex(8)}@{domain}>"
            )
            lines += [f"List-Id: <{rnd.choice(WORDS)}.{domain}>", "Precedence: bulk"]
        return [*lines, f"X-Mailer: Example Mailer {rnd.randint(1, 9)}.{rnd.randint(0, 9)}", "MIME-Version: 1.0"]

    def _signatures(self, domain: str, stamp: int) -> Iterator[str]:
        rnd = self.random
        if rnd.random() < 0.8:
            yield (
                f"Authentication-Results: mx.example.com;\n\tdkim=pass header.i=@{domain} header.s=s1 header.b="
                f"{self._hex(8)};\n\tspf=pass (example.com: domain of bounce@{domain} designates 192.0.2.7 as permitted "
                f"sender) smtp.mailfrom=bounce@{domain};\n\tdmarc=pass (p=NONE sp=NONE dis=NONE) header.from={domain}"
            )
            yield (
                f"DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed; d={domain}; s=s1;\n\tt={stamp};\n"
                f"\th=from:to:subject:date:message-id:mime-version;\n\tbh={self._blob(32)};\n\tb={self._blob(256)}"
            )
        if rnd.random() < 0.35:
            yield f"ARC-Seal: i=1; a=rsa-sha256; t={stamp}; cv=none;\n\td=mx.example; s=arc;\n\tb={self._blob(256)}"
            yield (
                "ARC-Message-Signature: i=1; a=rsa-sha256; c=relaxed/relaxed; d=mx.example;\n"
                f"\th=to:subject:from:date;\n\tbh={self._blob(32)};\n\tb={self._blob(256)}"
            )

    def _thread(self, domain: str) -> Iterator[str]:
        rnd = self.random
        subject = self._sentence(WORDS_8BIT if rnd.random() < 0.3 else WORDS)[:90]
        subject = JAPANESE[:20] if rnd.random() < 0.03 else subject
        identifier = f"<{self._hex(16)}.{self._hex(8)}@{domain}>"
        yield f"Message-ID: {identifier}"
        if self._ids and rnd.random() < 0.4:
            earlier = rnd.choices(self._ids[-200:], k=rnd.randint(1, 6))
            yield f"In-Reply-To: {earlier[-1]}"
            yield "References: " + "\n\t".join(earlier)
            subject = f"Re: {subject}"
        self._ids.append(identifier)
        yield f"Subject: {_encoded(subject)}"

    # -- body -------------------------------------------------------------------------------------------------------

    def _body(self, size: int, kind: str, *, large: bool) -> str:
        rnd = self.random
        charset, encoding = rnd.choice(_ENCODINGS[kind])
        shape = rnd.random()
        if large or shape < 0.12:
            return self._multipart("mixed", self._with_attachments(size, kind, charset, encoding, large=large))
        if shape < 0.38:
            return _leaf("plain", self._text(size * (0.7 if encoding == "base64" else 0.93), kind), charset, encoding)
        if shape < 0.52:
            return _leaf("html", self._html(size * 0.85, kind), charset, encoding)
        return self._alternative(size * 0.22, size * 0.62, kind, charset, encoding)

    def _with_attachments(self, size: int, kind: str, charset: str, encoding: str, *, large: bool) -> list[str]:
        rnd = self.random
        parts = [self._alternative(500, 900, kind, charset, encoding)]
        left = max(200, int((size - 1500) * 0.73)) if large else rnd.randint(500, 5000)
        while left > 0:
            piece = left if left < 4000 or rnd.random() < 0.6 else rnd.randint(2000, left)
            parts.append(self._attachment(piece))
            left -= piece
        if rnd.random() < 0.03:
            inner = _leaf("plain", self._text(400, "ascii"), "us-ascii", "7bit")
            parts.append(
                f"Content-Type: message/rfc822\n\nFrom: {self._mailbox()}\nSubject: Fwd\nMIME-Version: 1.0\n{inner}"
            )
        return parts

    def _alternative(self, plain: float, html: float, kind: str, charset: str, encoding: str) -> str:
        parts = [
            _leaf("plain", self._text(plain, kind), charset, encoding),
            _leaf("html", self._html(html, kind), charset, encoding),
        ]
        return self._multipart("alternative", parts)

    def _multipart(self, kind: str, parts: Sequence[str]) -> str:
        boundary = f"----=_Part_{self._hex(8)}_{self._hex(12)}"
        inner = "".join(f"--{boundary}\n{part}\n" for part in parts)
        return f'Content-Type: multipart/{kind};\n boundary="{boundary}"\n\n{inner}--{boundary}--\n'

    def _attachment(self, size: int) -> str:
        rnd = self.random
        ending, media_type = rnd.choice(ATTACHMENTS)
        stem = f"{rnd.choice(WORDS)}-{rnd.choice(WORDS)}"
        name = f"filename*=UTF-8''{stem}%C3%A9.{ending}" if rnd.random() < 0.15 else f'filename="{stem}.{ending}"'
        return (
            f'Content-Type: {media_type}; name="{stem}.{ending}"\nContent-Disposition: attachment;\n {name}\n'
            f"Content-Transfer-Encoding: base64\n\n{base64.encodebytes(rnd.randbytes(size)).decode()}"
        )

    def _text(self, size: float, kind: str) -> str:
        if kind == "japanese":
            return "\n".join([JAPANESE] * max(1, int(size) // (3 * len(JAPANESE))))
        words = WORDS if kind == "ascii" else WORDS_8BIT
        lines, length, line = list[str](), 0, ""
        while length < size:
            for word in self._sentence(words).split():
                if len(line) + len(word) > 72:
                    lines.append(line)
                    length, line = length + len(line) + 1, ""
                line = f"{line} {word}" if line else word
            if self.random.random() < 0.3:
                lines += [line, ""]
                length, line = length + len(line) + 2, ""
        return "\n".join([*lines, line])

    def _html(self, size: float, kind: str) -> str:
        rnd, words = self.random, WORDS if kind == "ascii" else WORDS_8BIT
        parts, length = [_STYLE], len(_STYLE)
        while length < size:
            text = " ".join(self._sentence(words) for _ in range(rnd.randint(1, 4)))
            parts.append(
                '<table width="600" cellpadding="0" cellspacing="0" role="presentation" style="margin:0 auto"><tr>'
                f'<td style="padding:16px;font-size:14px"><a href="https://click.{rnd.choice(DOMAINS)}/{self._hex(12)}'
                f'?u={self._hex(24)}&amp;c={self._hex(16)}">{self._sentence(words)}</a><p>{text}</p></td></tr></table>'
            )
            length += len(parts[-1]) + 1
        return "\n".join([*parts, "</body></html>"])

    # -- pieces -----------------------------------------------------------------------------------------------------

    def _hex(self, digits: int) -> str:
        return f"{self.random.getrandbits(4 * digits):0{digits}x}"

    def _blob(self, size: int) -> str:
        text = base64.b64encode(self.random.randbytes(size)).decode()
        return "\n\t".join(text[start : start + 68] for start in range(0, len(text), 68))

    def _sentence(self, words: Sequence[str]) -> str:
        text = " ".join(self.random.choices(words, k=self.random.randint(4, 16)))
        return text[0].upper() + text[1:] + self.random.choice("...?!")

    def _mailbox(self) -> str:
        rnd, name = self.random, self.random.choice(NAMES)
        shown = f'"{name}"' if name.isascii() and ("," in name or "." in name) else _encoded(name)
        return f"{shown} <{rnd.choice(WORDS)}.{rnd.choice(WORDS)}@{rnd.choice(DOMAINS)}>"


def _encoded(text: str) -> str:
    return text if text.isascii() else Header(text, "utf-8", maxlinelen=70).encode()


def _leaf(kind: str, text: str, charset: str, encoding: str) -> str:
    raw = text.encode(charset, "replace")
    if encoding == "base64":
        body = base64.encodebytes(raw).decode()
    else:
        body = (quopri.encodestring(raw) if encoding == "quoted-printable" else raw).decode()
    body += "" if body.endswith("\n") else "\n"
    return f'Content-Type: text/{kind}; charset="{charset}"\nContent-Transfer-Encoding: {encoding}\n\n{body}'
