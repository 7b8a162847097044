"""First sync of a mailbox: Mailhub beside mbsync, same server, same messages, TLS, each from nothing, in turns."""

from __future__ import annotations

import hashlib
import os
import secrets
import statistics
import tempfile
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench import corpus
from bench.measured import Measured, quiet
from bench.peers import mbsync
from bench.product import mailhub
from tests.servers.dovecot import Dovecot
from tests.servers.oauth_stub import Introspection

USER = "bench@example.org"
LIMIT = 120.0  # seconds for one sync
MUST, AIM = 0.75, 0.50  # Mailhub's time ÷ mbsync's
CPU_MUST, RSS_MUST = 400, 150  # µs a message; MiB


@dataclass(frozen=True, slots=True)
class Options:
    messages: int = 2000
    rounds: int = 3


@dataclass(frozen=True, slots=True)
class Mail:
    """What lies at the server."""

    size: int
    """Bytes on the wire."""
    median: int
    hashes: Counter[str]
    """SHA-256 with CRLF, as IMAP tells it."""


def measure(options: Options, say: Callable[[str], None]) -> dict[str, Any]:
    """The row as a document. Raises BenchFailed, and ServerMissing without Dovecot."""
    mbsync.ensure_installed()
    token = secrets.token_urlsafe(32)
    # Not the default: /tmp may be memory, where fsync costs nothing
    with (
        tempfile.TemporaryDirectory(prefix="mailhub-bench-", dir="/var/tmp") as place,
        Introspection({token: USER}) as oauth,
        Dovecot(oauth.url, oauth.client_id, oauth.client_secret, password=secrets.token_urlsafe(16)) as server,
    ):
        say(f"writing {options.messages:,} messages …")
        mail = deliver(server, options.messages)
        say("preparing Mailhub …")
        prepared = Path(place) / "prepared"
        mailhub.prepare(prepared, server, USER, token)
        measured: dict[str, list[Measured]] = {mbsync.NAME: [], mailhub.NAME: []}
        for number in range(options.rounds):
            # who comes second finds warmer caches: each in its turn
            for name in list(measured) if number % 2 == 0 else reversed(list(measured)):
                with tempfile.TemporaryDirectory(dir=place) as scratch:
                    say(f"round {number + 1} of {options.rounds}: {name} …")
                    folder = Path(scratch)
                    os.sync()
                    quiet()
                    if name == mbsync.NAME:
                        measured[name].append(mbsync.first_sync(folder, server, USER, limit=LIMIT))
                        mbsync.verify(folder, mail.hashes)
                    else:
                        measured[name].append(mailhub.first_sync(prepared, folder, server, USER, limit=LIMIT))
                        mailhub.verify(folder, server, USER, mail.hashes)
    return document(options, mail, measured)


def deliver(server: Dovecot, count: int) -> Mail:
    """The corpus in the inbox, and the server's own indexes made: neither side pays for them."""
    maildir = server.home(USER) / "Maildir"
    owner = server.home(USER).parent.stat()
    folders = [maildir.parent, maildir, *(maildir / name for name in ("tmp", "new", "cur"))]
    for folder in folders:
        folder.mkdir()
        os.chown(folder, owner.st_uid, owner.st_gid)
    hashes, sizes = Counter[str](), list[int]()
    for number, raw in enumerate(corpus.messages(count)):
        wire = raw.replace(b"\n", b"\r\n")
        stamp = int(corpus.EPOCH.timestamp()) + number * corpus.SPACING
        file = maildir / "cur" / f"{stamp}.M{number}P1.bench,S={len(raw)},W={len(wire)}:2,{'S' if number % 5 else ''}"
        file.write_bytes(raw)
        os.chown(file, owner.st_uid, owner.st_gid)
        os.utime(file, (stamp, stamp))
        hashes[hashlib.sha256(wire).hexdigest()] += 1
        sizes.append(len(wire))
    server.doveadm("fetch", "-u", USER, "uid flags size.virtual date.received", "mailbox", "INBOX")
    return Mail(sum(sizes), int(statistics.median(sizes)), hashes)


def document(options: Options, mail: Mail, measured: dict[str, list[Measured]]) -> dict[str, Any]:
    theirs = _figures(mbsync.NAME, measured[mbsync.NAME], options.messages)
    lines = [theirs]
    for name, started in ((mailhub.NAME, False), (f"{mailhub.NAME}, worker already started", True)):
        line = _figures(name, measured[mailhub.NAME], options.messages, started=started)
        # round by round: what slows the machine down for a while slows both
        ratios = [ours / peer for ours, peer in zip(line["all_seconds"], theirs["all_seconds"], strict=True)]
        lines.append(line | {"ratio": round(statistics.median(ratios), 3), "all_ratios": [round(r, 3) for r in ratios]})
    return {
        "row": "first_sync",
        "messages": options.messages,
        "bytes": mail.size,
        "median_size": mail.median,
        "rounds": options.rounds,
        "peer_version": mbsync.version(),
        "goals": {"ratio": [MUST, AIM], "cpu_us": CPU_MUST, "rss_mib": RSS_MUST},
        "lines": lines,
    }


def _figures(name: str, rounds: list[Measured], messages: int, *, started: bool = False) -> dict[str, Any]:
    """Medians. `started`: without the time and CPU that the process took to start."""
    seconds = [one.seconds - (one.started if started else 0) for one in rounds]
    cpu = [one.cpu - (one.started_cpu if started else 0) for one in rounds]
    rss = [one.rss for one in rounds if one.rss is not None]
    return {
        "name": name,
        "seconds": round(statistics.median(seconds), 3),
        "all_seconds": [round(one, 3) for one in seconds],
        "messages_per_second": round(messages / statistics.median(seconds)),
        "cpu_us": round(statistics.median(cpu) / messages * 1e6),
        "rss_mib": round(statistics.median(rss), 1) if rss else None,
        "others": round(max(one.others for one in rounds), 2),
    }
