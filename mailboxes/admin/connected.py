"""The end of the connect wizard: what each server answered to the live test, then the first mail."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.utils import timezone

from accounts.roles import Right
from mailboxes import words
from mailboxes.admin.connect import WORDS, page
from mailboxes.models import Mailbox, Message, SignIn
from mailboxes.services.reasons import provider_name, words_for
from theme.parts import Check, Step, steps

PROTOCOLS = {"imap": "IMAP", "pop3": "POP3", "smtp": "SMTP"}


def connected_view(admin: Any) -> Any:
    """Steps 4 and 5, after the way back from the provider: each protocol's answer, then the first messages."""

    def view(request: HttpRequest, pk: Any) -> HttpResponse:
        mailbox: Mailbox = admin.row_or_404(request, pk, admin.connect_right)
        checks, passed = live_checks(mailbox)
        arrived = Message.objects.filter(mailbox=mailbox).count()
        waiting = mailbox.receive != Mailbox.Receive.NONE and mailbox.last_synced_at is None and mailbox.token_id
        current = 4 if passed else 3
        shown = steps(WORDS, current) if waiting or not passed else [Step(word, done=True) for word in WORDS]
        may_read = admin.may(request, Right.MAIL_READ, mailbox)
        first = Message.objects.filter(mailbox=mailbox).select_related("folder")[:5] if may_read else []
        context = {
            "mailbox": mailbox,
            "checks": checks,
            "passed": sum(check.look == words.OUTCOME["ok"] for check in checks),
            "waiting": waiting,
            "arrived": arrived,
            "folders": mailbox.folders.filter(followed=True, gone_at=None).count(),
            "first": first,
            "may_read": may_read,
            "look": words.MAILBOX[mailbox.state],
            "reason": words_for(mailbox),
        }
        answer = page(admin, request, "connected", current, **context)
        assert answer.context_data is not None
        answer.context_data["steps"] = shown
        return answer

    return view


def live_checks(mailbox: Mailbox) -> tuple[list[Check], bool]:
    """The last sign-in of each protocol that this mailbox uses, since its permission was given."""
    wanted = [name for name in (mailbox.receive, "smtp" if mailbox.send else "") if name in ("imap", "pop3", "smtp")]
    since = mailbox.token.created_at if mailbox.token else timezone.now()
    found = []
    if mailbox.token:
        who = mailbox.token.account or mailbox.account_expected
        found.append(
            Check(words.OUTCOME["ok"], "Permission", f"{provider_name(mailbox.provider_app)} gave it for {who}.")
        )
    for name in wanted:
        row = SignIn.objects.filter(mailbox=mailbox, protocol=name, at__gte=since).first()
        server = mailbox.provider_app.server(name) or {}
        where = f"{server.get('host')}:{server.get('port')}"
        if row is None:
            found.append(Check(words.OUTCOME["waiting"], PROTOCOLS[name], f"{where}: not tried yet."))
        elif row.outcome == "ok":
            found.append(
                Check(
                    words.OUTCOME["ok"], PROTOCOLS[name], f"{where}: signed in with {row.mechanism}.", row.milliseconds
                )
            )
        else:
            reason = words_for(mailbox)
            found.append(
                Check(
                    words.OUTCOME["failed"],
                    PROTOCOLS[name],
                    f"{where}: {reason.text if reason else 'the sign-in was refused.'}",
                    row.milliseconds,
                    who=reason.who if reason else "",
                    fix=reason.fix if reason else "",
                    details_title="The server's reply",
                    details=row.reply,
                )
            )
    return found, all(check.look == words.OUTCOME["ok"] for check in found) and bool(found)
