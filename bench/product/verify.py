"""python -m bench.product.verify ADDRESS: the SHA-256 of every stored message, read back out of its pack, one a line."""

from __future__ import annotations

import hashlib
import os
import sys

import django


def main(address: str) -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "mailhub.settings")
    django.setup()
    from mailboxes.models import Message
    from mailboxes.services import bodies

    rows = Message.objects.filter(mailbox__address=address, gone_at=None).select_related("body__pack")
    for message in rows.iterator():
        digest = hashlib.sha256(bodies.read(message.body)).hexdigest() if message.body else "no body"
        print(digest if digest == message.sha256 else f"row {message.sha256} is not {digest}")


if __name__ == "__main__":
    main(sys.argv[1])
