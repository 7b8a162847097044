"""Whether a message carries files: a look for the lines that say so, not a parse of its parts."""

from __future__ import annotations

MOST_PARTS = 2000  # lines that are looked at
_ATTACHED = (b"application/", b"audio/", b"video/", b"message/rfc822")
_NOT_FILES = (b"application/pgp-signature", b"application/pkcs7-signature", b"application/x-pkcs7-signature")


def has_attachments(raw: bytes, end_of_headers: int) -> bool:
    """For the paper clip in lists. Linear in the bytes, whatever the nesting of parts."""
    low = raw[:end_of_headers].lower()
    own_type = _value_after(b"\n" + low, b"\ncontent-type:", 0)[1]
    if not own_type.startswith(b"multipart/"):
        return own_type.startswith(_ATTACHED)
    low = raw[end_of_headers:].lower()
    return _any(low, b"\ncontent-disposition:", (b"attachment",), ()) or _any(
        low, b"\ncontent-type:", _ATTACHED, _NOT_FILES
    )


def _any(low: bytes, name: bytes, wanted: tuple[bytes, ...], unwanted: tuple[bytes, ...]) -> bool:
    position = 0
    for _ in range(MOST_PARTS):
        position, value = _value_after(low, name, position)
        if position < 0:
            return False
        if value.startswith(wanted) and not (unwanted and value.startswith(unwanted)):
            return True
    return True  # so many parts: whatever they are, it is no plain letter


def _value_after(low: bytes, name: bytes, start: int) -> tuple[int, bytes]:
    """Where the search goes on (-1: nothing found) and the beginning of the field's value."""
    found = low.find(name, start)
    if found < 0:
        return -1, b""
    after = found + len(name)
    return after, low[after : after + 100].lstrip()
