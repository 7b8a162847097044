"""Asked to stop: looked at between chunks, so that a worker ends with its chunk committed."""

from __future__ import annotations

import threading

_asked = threading.Event()


def request() -> None:
    _asked.set()


def requested() -> bool:
    return _asked.is_set()
