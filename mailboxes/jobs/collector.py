"""Python's collector of cycles, set for a process that stores mail by the thousand."""

from __future__ import annotations

import gc

THRESHOLDS = (50_000, 20, 100)  # Python's own begin at 700 new containers: a chunk of messages makes tens of thousands


def spare_what_stays() -> None:
    """Once the process has imported what it needs, before it forks: what lives until its end is never looked at again.

    Each full collection would otherwise walk the 300,000 objects of Django's import, and in a forked horse copy their
    pages (gc.freeze, Python's documentation).
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*THRESHOLDS)
