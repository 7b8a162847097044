"""endpoints.json: all that others need to know to use the sandbox, and the ports and the secret it keeps."""

from __future__ import annotations

import json
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from sandbox import private_file
from sandbox.people import PEOPLE
from sandbox.refused import Refused

CLIENT_ID = "mailhub"


@dataclass(frozen=True)
class Kept:
    """What stays the same from run to run."""

    ports: dict[str, int]  # empty before the first run
    client_secret: str


def read(path: Path) -> Kept:
    """Raises Refused if the file is there but not ours."""
    if not path.exists():
        return Kept({}, secrets.token_urlsafe(32))
    try:
        found = json.loads(path.read_text())
        ports = {name: found[name]["port"] for name in found if isinstance(found[name], dict)}
        for name, url in (("issuer", "issuer"), ("browser", "authorization_endpoint")):
            ports[name] = urlsplit(found[url]).port
        return Kept(ports, found["client_secret"])
    except (ValueError, KeyError, TypeError) as error:
        raise Refused(f"{path} can't be read ({error!r}); delete it to choose new ports") from error


def describe(folder: Path, ports: dict[str, int], client_secret: str) -> dict[str, Any]:
    mail = {
        name: {
            "host": "localhost",
            "port": ports[name],
            "security": "starttls" if name.endswith("starttls") else "tls",
        }
        for name in ("imap", "imap_starttls", "pop3", "pop3_starttls", "smtp", "smtp_starttls")
    }
    return {
        "issuer": f"https://localhost:{ports['issuer']}",
        "authorization_endpoint": f"http://localhost:{ports['browser']}/authorize",
        "ca": str(folder / "ca.pem"),
        "client_id": CLIENT_ID,
        "client_secret": client_secret,
        **mail,
        "control": f"http://localhost:{ports['browser']}/_sandbox",
        "users": list(PEOPLE),
        "ports": sorted(ports.values()),
    }


def write(path: Path, description: dict[str, Any]) -> None:
    private_file.write(path, (json.dumps(description, indent=2) + "\n").encode())
