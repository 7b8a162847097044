from __future__ import annotations

import json
import sys
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from mailboxes import words
from mailboxes.jobs import collector
from mailboxes.models import Mailbox, SyncRun
from mailboxes.services import leases, sync_now
from mailboxes.services.poll import poll


class Command(BaseCommand):
    help = "Sync one mailbox in the foreground. Exit status: 0 done, 1 it could not run or failed, 2 wrong usage."

    def run_from_argv(self, argv: list[str]) -> None:
        """As a program of its own, which a call from within another is not."""
        collector.spare_what_stays()
        super().run_from_argv(argv)

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("address", metavar="ADDRESS")
        parser.add_argument("--tenant", metavar="SLUG", help="where several tenants own a mailbox of this address")
        parser.add_argument("--json", action="store_true", help="one JSON document")

    def handle(self, *args: Any, **options: Any) -> None:
        mailbox = _find(options["address"], options["tenant"])
        run = self._skipped(mailbox) or self._sync(mailbox, quiet=options["json"])
        if options["json"]:
            self.stdout.write(json.dumps(_document(mailbox, run)))
        else:
            self.stdout.write(_told(mailbox, run))
        if run.state != SyncRun.State.DONE:
            sys.exit(1)

    def _skipped(self, mailbox: Mailbox) -> SyncRun | None:
        why = sync_now.why_not(mailbox, timezone.now())
        return SyncRun(state=SyncRun.State.SKIPPED, reason=why) if why else None

    def _sync(self, mailbox: Mailbox, *, quiet: bool) -> SyncRun:
        """Slice after slice, until nothing is left."""
        total = SyncRun(state=SyncRun.State.SKIPPED, reason="not_due", started_at=timezone.now())
        while True:
            ticket = leases.claim_one(mailbox.pk, timezone.now())
            claim = ticket and leases.take(ticket.mailbox_id, ticket.lease_id)
            if claim is None:  # a worker has it
                return total
            before = total.added

            def progress(folder: str, run: SyncRun, before: int = before) -> None:
                if not quiet:
                    self.stderr.write(
                        f"\r{before + run.added:,} messages ({folder}) …\x1b[K", style_func=str, ending=""
                    )
                    self.stderr.flush()

            try:
                run = poll(claim, progress=progress)
            except BaseException:  # Ctrl-C: nobody shall wait until the lease ends
                leases.put_back([claim])
                raise
            for name in ("added", "changed", "removed"):
                setattr(total, name, getattr(total, name) + getattr(run, name))
            total.state, total.reason, total.detail, total.ended_at = run.state, run.reason, run.detail, run.ended_at
            mailbox.refresh_from_db()
            left = mailbox.next_poll_at is not None and mailbox.next_poll_at <= timezone.now()
            if run.state != SyncRun.State.DONE or not left:
                if not quiet:
                    self.stderr.write("\r\x1b[K", style_func=str, ending="")
                return total


def _find(address: str, slug: str | None) -> Mailbox:
    rows = Mailbox.objects.filter(address__iexact=address)
    rows = rows.filter(tenant__slug=slug) if slug else rows
    found = list(rows.select_related("tenant")[:2])
    if not found:
        raise CommandError(f"there is no mailbox {address}{f' of tenant {slug}' if slug else ''}", returncode=2)
    if len(found) > 1:
        raise CommandError(f"several tenants own {address}: name one with --tenant", returncode=2)
    return found[0]


def _document(mailbox: Mailbox, run: SyncRun) -> dict[str, Any]:
    return {
        "address": mailbox.address,
        "state": str(run.state),
        "reason": run.reason or None,
        "started_at": run.started_at.isoformat() if run.started_at else None,
        "ended_at": run.ended_at.isoformat() if run.ended_at else None,
        "added": run.added,
        "changed": run.changed,
        "removed": run.removed,
        "message_count": mailbox.message_count,
    }


def _told(mailbox: Mailbox, run: SyncRun) -> str:
    counts = f"{run.added:,} new, {run.changed:,} changed, {run.removed:,} gone; {mailbox.message_count:,} in all"
    if run.state == SyncRun.State.DONE:
        return f"{mailbox}: {counts}."
    brief = words.explain(run.reason, address=mailbox.address).brief if run.reason else "stopped"
    return f"{mailbox}: {run.get_state_display().lower()}: {brief}. {counts}."
