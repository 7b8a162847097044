"""Mailhub's side: a data folder with one connected mailbox, synced by its own command, checked against the corpus."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

from bench.measured import BenchFailed, Measured, run
from tests.servers.dovecot import Dovecot

NAME = "Mailhub"
ROOT = Path(__file__).resolve().parents[2]


def prepare(folder: Path, server: Dovecot, user: str, token: str) -> None:
    """Tables, tenant, provider app, token and mailbox: what `first_sync` begins with each time. Not counted."""
    folder.mkdir(mode=0o700)
    _ask(folder, server, "bench.product.connect", user, token, server.host, str(server.imaps))


def first_sync(prepared: Path, folder: Path, server: Dovecot, user: str, *, limit: float) -> Measured:
    """From the first command to the last message, in a copy of `prepared`."""
    data = folder / "data"
    shutil.copytree(prepared, data)
    command = [sys.executable, "-m", "bench.product.worker", user]
    return run(command, folder / "log", limit=limit, env=_environment(data, server))


def verify(folder: Path, server: Dovecot, user: str, expected: Counter[str]) -> None:
    """Raises BenchFailed unless the store holds these messages (SHA-256 of what is read back), each once."""
    found = Counter(_ask(folder / "data", server, "bench.product.verify", user).split("\n")[:-1])
    if found != expected:
        raise BenchFailed(f"Mailhub stored {found.total()} messages, {(found & expected).total()} of them as they are")


def _ask(data: Path, server: Dovecot, module: str, *arguments: str) -> str:
    command = [sys.executable, "-m", module, *arguments]
    done = subprocess.run(
        command, cwd=ROOT, env=_environment(data, server), capture_output=True, text=True, timeout=120
    )
    if done.returncode:
        raise BenchFailed(f"{module} failed: {done.stderr[-2000:]}")
    return done.stdout


def _environment(data: Path, server: Dovecot) -> dict[str, str]:
    ours = {name: value for name, value in os.environ.items() if not name.startswith(("MAILHUB_", "DATABASE_URL"))}
    return ours | {
        "MAILHUB_DATA": str(data),
        "MAILHUB_ENV": "local",
        "MAILHUB_SANDBOX": "0",
        "MAILHUB_ALLOWED_NETWORKS": "127.0.0.0/8,::1/128",
        "MAILHUB_CA_BUNDLE": str(server.ca_path),
        "MAILHUB_LOG_LEVEL": "WARNING",
        "PYTHONPATH": str(ROOT),
    }
