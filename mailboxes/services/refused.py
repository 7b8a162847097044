"""A consent that does not go through, by a code of words.REASONS; nothing is stored."""

from __future__ import annotations


class Refused(Exception):
    """`detail` is redacted and may be shown behind "Details"; never a token."""

    def __init__(self, code: str, detail: str = "", *, account: str = "") -> None:
        super().__init__(code)
        self.code = code
        self.detail = detail[:500]
        self.account = account
        """The address that signed in instead, where that is the fault."""
