from __future__ import annotations

import json
import sys
from argparse import ArgumentParser
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any
from uuid import UUID

from django.core.exceptions import ImproperlyConfigured
from django.core.management.base import BaseCommand, CommandError

from audit.chain_check import Result
from audit.rows import chains
from audit.signed_head import ChainHeads, UnreadableHeadError, read_heads
from audit.signing import PublicKeys, own_public_keys, public_keys
from audit.tenants import chain_of, name_of
from audit.verify import Progress, verify, verify_file

Heads = Mapping[str, ChainHeads] | None


class Command(BaseCommand):
    help = (
        "Check the audit chains: all of them, one tenant's, or those of an exported file (no database is needed for "
        "it). Exit status: 0 unbroken, 1 broken or a signed head that is not valid, 2 wrong usage."
    )
    requires_system_checks = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        which = parser.add_mutually_exclusive_group()
        which.add_argument("--tenant", metavar="SLUG", help="only this tenant's chain")
        which.add_argument("--file", metavar="EXPORT", type=Path, help="a file that audit_export wrote")
        parser.add_argument(
            "--head", metavar="FILE", type=Path, help="signed heads (audit-heads.jsonl), to prove the tail"
        )
        parser.add_argument(
            "--key", metavar="FILE", type=Path,
            help="public keys to trust for --head (audit-heads.pub, PEM) instead of this installation's own",
        )  # fmt: skip
        parser.add_argument("--json", action="store_true", help="one JSON document")

    def handle(self, *args: Any, **options: Any) -> None:
        heads = _heads(options["head"], options["key"])
        progress = self._progress()
        if options["file"]:
            results = _of_file(options["file"], heads, progress)
        else:
            results = _of_database(options["tenant"], heads, progress)
        if progress:
            self.stderr.write("\r\x1b[K", style_func=str, ending="")
        if options["json"]:
            self.stdout.write(json.dumps(_document(results, single=bool(options["tenant"]))))
        else:
            self._tell(results, _names(results, of_database=not options["file"]))
        if not all(result.ok for result in results.values()) or any(_refused(heads, chain) for chain in results):
            sys.exit(1)

    def _progress(self) -> Progress | None:
        """A line that counts, where a person looks on."""
        if not self.stderr.isatty():
            return None
        return self._count

    def _count(self, count: int) -> None:
        self.stderr.write(f"\r{count:,} events …", style_func=str, ending="")
        self.stderr.flush()

    def _tell(self, results: Mapping[str, Result], names: Mapping[str, str]) -> None:
        if not results:
            self.stdout.write("There is no event yet: nothing to check.")
        for chain, result in sorted(results.items(), key=lambda item: names[item[0]]):
            events = f"{result.count:,} event{'' if result.count == 1 else 's'}"
            if result.ok:
                self.stdout.write(f"{names[chain]}: {events}, unbroken; {result.why}")
            else:
                self.stdout.write(
                    f"{names[chain]}: BROKEN at event {result.first_bad} ({events} good before it): {result.why}"
                )


def _heads(path: Path | None, key: Path | None) -> Heads:
    if path is None:
        if key:
            raise CommandError("--key says whose heads to trust: it needs --head", returncode=2)
        return None
    try:
        keys: PublicKeys = public_keys(key.read_bytes()) if key else own_public_keys()
        with path.open("rb") as lines:
            return read_heads(lines, keys)
    except (OSError, UnreadableHeadError, ImproperlyConfigured) as error:
        raise CommandError(f"--head {path}: {error}", returncode=2) from None
    except ValueError as error:
        raise CommandError(f"--key {key}: {error}", returncode=2) from None


def _of_file(path: Path, heads: Heads, progress: Progress | None) -> dict[str, Result]:
    try:
        with path.open("rb") as file:
            return verify_file(file, heads, progress=progress)
    except OSError as error:
        raise CommandError(f"--file {path}: {error.strerror}", returncode=2) from None


def _of_database(tenant: str | None, heads: Heads, progress: Progress | None) -> dict[str, Result]:
    try:
        found = {chain_of(tenant)} if tenant else chains() | _known(heads)
    except LookupError as unknown:
        raise CommandError(str(unknown), returncode=2) from None
    return {
        str(chain): verify(chain, None if heads is None else heads.get(str(chain), ChainHeads()), progress=progress)
        for chain in found
    }


def _names(results: Mapping[str, Result], *, of_database: bool) -> dict[str, str]:
    return {chain: name_of(UUID(chain)) if of_database else chain or "unknown" for chain in results}


def _refused(heads: Heads, chain: str) -> bool:
    of_chain = heads.get(chain) if heads else None
    return of_chain is not None and of_chain.refused > 0


def _known(heads: Heads) -> set[UUID]:
    """Chains that were signed once: one that is gone altogether must be missed."""
    return {UUID(chain) for chain, of_chain in (heads or {}).items() if of_chain.hashes}


def _document(results: Mapping[str, Result], *, single: bool) -> dict[str, Any]:
    """The same keys for one chain and for all; of several chains, the first broken one's number and no one head."""
    if single or len(results) == 1:
        ((chain, result),) = results.items()
        return {"chain": chain, **asdict(result)}
    broken = next((result for result in results.values() if not result.ok), None)
    return {
        "ok": broken is None,
        "count": sum(result.count for result in results.values()),
        "head": None,
        "first_bad": broken.first_bad if broken else None,
        "tail_proven": bool(results) and all(result.tail_proven for result in results.values()),
        "why": broken.why if broken else "",
        "chains": [{"chain": chain, **asdict(result)} for chain, result in sorted(results.items())],
    }
