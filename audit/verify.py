"""Check chains: in the database, or in an exported file without any database. One check for both."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import BinaryIO
from uuid import UUID

from audit.canonical import GENESIS
from audit.chain_check import ChainCheck, Result
from audit.entry import UnreadableEntryError, from_line, from_row
from audit.rows import BATCH, rows
from audit.signed_head import ChainHeads

LONGEST_LINE = 1024 * 1024  # bytes; what is longer is no event

Progress = Callable[[int], None]  # told the number of events looked at, once a batch


def verify(chain: UUID, heads: ChainHeads | None = None, *, progress: Progress | None = None) -> Result:
    """Check a chain in the database; with `heads` (audit.signed_head.read_heads) its tail too."""
    from audit.models import ChainHead

    # The head row is read before the events: appends meanwhile can only add to what it promises.
    row = ChainHead.objects.filter(chain=chain).first()
    check = ChainCheck(heads, (row.seq, row.hash) if row else (0, GENESIS))
    try:
        for values in rows(chain):
            if not check.feed(from_row(values)):
                break
            if progress and check.count % BATCH == 0:
                progress(check.count)
    except ValueError as error:
        check.stop(f"it cannot be read: {error}")
    return check.result()


def verify_file(
    file: BinaryIO, heads: Mapping[str, ChainHeads] | None = None, *, progress: Progress | None = None
) -> dict[str, Result]:
    """Check an export: result by chain. A line that is no event breaks the chain of the line before it."""
    checks: dict[str, ChainCheck] = {}
    current = ""
    number = 0
    while line := file.readline(LONGEST_LINE):
        number += 1
        try:
            entry = from_line(line)
        except UnreadableEntryError as error:
            check = checks.setdefault(current, ChainCheck(_of(heads, current)))
            check.stop(f"line {number} of the file is no event: {error}")
            break
        current = str(entry["chain"])
        check = checks.setdefault(current, ChainCheck(_of(heads, current)))
        check.feed(entry)
        if progress and number % BATCH == 0:
            progress(number)
    return {chain: check.result() for chain, check in checks.items()}


def _of(heads: Mapping[str, ChainHeads] | None, chain: str) -> ChainHeads | None:
    return None if heads is None else heads.get(chain, ChainHeads())
