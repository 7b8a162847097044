"""Second factors' secrets at rest: encrypted by the installation's keys (the first encrypts, all decrypt)."""

from __future__ import annotations

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.conf import settings


class SecondFactorUnreadable(Exception):
    """The secret was encrypted by a key that is not in MAILHUB_ENCRYPTION_KEYS, or was altered, or lies in clear."""

    def __init__(self) -> None:
        super().__init__(
            "a second factor's secret can't be decrypted: put the key that encrypted it back into "
            "MAILHUB_ENCRYPTION_KEYS, or remove the factor so that it is set up again"
        )


def keys() -> MultiFernet:
    return MultiFernet([Fernet(key) for key in settings.MAILHUB_ENCRYPTION_KEYS])


def encrypt(text: str) -> str:
    return keys().encrypt(text.encode()).decode()


def decrypt(token: str) -> str:
    """Raises SecondFactorUnreadable, whose text and chain hold nothing of the secret."""
    try:
        return keys().decrypt(token.encode()).decode()
    except InvalidToken:
        raise SecondFactorUnreadable from None


def rotate(token: str) -> str:
    """The same secret under the first key. Raises SecondFactorUnreadable."""
    try:
        return keys().rotate(token.encode()).decode()
    except InvalidToken:
        raise SecondFactorUnreadable from None
