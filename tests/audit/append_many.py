"""A process that appends to one chain from several threads at once: `python -m tests.audit.append_many CHAIN COUNT THREADS`.

It says "ready", waits for a line on standard input, and then begins: so several of them begin together.
"""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor
from uuid import UUID

import django


def main(chain: UUID, count: int, threads: int) -> None:
    django.setup()
    from django.db import connection, transaction

    import audit

    def append(thread: int) -> None:
        try:
            for number in range(count):
                with transaction.atomic():
                    audit.record(
                        "mailbox.connected", actor=audit.SYSTEM, tenant_id=chain, detail={"it": [thread, number]}
                    )
        finally:
            connection.close()

    print("ready", flush=True)
    sys.stdin.readline()
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(append, range(threads)))


if __name__ == "__main__":
    main(UUID(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
