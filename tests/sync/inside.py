"""Run as `python -m tests.sync.inside COMMAND …` with an installation's environment: works inside that installation."""

from __future__ import annotations

import json
import os
import sys
from typing import Any

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "mailhub.settings")
django.setup()

from django.core.management import call_command, execute_from_command_line  # noqa: E402
from django.db import connection  # noqa: E402

from mailboxes.models import Body, Message  # noqa: E402
from mailboxes.services import bodies, chunks  # noqa: E402
from tests.sync.mail import connected_mailbox  # noqa: E402


def prepare(imap: dict[str, Any], addresses: list[str]) -> None:
    """Tables and mailboxes; prints their ids."""
    if not connection.introspection.table_names():
        call_command("migrate", verbosity=0)
        call_command("createcachetable", verbosity=0)
    tenant = None
    made = {}
    for address in addresses:
        mailbox = connected_mailbox(address, imap=imap, tenant=tenant)
        tenant = mailbox.tenant
        made[address] = str(mailbox.pk)
    print(json.dumps(made))


def dump() -> None:
    """Every stored message: mailbox, folder, UID and the bytes, read back out of the packs; then how many bodies."""
    rows = Message.objects.select_related("body__pack", "folder", "mailbox").order_by("mailbox", "folder", "uid")
    told = [
        [row.mailbox.address, row.folder.name, row.uid, bodies.read(row.body).hex() if row.body else None]
        for row in rows
    ]
    print(json.dumps({"messages": told, "bodies": Body.objects.count()}))


def manage(most: int, arguments: list[str]) -> None:
    """manage.py with chunks so small that there is a middle to be killed in."""
    chunks.MOST_MESSAGES = most
    execute_from_command_line(["manage.py", *arguments])


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["prepare", imap, addresses]:
            prepare(json.loads(imap), json.loads(addresses))
        case ["dump"]:
            dump()
        case ["manage", most, *arguments]:
            manage(int(most), arguments)
