"""A stored message taken apart, by the standard library under limits: its time grows with lines × nesting."""

from __future__ import annotations

import contextlib
import email
import mimetypes
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from email.header import decode_header, make_header
from email.message import Message
from email.policy import compat32

MOST_BYTES = 64 * 1024 * 1024
MOST_BOUNDARIES = 200
MOST_WORK = 5_000_000  # lines × boundaries: half a second
MOST_PARTS = 500
LONGEST_HEADER = 4000  # characters of a value that are shown
LONGEST_FILENAME = 120

_AS_IT_CAME = compat32.clone(linesep="\r\n", max_line_length=None)
_UNSHOWABLE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff\ud800-\udfff]")
_UNSAFE_IN_NAME = re.compile(r'[<>:"|?*\s]+')
_CONTENT_TYPE = re.compile(r"[a-z0-9][a-z0-9!#$&^_.+-]{0,126}/[a-z0-9][a-z0-9!#$&^_.+-]{0,126}")


class Unparsable(Exception):
    """Says in words why the message is not taken apart."""


@dataclass(frozen=True, slots=True)
class Part:
    """A leaf. `filename` is safe for a file system and a header; '' for the text of the message itself."""

    content_type: str
    content: bytes = field(repr=False)
    charset: str = ""
    filename: str = ""

    @property
    def text(self) -> str:
        """Decoded as it says, else as UTF-8; never raises, and holds nothing that a page cannot show."""
        try:
            text = self.content.decode(self.charset or "utf-8", "replace")
        except (LookupError, ValueError):  # ValueError: a codec with another interface, such as idna
            text = self.content.decode("utf-8", "replace")
        return showable(text)


def showable(text: str) -> str:
    """Without control characters, and without those that turn the direction of what follows."""
    return _UNSHOWABLE.sub("\ufffd", text.replace("\r\n", "\n").replace("\r", "\n"))


def parse(raw: bytes) -> Message:
    """Raises Unparsable."""
    boundaries = raw.lower().count(b"boundary")
    if len(raw) > MOST_BYTES:
        raise Unparsable("The message is too large to be taken apart here.")
    if boundaries > MOST_BOUNDARIES or raw.count(b"\n") * (boundaries + 1) > MOST_WORK:
        raise Unparsable("The message has too many parts within parts to be taken apart.")
    try:
        return email.message_from_bytes(raw)
    except (RecursionError, ValueError, LookupError, TypeError, AttributeError, IndexError) as error:
        raise Unparsable("The message does not follow the rules for parts.") from error


def headers(message: Message) -> list[tuple[str, str]]:
    """All of the top, decoded, in their order."""
    return [(showable(name), _decoded(value)) for name, value in message.items()]


def _decoded(value: object) -> str:
    text = str(value)[:LONGEST_HEADER]
    with contextlib.suppress(
        ValueError, LookupError, TypeError, AttributeError
    ):  # what is no encoded-word stays as it is
        text = str(make_header(decode_header(text)))
    return " ".join(showable(text).split())


def leaves(message: Message) -> Iterator[Part]:
    """Every part that holds something, at most MOST_PARTS. A forwarded message is one part, an attached file."""
    number = 0
    waiting = [message]
    while waiting and number < MOST_PARTS:
        node = waiting.pop()
        kind = content_type(node)
        if node.is_multipart() and kind != "message/rfc822":
            waiting.extend(reversed(_children(node)))
            continue
        number += 1
        yield _part(node, kind, number)


def content_type(node: Message) -> str:
    try:
        kind = node.get_content_type()
    except (ValueError, LookupError, TypeError, AttributeError):
        return "application/octet-stream"
    return kind if _CONTENT_TYPE.fullmatch(kind) else "application/octet-stream"


def _part(node: Message, kind: str, number: int) -> Part:
    try:
        disposition = node.get_content_disposition()
        named = node.get_filename()
        charset = str(node.get_content_charset() or "")
    except (ValueError, LookupError, TypeError, AttributeError):
        disposition, named, charset = "attachment", None, ""
    content = _content(node)
    is_file = disposition == "attachment" or bool(named) or kind not in ("text/plain", "text/html")
    return Part(kind, content, charset, _filename(named, kind, number) if is_file else "")


def _children(node: Message) -> list[Message]:
    children = node.get_payload()
    return [child for child in children if isinstance(child, Message)] if isinstance(children, list) else []


def _content(node: Message) -> bytes:
    try:
        if node.is_multipart():
            return b"".join(child.as_bytes(policy=_AS_IT_CAME) for child in _children(node))
        decoded = node.get_payload(decode=True)
    except (RecursionError, ValueError, LookupError, TypeError, AttributeError):
        return b""
    return decoded if isinstance(decoded, bytes) else b""


def _filename(named: str | None, kind: str, number: int) -> str:
    """No path, no control character, no leading dot, none that hides its real ending."""
    name = re.split(r"[/\\]", _decoded(named or ""))[-1].replace("\ufffd", "")
    name = _UNSAFE_IN_NAME.sub(" ", name).strip(" .")
    stem, dot, ending = name.rpartition(".")
    if len(name) > LONGEST_FILENAME:
        name = f"{stem[: LONGEST_FILENAME - 20]}.{ending[:19]}" if dot else name[:LONGEST_FILENAME]
    return name or f"attachment-{number}{mimetypes.guess_extension(kind) or '.bin'}"
