"""The log of signed heads: a file of JSON lines that is only ever appended to, by one process at a time.

Beside it lie the public keys that check it (.pub) and a memory of what was signed last (.last.json), so that the log
is not read whole each minute; both are made again when they are missing.
"""

from __future__ import annotations

import fcntl
import json
import os
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from audit.signed_head import SignedHead, UnreadableHeadError, from_line

Last = dict[str, tuple[int, str]]  # chain → number and hash of its last head in the log
_STEP = 4096  # bytes


class HeadLog:
    """An opened log; `last` is what it says about each chain."""

    def __init__(self, path: Path, file: BinaryIO) -> None:
        self._path = path
        self._file = file
        self.last = self._read_last()

    def append(self, heads: Iterable[SignedHead]) -> None:
        """Returns when the heads are on the disk."""
        for head in heads:
            self._file.write(head.to_line())
            self.last[head.chain] = (head.seq, head.hash)
        self._file.flush()
        os.fsync(self._file.fileno())
        memory = {"size": self._file.tell(), "heads": self.last}
        _replace(_memory(self._path), json.dumps(memory).encode())

    def publish(self, pem: bytes) -> None:
        """Keep `pem` among the public keys that have signed here."""
        path = self._path.with_suffix(".pub")
        known = path.read_bytes() if path.exists() else b""
        if pem not in known:
            _replace(path, known + pem)

    def _read_last(self) -> Last:
        """What is remembered, caught up with what the log holds beyond it; a shorter log was moved away."""
        end = self._file.tell()
        size, last = self._remembered()
        if size > end:
            size, last = 0, {}
        self._file.seek(size)
        for line in self._file:
            try:
                head = from_line(line)
            except UnreadableHeadError:
                continue  # verifying tells; here it must not keep the next head from being written
            last[head.chain] = (head.seq, head.hash)
        return last

    def _remembered(self) -> tuple[int, Last]:
        try:
            found = json.loads(_memory(self._path).read_text())
            heads = {str(chain): (int(seq), str(digest)) for chain, (seq, digest) in found["heads"].items()}
            return int(found["size"]), heads
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return 0, {}


@contextmanager
def opened(path: Path) -> Iterator[HeadLog]:
    """The log, for this process alone; a line that a crash left torn is cut off first. Raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    is_new = not path.exists()
    with path.open("a+b") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        if is_new:
            _sync_folder(path.parent)
        whole = _end_of_last_line(file)
        file.truncate(whole)
        file.seek(whole)
        yield HeadLog(path, file)


def _end_of_last_line(file: BinaryIO) -> int:
    position = file.seek(0, os.SEEK_END)
    while position > 0:
        start = max(0, position - _STEP)
        file.seek(start)
        newline = file.read(position - start).rfind(b"\n")
        if newline >= 0:
            return start + newline + 1
        position = start
    return 0


def _memory(path: Path) -> Path:
    return path.with_suffix(".last.json")


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
