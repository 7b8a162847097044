"""IMAP4rev1 on the wire (RFC 3501): commands out, responses in, with limits; no meaning yet.

imaplib and imapclient's own client are not used here: they dial by themselves, keep the sign-in line in memory, refuse
long lines and hide response codes (docs: TRAPS). imapclient's parser of responses and its codec of names are.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from imapclient.exceptions import ProtocolError
from imapclient.response_parser import parse_response

from mailboxes.errors import ProtocolFault
from mailboxes.protocols.stream import Stream

MAX_LINE = 1024 * 1024  # bytes; UIDs are asked for in windows that stay far below
MAX_LITERAL = 160 * 1024 * 1024  # bytes; the largest message a provider takes is about 150 MB
MAX_UNTAGGED = 200_000  # responses to one command

_LITERAL = re.compile(rb"~?\{(\d{1,10})\+?\}\r?\n\Z")
_STATUS = re.compile(rb"(OK|NO|BAD|BYE|PREAUTH)(?: (?:\[([A-Za-z0-9.!-]+)(?: ([^\]]*))?\])? ?(.*))?\Z", re.I | re.S)
_UNQUOTABLE = re.compile(r"[^\x20-\x7e]")

Piece = bytes | tuple[bytes, bytes]
"""A text, or a text that ends in {n} with the literal that follows: what imapclient's parser takes."""


@dataclass(frozen=True, slots=True)
class Status:
    """OK, NO, BAD, BYE or PREAUTH with its response code (RFC 5530) and text."""

    kind: str
    code: str
    code_value: str
    text: str

    def __str__(self) -> str:
        code = f"[{self.code}] " if self.code and self.code != "CAPABILITY" else ""
        return f"{self.kind} {code}{self.text}"


@dataclass(slots=True)
class Response:
    """One response: its tag ("*" untagged, "+" continuation), and its pieces without the tag and the last line's end."""

    tag: bytes
    pieces: list[Piece] = field(default_factory=list)
    status: Status | None = None

    @property
    def head(self) -> bytes:
        first = self.pieces[0]
        return first if isinstance(first, bytes) else first[0]


def parsed(pieces: Iterable[Piece]) -> tuple[Any, ...]:
    """A response as nested tuples of bytes, int, None. Raises ProtocolFault."""
    try:
        return tuple(parse_response(list(pieces)))
    except (ProtocolError, ValueError, TypeError, AttributeError, AssertionError, RecursionError, IndexError) as error:
        raise ProtocolFault("a response that cannot be read", private=type(error).__name__) from error


class Wire:
    """Sends tagged commands and reads responses. Commands may be in flight together; they are answered in order."""

    def __init__(self, stream: Stream) -> None:
        self.stream = stream
        self._count = 0

    def send(self, command: bytes) -> bytes:
        """Returns the tag. Raises ProtocolFault before anything is sent when the command holds a line's end."""
        if b"\r" in command or b"\n" in command or b"\0" in command:
            raise ProtocolFault("a command with control characters")
        self._count += 1
        tag = b"m%d" % self._count
        self.stream.send(tag + b" " + command + b"\r\n")
        return tag

    def read(self) -> Response:
        line = self.stream.readline(MAX_LINE)
        tag, _, rest = line.partition(b" ")
        if line[:1] == b"+":
            return Response(b"+", [rest.strip()])
        if not rest:
            raise ProtocolFault("a line without a tag")
        found = _STATUS.match(rest.rstrip(b"\r\n"))
        if found:
            words = [(part or b"").decode("utf-8", "replace") for part in found.groups()]
            status = Status(words[0].upper(), words[1].upper(), words[2], words[3])
            return Response(tag, [rest.rstrip(b"\r\n")], status)
        if tag != b"*":
            raise ProtocolFault("a tagged response without a status")
        return Response(tag, self._with_literals(rest))

    def _with_literals(self, line: bytes) -> list[Piece]:
        if line[-3:] != b"}\r\n" and line[-2:] != b"}\n":
            return [line.rstrip(b"\r\n")]
        pieces: list[Piece] = []
        total = 0
        while found := _LITERAL.search(line):
            total += int(found[1])
            if total > MAX_LITERAL or len(pieces) > 1000:
                self.stream.close()
                raise ProtocolFault(f"a response of {total} bytes: more than we take")
            pieces.append((line.rstrip(b"\r\n"), self.stream.read(int(found[1]))))
            line = self.stream.readline(MAX_LINE)
        pieces.append(line.rstrip(b"\r\n"))
        return pieces

    def until(self, tag: bytes, *, expected: int = 0) -> Iterator[Response]:
        """The responses up to and including the tagged one; `expected` ones do not count as too many.

        Raises ProtocolFault on another command's tag.
        """
        for _ in range(MAX_UNTAGGED + expected):
            response = self.read()
            if response.tag == b"*":
                yield response
            elif response.tag == tag:
                yield response
                return
            else:
                self.stream.close()
                raise ProtocolFault("a response with a tag that was not asked for")
        self.stream.close()
        raise ProtocolFault("a command is answered without end")


def can_be_quoted(text: str | bytes) -> bool:
    text = text.decode("ascii", "replace") if isinstance(text, bytes) else text
    return not _UNQUOTABLE.search(text)


def quoted(text: str | bytes) -> bytes:
    """A quoted string (RFC 3501, 4.3). Raises ProtocolFault on what may not stand in one."""
    text = text.decode("ascii", "replace") if isinstance(text, bytes) else text
    if not can_be_quoted(text):
        raise ProtocolFault("a name that cannot be sent")
    return b'"' + text.replace("\\", "\\\\").replace('"', '\\"').encode("ascii") + b'"'
