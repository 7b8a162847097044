"""What a sign-in left to tell, for the sign-in log."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from mailboxes.errors import MailError, SignInRefused


@dataclass(frozen=True, slots=True)
class SignInResult:
    """`mechanism` is '' when none was tried; `reply` is redacted."""

    mechanism: str
    outcome: Literal["ok", "refused", "failed"]
    reply: str
    milliseconds: int

    @classmethod
    def of_error(cls, error: MailError, mechanism: str, milliseconds: int) -> SignInResult:
        outcome: Literal["refused", "failed"] = "refused" if isinstance(error, SignInRefused) else "failed"
        return cls(mechanism, outcome, error.detail, milliseconds)
