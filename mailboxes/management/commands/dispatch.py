from __future__ import annotations

import logging
import signal
import threading
from argparse import ArgumentParser
from types import FrameType
from typing import Any

from django.core.management.base import BaseCommand
from django.db import close_old_connections

from mailboxes import faults
from mailboxes.jobs.dispatcher import Dispatcher

PAUSE_SECONDS = 1.0
AFTER_A_FAULT_SECONDS = 3.0

log = logging.getLogger(__name__)


class Command(BaseCommand):
    help = "The scheduler's loop: leases what is due and hands it to the workers. One or many may run."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--once", action="store_true", help="go round once and end")

    def handle(self, *args: Any, **options: Any) -> None:
        self._stop = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._asked_to_stop)
        dispatcher = Dispatcher()
        while not self._stop.is_set():
            pause = self._round(dispatcher)
            if options["once"]:
                return
            self._stop.wait(pause)

    def _asked_to_stop(self, number: int, frame: FrameType | None) -> None:
        self._stop.set()

    def _round(self, dispatcher: Dispatcher) -> float:
        """Seconds until the next. Whatever goes wrong, the loop goes on: the database may be back in a moment."""
        close_old_connections()
        try:
            return 0.0 if dispatcher.go_round() else PAUSE_SECONDS
        except Exception as fault:
            log.error("a round of the dispatcher failed: %s", faults.told(fault))  # noqa: TRY400
            return AFTER_A_FAULT_SECONDS
