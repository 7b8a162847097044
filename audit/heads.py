"""Write the heads of all chains, signed, to a log that can be shipped elsewhere.

The log (MAILHUB_AUDIT_HEADS, JSON lines) is only ever appended to. Beside it lie the public key that checks it and a
file that remembers what was signed last, so that the log is not read whole each minute; both are made again when they
are missing. After restoring a backup move the log away and keep it: it proves, rightly, that events are gone, and
chains that went back are not signed into the same log again.
"""

from __future__ import annotations

import fcntl
import json
import logging
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO
from uuid import UUID

from django.conf import settings
from django.utils import timezone

from audit.canonical import rfc3339
from audit.signed_head import UnreadableHeadError, from_line, sign
from audit.signing import key_id, private_key, public_pem

logger = logging.getLogger(__name__)

Last = dict[str, tuple[int, str]]  # chain → number and hash of the last head in the log


@dataclass(frozen=True)
class HeadsWritten:
    """What one round did."""

    signed: int
    gone_back: tuple[UUID, ...]  # chains that no longer hold the event signed last: cut off or written anew


def write_heads() -> HeadsWritten:
    """Sign the head of every chain with events since its last head, and make it durable. For a job, once a minute.

    Raises ImproperlyConfigured without a usable key, OSError when the log cannot be written.
    """
    key = private_key()
    signer = key_id(key.public_key())
    path = Path(settings.MAILHUB_AUDIT_HEADS)
    path.parent.mkdir(parents=True, exist_ok=True)
    _publish(path.with_suffix(".pub"), public_pem(key.public_key()))
    with _locked(path) as log:
        last = _last_heads(log, path)
        moved, gone_back = _moved_since(last)
        at = rfc3339(timezone.now())
        log.write(
            b"".join(sign(c, seq, digest, at=at, key=key, key_id=signer).to_line() for c, (seq, digest) in moved.items())
        )
        log.flush()
        os.fsync(log.fileno())
        if moved:
            _remember(path, log.tell(), last | moved)
    for chain in gone_back:
        logger.error("audit: chain %s no longer holds the event that was signed last; its head is not signed", chain)
    return HeadsWritten(len(moved), gone_back)


def _moved_since(last: Last) -> tuple[Last, tuple[UUID, ...]]:
    """Heads to sign now; and the chains whose last signed event is not there any more."""
    from audit.models import AuditEvent, ChainHead

    moved: Last = {}
    gone_back = []
    heads = {head.chain: (head.seq, head.hash) for head in ChainHead.objects.filter(seq__gt=0)}
    for chain in heads.keys() | {UUID(chain) for chain in last}:
        now, before = heads.get(chain, (0, "")), last.get(str(chain))
        if now == before:
            continue
        if before and not AuditEvent.objects.filter(chain=chain, seq=before[0], hash=before[1]).exists():
            gone_back.append(chain)
        else:
            moved[str(chain)] = now
    return moved, tuple(gone_back)


@contextmanager
def _locked(path: Path) -> Iterator[BinaryIO]:
    """The log, for this process alone, at its end; a line that a crash left torn is cut off first."""
    is_new = not path.exists()
    with path.open("a+b") as log:
        fcntl.flock(log, fcntl.LOCK_EX)
        if is_new:
            _sync_folder(path.parent)
        end = log.seek(0, os.SEEK_END)
        whole = _end_of_last_line(log, end)
        if whole != end:
            log.truncate(whole)
        log.seek(whole)
        yield log


def _end_of_last_line(log: BinaryIO, end: int) -> int:
    step = 4096
    position = end
    while position > 0:
        start = max(0, position - step)
        log.seek(start)
        newline = log.read(position - start).rfind(b"\n")
        if newline >= 0:
            return start + newline + 1
        position = start
    return 0


def _last_heads(log: BinaryIO, path: Path) -> Last:
    """What was remembered, caught up with what the log holds beyond it. A shorter log was moved away: a new beginning."""
    end = log.tell()
    size, last = _remembered(path)
    if size > end:
        size, last = 0, {}
    log.seek(size)
    for line in log:
        try:
            head = from_line(line)
        except UnreadableHeadError:
            continue  # verifying tells; here it must not stop the next head from being written
        last[head.chain] = (head.seq, head.hash)
    return last


def _remembered(path: Path) -> tuple[int, Last]:
    try:
        found = json.loads(_memory(path).read_text())
        return int(found["size"]), {chain: (int(seq), str(digest)) for chain, (seq, digest) in found["heads"].items()}
    except (OSError, ValueError, KeyError, TypeError):
        return 0, {}


def _remember(path: Path, size: int, last: Last) -> None:
    _replace(_memory(path), json.dumps({"size": size, "heads": last}).encode())


def _memory(path: Path) -> Path:
    return path.with_suffix(".last.json")


def _publish(path: Path, pem: bytes) -> None:
    """Beside the log: the keys that have signed in it, the present one among them."""
    known = path.read_bytes() if path.exists() else b""
    if pem not in known:
        _replace(path, known + pem)


def _replace(path: Path, content: bytes) -> None:
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
