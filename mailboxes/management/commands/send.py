"""`manage.py send ADDRESS --to … --subject …`: queue one message and deliver it here, step by step."""

from __future__ import annotations

import json
import sys
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

import audit
from mailboxes import words
from mailboxes.models import Mailbox, OutboxMessage, SendAttempt
from mailboxes.services import outbox as outbox_service
from mailboxes.services import send_lease
from mailboxes.services.addresses import split_list
from mailboxes.services.deliver import deliver
from mailboxes.services.draft import Draft, DraftRefused
from mailboxes.services.report_send import report

ACTOR = audit.NamedActor("system", "", "manage.py send")
WRONG_USAGE = 2


class Command(BaseCommand):
    help = "Send a message from a mailbox, in the foreground. Exit 0: sent; 1: not (yet) sent; 2: wrong usage."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("address", help="the mailbox to send from")
        parser.add_argument(
            "--to", action="append", required=True, help="a recipient, or several with commas; may be given again"
        )
        parser.add_argument("--subject", required=True)
        parser.add_argument("--text-file", metavar="F", help="the text, in UTF-8; “-” reads standard input")
        parser.add_argument("--tenant", metavar="SLUG", help="needed when several tenants have this address")
        parser.add_argument("--json", action="store_true", help="one JSON document on standard output")

    def handle(self, *args: Any, **options: Any) -> None:
        mailbox = _mailbox(options["address"], options["tenant"])
        recipients = [entry for line in options["to"] for entry in split_list(line)]
        draft = Draft(to=recipients, subject=options["subject"], text=_text(options["text_file"]))
        try:
            outbox = outbox_service.queue(mailbox, draft, actor=ACTOR)
        except DraftRefused as refusal:
            raise CommandError("\n".join(refusal.messages), returncode=WRONG_USAGE) from None
        self._say(options, f"Queued as {outbox.pk}, {outbox.message_id}")
        claim = send_lease.claim_one(outbox, timezone.now())
        if claim:
            deliver(claim, progress=lambda _, stage, reply: self._say(options, _line(stage, reply)))
            outbox.refresh_from_db()
        self._finish(options, outbox, busy=claim is None)

    def _say(self, options: dict[str, Any], line: str) -> None:
        if not options["json"]:
            self.stdout.write(line)
            self.stdout.flush()

    def _finish(self, options: dict[str, Any], outbox: OutboxMessage, *, busy: bool) -> None:
        if options["json"]:
            self.stdout.write(json.dumps(report(outbox)))
        elif busy:
            self._say(options, "A worker sends for this mailbox right now; it takes this message along.")
        look = words.OUTBOX[outbox.state]
        self._say(options, f"{look.word}. {look.means}")
        for refused in outbox.refused_recipients:
            self._say(options, f"Not to {refused['address']}: {refused['reply']}")
        if outbox.state != OutboxMessage.State.SENT:
            if outbox.reason:
                self._say(options, words.explain(outbox.reason, address=outbox.mailbox.address).text)
            sys.exit(1)


def _line(stage: str, reply: str) -> str:
    label = SendAttempt.Stage(stage).label
    return f"  {label}: {reply}" if reply else f"  {label}"


def _mailbox(address: str, slug: str | None) -> Mailbox:
    found = Mailbox.objects.select_related("tenant", "provider_app").filter(address__iexact=address)
    if slug:
        found = found.filter(tenant__slug=slug)
    mailboxes = list(found[:2])
    if not mailboxes:
        raise CommandError(f"There is no mailbox {address} here.", returncode=WRONG_USAGE)
    if len(mailboxes) > 1:
        raise CommandError(f"Several tenants have {address}: say which with --tenant.", returncode=WRONG_USAGE)
    return mailboxes[0]


def _text(path: str | None) -> str:
    if path is None:
        return ""
    try:
        return sys.stdin.read() if path == "-" else Path(path).read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise CommandError(f"{path} cannot be read as text: {error}", returncode=WRONG_USAGE) from None
