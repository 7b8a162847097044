"""Secrets of a local installation: made once in MAILHUB_DATA/secrets.env, mode 0600, and kept."""

from __future__ import annotations

import os
import secrets
import tempfile
from pathlib import Path

from cryptography.fernet import Fernet


def ensure(data: Path) -> dict[str, str]:
    """Name → value of secrets.env; written first if it is not there. Of several processes one wins, all read the same."""
    path = data / "secrets.env"
    if not path.exists():
        lines = (
            f"MAILHUB_SECRET_KEY={secrets.token_urlsafe(50)}\n"
            f"MAILHUB_ENCRYPTION_KEYS={Fernet.generate_key().decode()}\n"
        )
        handle, temporary = tempfile.mkstemp(dir=data, prefix=".secrets-")  # mode 0600 from the first byte
        with os.fdopen(handle, "w") as file:
            file.write(lines)
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(temporary, path)  # fails when another process was first: its secrets then hold
        except FileExistsError:
            pass
        finally:
            Path(temporary).unlink()
    pairs = (line.split("=", 1) for line in path.read_text().splitlines() if "=" in line and not line.startswith("#"))
    return {name.strip(): value.strip() for name, value in pairs}
