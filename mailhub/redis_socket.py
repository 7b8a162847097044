"""Where the embedded server listens: a unix socket, whose path may be at most 107 bytes long."""

from __future__ import annotations

import hashlib
import tempfile
from pathlib import Path

LONGEST = 100  # bytes; sun_path holds 107 and its final zero (unix(7)), and the server adds nothing


def path(data: Path) -> Path:
    """MAILHUB_DATA/redis.sock, or for a deep folder a socket in the temporary folder, whose name the data folder decides."""
    plain = data / "redis.sock"
    if len(bytes(plain)) <= LONGEST:
        return plain
    return Path(tempfile.gettempdir()) / f"mailhub-{hashlib.sha256(bytes(data)).hexdigest()[:16]}" / "redis.sock"
