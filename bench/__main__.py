"""python -m bench [ROW …] [--messages N] [--rounds N] [--json]: side-by-side measurements; ratios in one run count."""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
from typing import Any

from bench import first_sync
from bench.measured import BenchFailed
from tests.servers.dovecot import ServerMissing

ROWS = {"first_sync": first_sync.measure}
BUSY = 0.15  # of the machine taken by others: the figure is marked


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench", description="Mailhub beside its peers, in one run.")
    parser.add_argument("rows", nargs="*", metavar="ROW", help=f"of {', '.join(ROWS)}; all of them without")
    parser.add_argument("--messages", type=_positive, default=2000, help="2000; 10000 for the full measurement")
    parser.add_argument("--rounds", type=_positive, default=3)
    parser.add_argument("--json", action="store_true", help="one JSON document on standard output")
    options = parser.parse_args(arguments)
    if unknown := [name for name in options.rows if name not in ROWS]:
        parser.error(f"no row {', '.join(unknown)}: there are {', '.join(ROWS)}")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that everything started here is ended
    load = os.getloadavg()
    asked = first_sync.Options(options.messages, options.rounds)
    try:
        found = [ROWS[name](asked, _say) for name in options.rows or ROWS]
        _say("")
    except (BenchFailed, ServerMissing) as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    machine = {"processors": os.cpu_count(), "load_before": load[0], "load_after": os.getloadavg()[0]}
    if options.json:
        print(json.dumps({"machine": machine, "rows": found}, indent=2))
    else:
        for row in found:
            _show(row, machine)
    return 0


def _show(row: dict[str, Any], machine: dict[str, Any]) -> None:
    print(
        f"\nFirst sync of {row['messages']:,} messages ({row['bytes'] / 1e6:.0f} MB, median {row['median_size']:,} bytes), "
        f"IMAP over TLS on this machine, each from nothing;\nmedians of {row['rounds']} rounds in turns (÷: of their ratios); "
        f"peer: {row['peer_version']} with FSync. Every stored message was read back and compared (SHA-256).\n"
    )
    print(f"{'':34}{'seconds':>9}{'messages/s':>12}{'÷ mbsync':>10}{'CPU µs/msg':>12}{'peak MiB':>10}{'others':>8}")
    for line in row["lines"]:
        ratio = f"{line['ratio']:.2f}" if "ratio" in line else ""
        peak = f"{line['rss_mib']:.0f}" if line["rss_mib"] else "–"
        others = f"{line['others']:.0%}{' !' if line['others'] > BUSY else ''}"
        print(
            f"{line['name']:34}{line['seconds']:9.2f}{line['messages_per_second']:12,}{ratio:>10}{line['cpu_us']:12}"
            f"{peak:>10}{others:>8}"
        )
    must, aim = row["goals"]["ratio"]
    print(
        f"\nGoals: ÷ mbsync ≤ {must} (aim {aim:.2f}), CPU ≤ {row['goals']['cpu_us']} µs a message, "
        f"peak ≤ {row['goals']['rss_mib']} MiB. {machine['processors']} processors, load {machine['load_before']:.2f} "
        f"before and {machine['load_after']:.2f} after; “others”: the machine's share that other programs took at worst"
        f"{', ! above ' + format(BUSY, '.0%') if any(line['others'] > BUSY for line in row['lines']) else ''}."
    )


def _say(text: str) -> None:
    if sys.stderr.isatty():
        print(f"\r{text}\x1b[K", end="", file=sys.stderr, flush=True)


def _positive(text: str) -> int:
    if not text.isdigit() or not int(text):
        raise argparse.ArgumentTypeError("a number from 1")
    return int(text)


if __name__ == "__main__":
    sys.exit(main())
