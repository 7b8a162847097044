"""python -m bench.product.worker ADDRESS: `manage.py sync ADDRESS`, which says when it has started and begins to work.

A worker of the queue has started long before its first job; a command has not. Both figures come out of one run.
"""

from __future__ import annotations

import os
import sys
import time

import django
from django.core.management import execute_from_command_line

from bench.measured import READY


def main(address: str) -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "mailhub.settings")
    django.setup()
    import mailboxes.management.commands.sync  # noqa: F401 - so that its imports are counted as starting

    with os.fdopen(int(os.environ.pop(READY)), "w") as ready:
        ready.write(f"{time.process_time()}\n")
    execute_from_command_line(["manage.py", "sync", address, "--json"])


if __name__ == "__main__":
    main(sys.argv[1])
