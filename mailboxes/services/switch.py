"""A mailbox between two permissions: waiting for the proof of the new one, back to the old one, or over to the new."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.utils import timezone

import audit
from mailboxes.errors import MailError
from mailboxes.models import ConsentAttempt, Mailbox, ProviderApp, Token
from mailboxes.services import folders, links, states
from mailboxes.services.discovery import facts
from mailboxes.services.grants import Account, covers

State = Mailbox.State
PROOF_OVERDUE = timedelta(seconds=90)  # then the scheduler's poll proves what a callback that died did not
COLUMNS = (
    *("provider_app_id", "token_id", "sign_in_as", "receive", "send"),
    *("pinned_issuer", "pinned_subject", "proven_at"),
)


@dataclass(frozen=True)
class Before:
    """What the mailbox was, for the way back."""

    columns: dict[str, Any]
    state: str
    reason: str
    reason_detail: str
    token_id: UUID | None


def to_pending(mailbox: Mailbox, attempt: ConsentAttempt, token: Token, account: Account, actor: audit.Actor) -> Before:
    """Inside the caller's transaction. A mailbox that works on goes on as it was until the proof is there."""
    before = Before(
        {name: getattr(mailbox, name) for name in COLUMNS},
        mailbox.state,
        mailbox.reason,
        mailbox.reason_detail,
        mailbox.token_id,
    )
    if mailbox.state in links.WAITING or mailbox.token_id is None:
        state = mailbox.state if mailbox.state == State.SUSPENDED else State.PENDING
        overdue = timezone.now() + PROOF_OVERDUE if _polls(attempt) and state == State.PENDING else None
        states.change(
            mailbox,
            state,
            reason=mailbox.reason if state == State.SUSPENDED else "",
            actor=actor,
            next_poll_at=overdue,
            failures=0,
            **_columns(attempt, token, account),
            proven_at=_proven_before(mailbox, account),
        )
        doubt_if_another(mailbox, before.columns)
    return before


def back(mailbox: Mailbox, before: Before, actor: audit.Actor) -> None:
    """Inside the caller's transaction: as if nothing had been given."""
    columns = {name: value for name, value in before.columns.items() if getattr(mailbox, name) != value}
    if columns.get("token_id") and not Token.objects.filter(pk=columns["token_id"]).exists():
        columns["token_id"] = None  # ended meanwhile, as no mailbox pointed to it
    if columns:
        stopped = mailbox.state == State.SUSPENDED
        states.change(
            mailbox,
            mailbox.state if stopped else before.state,
            reason=mailbox.reason if stopped else before.reason,
            detail="" if stopped else before.reason_detail,
            actor=actor,
            next_poll_at=None,
            **columns,
        )


def to_connected(
    mailbox: Mailbox, attempt: ConsentAttempt, token: Token, fault: MailError | None, actor: audit.Actor
) -> None:
    """Inside the caller's transaction. A passing fault leaves it delayed, and due at once: a job finishes it."""
    due = timezone.now() if _polls(attempt) else None
    account = Account(token.issuer, token.subject, token.account)
    columns = _columns(attempt, token, account)
    columns["proven_at"] = timezone.now() if fault is None else _proven_before(mailbox, account)
    was = {name: getattr(mailbox, name) for name in COLUMNS}
    if mailbox.state == State.SUSPENDED:
        states.change(mailbox, State.SUSPENDED, reason=mailbox.reason, actor=actor, **columns)
    elif fault is None:
        states.change(mailbox, State.ACTIVE, actor=actor, next_poll_at=due, failures=0, **columns)
    else:
        states.change(
            mailbox,
            states.state_after(fault),
            reason=fault.reason,
            detail=fault.detail,
            actor=actor,
            next_poll_at=due,
            failures=1,
            **columns,
        )
    states.drop_lease(mailbox)  # a worker that reads by the permission of before stops
    doubt_if_another(mailbox, was)
    _revive_siblings(mailbox, token, actor)


def doubt_if_another(mailbox: Mailbox, was: dict[str, Any]) -> None:
    """Another account, or another server, may use the UIDVALIDITY and UIDs that we know for other messages."""
    same_account = all(was[name] == getattr(mailbox, name) for name in ("pinned_issuer", "pinned_subject"))
    if same_account and was["provider_app_id"] == mailbox.provider_app_id:
        return
    servers = ProviderApp.objects.filter(pk__in=(was["provider_app_id"], mailbox.provider_app_id))
    hosts = {(app.server("imap") or {}).get("host") for app in servers}
    if not same_account or len(hosts) > 1:
        folders.doubt(mailbox)


def say(mailbox: Mailbox, code: str, detail: str, actor: audit.Actor) -> None:
    """Why the owner's answer did not help, on a mailbox that waits for it."""
    if mailbox.state in links.WAITING and mailbox.state != State.DISCONNECTED:
        state = State.AWAITING_ADMIN if code == "admin_approval" else mailbox.state
        states.change(mailbox, state, reason=code, detail=detail, actor=actor)


def _columns(attempt: ConsentAttempt, token: Token, account: Account) -> dict[str, Any]:
    return {
        "provider_app_id": attempt.provider_app_id,
        "token_id": token.pk,
        "sign_in_as": attempt.sign_in_as,
        "receive": attempt.receive,
        "send": attempt.send,
        "pinned_issuer": account.issuer,
        "pinned_subject": account.subject,
    }


def _proven_before(mailbox: Mailbox, account: Account) -> datetime | None:
    """Another account is yet to be tried; the pin of a known one is not given up for a mail server that is away."""
    known = (mailbox.pinned_issuer, mailbox.pinned_subject) == (account.issuer, account.subject)
    return mailbox.proven_at if known else None


def _polls(attempt: ConsentAttempt) -> bool:
    return attempt.receive != Mailbox.Receive.NONE


def _revive_siblings(mailbox: Mailbox, token: Token, actor: audit.Actor) -> None:
    """Other mailboxes that waited for this person's consent go on by the same grant, as far as its scopes reach."""
    app = token.provider_app
    for other in Mailbox.objects.filter(token=token, state=State.RECONNECT).exclude(pk=mailbox.pk):
        if covers(token.scopes, facts(app).mail_scopes(app.scopes, receive=other.receive, send=other.send)):
            due = timezone.now() if other.receive != Mailbox.Receive.NONE else None
            states.change(other, State.ACTIVE, actor=actor, next_poll_at=due, failures=0)
