"""Header fields as bytes (RFC 5322, 2.2; RFC 2047), folded at 78 and never over 998 octets a line.

Not left to email.policy: it turns long words without a space (Message-IDs, URLs) into encoded-words, which breaks
threads, and takes text that merely looks like an encoded-word for one.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from email.header import Header

from mailboxes.services.addresses import NamedAddress

WIDTH = 78
LONGEST_WORD = 900  # octets without a space that one line can hold

_PHRASE = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~ -]+")
_PRINTABLE = re.compile(r"[\x20-\x7e]*")


def text(name: str, value: str) -> bytes:
    """An unstructured field: as it is when plain ASCII, else in encoded-words."""
    if _PRINTABLE.fullmatch(value) and "=?" not in value and _longest_word(value) <= LONGEST_WORD:
        return _folded(name, re.findall(r" *[^ ]+", value))
    encoded = Header(value, "utf-8", maxlinelen=WIDTH - 3, header_name=name).encode(linesep="\r\n")
    return f"{name}: {encoded}\r\n".encode("ascii")


def words(name: str, values: Iterable[str]) -> bytes:
    """A field of ASCII words that must arrive as they are: Message-IDs, a date."""
    return _folded(name, [f" {value}" for value in values])


def addresses(name: str, entries: Iterable[NamedAddress]) -> bytes:
    """An address list; none at all becomes the empty group of RFC 6854 (for a message with Bcc alone)."""
    shown = [f" {entry}" for entry in map(_mailbox, entries)] or [" undisclosed-recipients:;"]
    return _folded(name, [f"{entry}," for entry in shown[:-1]] + shown[-1:])


def _mailbox(entry: NamedAddress) -> str:
    if not entry.name:
        return entry.address
    if not _PRINTABLE.fullmatch(entry.name) or "=?" in entry.name:
        return (
            f"{Header(entry.name, 'utf-8', maxlinelen=WIDTH - 3).encode(linesep=chr(13) + chr(10))} <{entry.address}>"
        )
    if _PHRASE.fullmatch(entry.name):
        return f"{entry.name} <{entry.address}>"
    quoted = entry.name.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{quoted}" <{entry.address}>'


def _folded(name: str, pieces: list[str]) -> bytes:
    """Pieces begin with their white space; a line break goes before a piece that would not fit."""
    lines = [f"{name}:"]
    for number, piece in enumerate(pieces):
        spaced = piece if piece.startswith(" ") or number else f" {piece}"
        width = len(lines[-1].rpartition("\r\n")[2]) + len(spaced.partition("\r\n")[0])
        if width <= WIDTH or not number:
            lines[-1] += spaced
        else:
            lines.append(spaced)
    return ("\r\n".join(lines) + "\r\n").encode("ascii")


def _longest_word(value: str) -> int:
    return max(map(len, value.split(" ")))
