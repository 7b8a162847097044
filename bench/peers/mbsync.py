"""mbsync (Debian's isync): the fastest well-kept peer. IMAP into a Maildir, FSync on, as its manual sets it up."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
from collections import Counter
from pathlib import Path

from bench.measured import BenchFailed, Measured, run
from tests.servers.dovecot import Dovecot

NAME = "mbsync"
PACKAGE = "isync"
_ITS_OWN_LINE = re.compile(rb"^X-TUID: .*\n", re.M)  # it adds one to each message that it copies

_CONFIGURATION = """\
FSync yes

IMAPAccount server
Host {host}
Port {port}
User {user}
Pass {password}
AuthMechs LOGIN
SSLType IMAPS
SystemCertificates no
CertificateFile {ca}

IMAPStore far
Account server

MaildirStore near
Path {folder}/mail/
Inbox {folder}/mail/INBOX
SubFolders Verbatim

Channel all
Far :far:
Near :near:
Patterns INBOX
Sync Pull
Create Near
SyncState {folder}/state/
"""


def ensure_installed() -> None:
    """Installs Debian's package where that is possible. Raises BenchFailed, saying what to install, where it is not."""
    if shutil.which("mbsync"):
        return
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        raise BenchFailed(f"needs mbsync: install Debian's package {PACKAGE}")
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    try:
        for command in (("update",), ("install", "-y", "--no-install-recommends", PACKAGE)):
            subprocess.run(("apt-get", "-qq", *command), env=environment, check=True, capture_output=True, timeout=120)
    except subprocess.SubprocessError as error:
        raise BenchFailed(f"needs mbsync: Debian's package {PACKAGE} cannot be installed") from error


def version() -> str:
    return subprocess.run(["mbsync", "--version"], capture_output=True, text=True, check=True).stdout.strip()


def first_sync(folder: Path, server: Dovecot, user: str, *, limit: float) -> Measured:
    """Everything in the inbox of `user`, into `folder`, which is empty."""
    for name in ("mail", "state"):
        (folder / name).mkdir()
    configuration = folder / "mbsyncrc"
    configuration.touch(mode=0o600)
    configuration.write_text(
        _CONFIGURATION.format(
            host=server.host, port=server.imaps, user=user, password=server.password, ca=server.ca_path, folder=folder
        )
    )
    return run(["mbsync", "-q", "-c", str(configuration), "all"], folder / "log", limit=limit)


def verify(folder: Path, expected: Counter[str]) -> None:
    """Raises BenchFailed unless the Maildir holds these messages (SHA-256 with CRLF), each once."""
    found: Counter[str] = Counter()
    for place in ("cur", "new"):
        for file in (folder / "mail" / "INBOX" / place).iterdir():
            raw = _ITS_OWN_LINE.sub(b"", file.read_bytes(), count=1)
            found[hashlib.sha256(raw.replace(b"\n", b"\r\n")).hexdigest()] += 1
    if found != expected:
        raise BenchFailed(f"mbsync stored {found.total()} messages, {(found & expected).total()} of them as they are")
