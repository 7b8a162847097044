"""What the sandbox takes from the environment (the same variables as Mailhub, NAME_FILE included)."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from sandbox.refused import Refused


@dataclass(frozen=True)
class Environment:
    folder: Path
    base_url: str  # Mailhub's own, without a trailing slash: where consent leads back to


def read(environ: Mapping[str, str] = os.environ) -> Environment:
    """Raises Refused in production and on values that can't be meant."""
    if _text(environ, "MAILHUB_ENV", "local") == "production":
        raise Refused("the sandbox never runs in production (MAILHUB_ENV=production): its accounts need no password")
    port = _text(environ, "MAILHUB_PORT", "8000")
    base_url = _text(environ, "MAILHUB_BASE_URL", f"http://localhost:{port}").rstrip("/")
    parts = urlsplit(base_url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise Refused(f"MAILHUB_BASE_URL must be like http://localhost:8000, got {base_url!r}")
    data = _text(environ, "MAILHUB_DATA", str(Path(__file__).resolve().parent.parent / "var"))
    return Environment(Path(data).resolve() / "sandbox", base_url)


def _text(environ: Mapping[str, str], name: str, default: str) -> str:
    if path := environ.get(f"{name}_FILE"):
        try:
            return Path(path).read_text().strip()
        except OSError as error:
            raise Refused(f"{name}_FILE names a file that can't be read: {error}") from error
    return environ.get(name) or default
