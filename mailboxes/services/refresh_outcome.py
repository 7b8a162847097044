"""What a refresh left behind: the stored answer, the pause, or the end of the grant; no secret is opened here."""

from __future__ import annotations

import random
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.utils import timezone

import audit
from mailboxes import errors
from mailboxes.models import Mailbox, ProviderApp, SignIn, Token
from mailboxes.services import states
from mailboxes.services.refresh_lease import RefreshLease
from mailboxes.services.token_endpoint import Answer

APP_REASONS = ("app_misconfigured", "client_secret_expired", "redirect_as_spa")
BLOCKING = ("discovery_changed",)  # nothing of this app is used until somebody has looked at it
APP_PAUSE = timedelta(minutes=5)  # a wrong client secret is not tried by each of its mailboxes


def refresh_at(now: datetime, expires_at: datetime) -> datetime:
    """When the upkeep renews it: after three quarters of its life or so, spread so that tokens don't march in step."""
    return now + (expires_at - now) * random.uniform(0.65, 0.85)  # noqa: S311 - jitter, not a secret


def require_usable(token: Token) -> None:
    """Raises ConsentNeeded for a dead grant, AppMisconfigured while its provider app is blocked."""
    if token.dead_reason:
        raise errors.ConsentNeeded(code=token.dead_reason)
    app = token.provider_app
    if app.reason in BLOCKING:
        raise errors.AppMisconfigured(app.reason_detail, code=app.reason)


def require_no_pause(token: Token) -> None:
    """Raises, until `retry_at`, the same kind of error as the one that asked for the pause."""
    now = timezone.now()
    if token.retry_at is None or token.retry_at <= now:
        return
    kinds: dict[str, type[errors.MailError]] = {
        "throttled": errors.Throttled,
        "admin_approval": errors.AdminApprovalNeeded,
        "tls_untrusted": errors.TlsRefused,
        "unreachable": errors.Unreachable,
        "connection_lost": errors.ConnectionLost,
        "key_wrong": errors.KeyWrong,
        **dict.fromkeys((*APP_REASONS, *BLOCKING, "discovery_issuer", "discovery_incomplete"), errors.AppMisconfigured),
    }
    kind = kinds.get(token.retry_reason, errors.ServerUnavailable)
    raise kind(code=token.retry_reason or None, retry_after=token.retry_at - now)


def store(token: Token, lease: RefreshLease, answer: Answer, secrets: dict[str, Any]) -> None:
    """Before anything uses the answer. Raises LeaseLost, and then changes nothing."""
    now = timezone.now()
    with transaction.atomic():
        lease.write(
            **secrets,
            expires_at=answer.expires_at,
            refresh_at=refresh_at(now, answer.expires_at),
            refreshed_at=now,
            generation=lease.generation + 1,
            lease_id=None,
            lease_until=None,
            request_sent_at=None,
            answers_lost=0,
            retry_at=None,
            retry_reason="",
            failures=0,
        )
        _log(token, "ok", "", answer.milliseconds, generation=lease.generation + 1)
        ProviderApp.objects.filter(pk=token.provider_app_id, reason__in=APP_REASONS).update(
            reason="", reason_detail="", checked_at=now
        )
        audit.record(
            "token.refreshed",
            actor=audit.SYSTEM,
            tenant_id=token.tenant_id,
            target=token,
            detail={"generation": lease.generation + 1, "expires_at": answer.expires_at.isoformat()},
        )


def failed(token: Token, lease: RefreshLease, error: errors.MailError, *, milliseconds: int) -> None:
    """A pause, or the end of the grant. Raises LeaseLost."""
    if isinstance(error, errors.ConsentNeeded):
        _end(token, lease, error, milliseconds)
        return
    is_apps_fault = isinstance(error, errors.AppMisconfigured)
    with transaction.atomic():
        lease.put_off(
            error.reason,
            retry_after=error.retry_after or (APP_PAUSE if is_apps_fault else None),
            failures=token.failures,
            answer_came=not isinstance(error, errors.AnswerLost),
        )
        _log(token, "failed", error.detail, milliseconds, generation=lease.generation)
        if is_apps_fault and error.reason in APP_REASONS:
            ProviderApp.objects.filter(pk=token.provider_app_id).exclude(reason__in=BLOCKING).update(
                reason=error.reason, reason_detail=error.detail, checked_at=timezone.now()
            )


def _end(token: Token, lease: RefreshLease, error: errors.ConsentNeeded, milliseconds: int) -> None:
    """The grant is over: its secrets are erased, and every mailbox that used it says so."""
    with transaction.atomic():
        lease.write(
            dead_reason=error.reason,
            access_token=None,
            refresh_token=None,
            previous_refresh_token=None,
            refresh_at=None,
            lease_id=None,
            lease_until=None,
            request_sent_at=None,
            retry_at=None,
            retry_reason="",
        )
        _log(token, "refused", error.detail, milliseconds, generation=lease.generation)
        # All rows before the first line of the audit log: a poll holds its mailbox while it waits for that log.
        for mailbox in list(Mailbox.objects.select_for_update().filter(token=token.pk).order_by("pk")):
            states.from_error(mailbox, error)
        audit.record(
            "token.destroyed",
            actor=audit.SYSTEM,
            tenant_id=token.tenant_id,
            target=token,
            outcome="refused",
            detail={"reason": error.reason, "reply": error.detail},
        )


def _log(token: Token, outcome: str, reply: str, milliseconds: int, *, generation: int) -> None:
    app_only = token.provider_app.flow == ProviderApp.Flow.CLIENT_CREDENTIALS
    SignIn.objects.create(
        tenant_id=token.tenant_id,
        protocol="token",
        mechanism="client_credentials" if app_only else "refresh_token",
        outcome=outcome,
        reply=reply,
        milliseconds=milliseconds,
        token_generation=generation,
    )
