"""A process that wants one token in many threads at once; prints each token's hash. Run by test_one_refresh_at_a_time.py."""

from __future__ import annotations

import hashlib
import sys
import threading
from datetime import timedelta
from ipaddress import ip_network
from pathlib import Path
from typing import Any
from uuid import UUID

import django


def main(token_id: str, threads: str, ca: str) -> None:
    django.setup()
    from django.conf import settings
    from django.db import connections

    from mailboxes.services import tokens

    settings.MAILHUB_ALLOWED_NETWORKS = [(ip_network("127.0.0.0/8"), ""), (ip_network("::1/128"), "")]
    settings.MAILHUB_CA_BUNDLE = Path(ca)
    answers: list[str] = []

    def want(_: Any) -> None:
        try:
            bearer = tokens.bearer(UUID(token_id), wait=timedelta(seconds=5))
            answers.append(hashlib.sha256(bearer.access_token.encode()).hexdigest())
        except Exception as error:
            answers.append(f"{type(error).__name__}: {error}")
        finally:
            connections.close_all()

    crowd = [threading.Thread(target=want, args=(number,)) for number in range(int(threads))]
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    sys.stdin.readline()
    for thread in crowd:
        thread.start()
    for thread in crowd:
        thread.join()
    sys.stdout.write("\n".join(answers) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
