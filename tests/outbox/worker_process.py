"""A worker as RQ runs it: a parent that has loaded everything, and a forked child a job, which tests kill or stop.

Run by test_killed_workers.py. For "go" on standard input it forks a child that sends all that is due, and writes its pid;
for "reap" it waits for that child and writes how it ended (until then the pid is nobody else's). argv: the packs' folder.
"""

from __future__ import annotations

import os
import sys

import django

django.setup()

from django.conf import settings  # noqa: E402
from django.db import connections  # noqa: E402
from django.utils import timezone  # noqa: E402

from mailboxes.services import send_lease  # noqa: E402
from mailboxes.services.deliver import claim_due, deliver  # noqa: E402

settings.STORAGES["packs"]["OPTIONS"] = {"location": sys.argv[1]}


def send_all() -> None:
    for ticket in claim_due(timezone.now(), 50):
        if claim := send_lease.take(ticket.mailbox_id, ticket.lease_id):
            deliver(claim)


if __name__ == "__main__":
    pid = 0
    for line in sys.stdin:
        if line == "reap\n":
            _, status = os.waitpid(pid, 0)
            print(os.waitstatus_to_exitcode(status), flush=True)
            continue
        connections.close_all()
        pid = os.fork()
        if pid == 0:
            os.close(0)
            code = 1
            try:
                send_all()
                code = 0
            finally:
                os._exit(code)
        print(pid, flush=True)
