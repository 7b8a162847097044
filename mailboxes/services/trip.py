"""A trip to the provider: how it begins, by a link or here, and how its answer is known again."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass, field
from typing import Any

from django.db import transaction
from django.utils import timezone

import audit
from mailboxes.models import ConnectLink, ConsentAttempt, Mailbox, ProviderApp
from mailboxes.services import discovery, new_mailbox, provider_apps


@dataclass(frozen=True)
class Trip:
    """A consent that has just begun. The state is for the browser alone: the row knows its hash."""

    attempt: ConsentAttempt
    state: str = field(repr=False)


def begin_by_link(link: ConnectLink, *, actor: audit.Actor) -> Trip:
    """Raises MailError when the provider app cannot be used now."""
    return _begin(
        link.mailbox, link.provider_app, link.sign_in_as, link.receive, link.send, actor=actor, link=link, user_id=None
    )


def begin_here(
    app: ProviderApp, *, address: str, sign_in_as: str = "", receive: str = "imap", send: bool = True, user: Any
) -> Trip:
    """For an administrator who signs in at the provider himself. Raises ValidationError, MailError."""
    address, sign_in_as = address.strip(), sign_in_as.strip()
    new_mailbox.check(
        app,
        address=address,
        sign_in_as=sign_in_as,
        receive=receive,
        send=send,
        flow=ProviderApp.Flow.AUTHORIZATION_CODE,
    )
    provider_apps.ensure_discovered(app)
    mailbox = new_mailbox.ensure(
        app, address, sign_in_as=sign_in_as, receive=receive, send=send, reason="not_connected"
    )
    return _begin(mailbox, app, sign_in_as, receive, send, actor=user, link=None, user_id=user.pk)


def _begin(
    mailbox: Mailbox,
    app: ProviderApp,
    sign_in_as: str,
    receive: str,
    send: bool,
    *,
    actor: audit.Actor,
    link: ConnectLink | None,
    user_id: Any,
) -> Trip:
    provider_apps.ensure_discovered(app)
    state = secrets.token_urlsafe(32)
    with transaction.atomic():
        attempt = ConsentAttempt.objects.create(
            tenant_id=mailbox.tenant_id,
            mailbox=mailbox,
            provider_app=app,
            link=link,
            started_by_id=user_id,
            sign_in_as=sign_in_as,
            receive=receive,
            send=send,
            scopes=_scopes(mailbox, app, sign_in_as or mailbox.address, receive, send),
            state_hash=_hash(state),
            nonce=secrets.token_urlsafe(32),
        )
        audit.record(
            "consent.started",
            actor=actor,
            tenant_id=mailbox.tenant_id,
            target=mailbox,
            detail={"attempt": str(attempt.pk), "provider_app": str(app), "scopes": attempt.scopes},
        )
    return Trip(attempt, state)


def _scopes(mailbox: Mailbox, app: ProviderApp, account: str, receive: str, send: bool) -> list[str]:
    """Sign-in scopes that the provider lists, then the union of what all mailboxes of this account need, each once."""
    provider = discovery.facts(app)
    listed = (app.discovery or {}).get("scopes_supported")
    known = [
        scope
        for scope in provider.sign_in_scopes
        if scope == "openid" or not isinstance(listed, list) or scope in listed
    ]
    wanted = provider.mail_scopes(app.scopes, receive=receive, send=send)
    for other in Mailbox.objects.filter(provider_app=app, token__isnull=False).exclude(pk=mailbox.pk):
        if other.account_expected.casefold() == account.casefold():
            wanted += provider.mail_scopes(app.scopes, receive=other.receive, send=other.send)
    return list(dict.fromkeys([*known, *wanted]))


def find_attempt(state: str) -> ConsentAttempt | None:
    rows = ConsentAttempt.objects.select_related(
        "mailbox", "provider_app__tenant", "link__mailbox", "link__provider_app__tenant"
    )
    return rows.filter(state_hash=_hash(state)).first()


def consume(attempt: ConsentAttempt) -> bool:
    """Of two parallel callbacks one gets True; so does none after ten minutes."""
    now = timezone.now()
    rows = ConsentAttempt.objects.filter(pk=attempt.pk, consumed_at=None, created_at__gt=now - ConsentAttempt.LIFE)
    return rows.update(consumed_at=now) == 1


def _hash(state: str) -> str:
    return hashlib.sha256(state.encode()).hexdigest()
