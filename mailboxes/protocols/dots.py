"""A message as SMTP's DATA carries it (RFC 5321, 4.5.2), in a form that no two servers can read differently."""

from __future__ import annotations

import re

_BARE = re.compile(rb"\r(?!\n)|(?<!\r)\n")
_DOT = re.compile(rb"(?m)^\.")


def normal_form(message: bytes) -> bytes:
    """Every line ended by CRLF, also the last; a bare CR or LF counts as a line's end.

    A server that takes a bare CR or LF for an end of line would else find an end of mail where we sent none
    ("SMTP smuggling"). This is the form to hash and to store: what is sent equals it byte for byte.
    """
    lines = _BARE.sub(b"\r\n", message)
    return lines if lines.endswith(b"\r\n") else lines + b"\r\n"


def stuffed(message: bytes) -> bytes:
    """The normal form with dots doubled at the start of lines; the final dot is not in it."""
    return _DOT.sub(b"..", normal_form(message))


def needs_8bit(message: bytes) -> bool:
    return not message.isascii()


def longest_line(message: bytes) -> int:
    """Bytes of the longest line without its end; RFC 5321 (4.5.3.1.6) allows 998."""
    return max(map(len, normal_form(message).split(b"\r\n")))
