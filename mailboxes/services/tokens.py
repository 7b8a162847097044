"""Grants kept alive: the only reader of token secrets and of client secrets.

Hand out a token with a minimum of life (`bearer`), renew it early (`renew`), trade a code, give back. One refresh at a
time per token across processes (refresh_lease); the answer is stored before anything uses it (DESIGN, Refresh).
"""

from __future__ import annotations

import random
import time
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

from django.db import InterfaceError, OperationalError, connection
from django.db.models import Q
from django.utils import timezone
from django.views.decorators.debug import sensitive_variables

from mailboxes import errors
from mailboxes.errors import AnswerLost, ConsentNeeded, KeyWrong, LeaseLost, MailError, TokenBusy
from mailboxes.models import Mailbox, ProviderApp, Token
from mailboxes.models.secret_field import Secret, SecretUnreadable
from mailboxes.services import discovery, egress, refresh_lease, refresh_outcome, token_endpoint
from mailboxes.services.refresh_lease import RefreshLease
from mailboxes.services.token_endpoint import Answer, Endpoint

LONGEST_WAIT = timedelta(seconds=5)  # of a person's request
GLANCE = 0.05  # seconds between two looks at a token that somebody else renews
STORE_PAUSES = (0.1, 0.5, 2.0, 5.0)  # seconds between tries to store an answer; the fence says when it is too late


@dataclass(frozen=True)
class Bearer:
    """An access token, ready for use."""

    access_token: str = field(repr=False)
    generation: int
    expires_at: datetime | None


def bearer(
    token_id: UUID,
    *,
    minimum_life: timedelta = timedelta(seconds=90),
    wait: timedelta = timedelta(),
    newer_than: int | None = None,
) -> Bearer:
    """A token that lives for `minimum_life` more, renewed if need be; never inside a transaction.

    `newer_than`: the mail server refused that generation, so it is renewed once even though it looks alive. `wait`: how
    long to wait for another process that renews it right now (5 s at most).

    Raises TokenBusy, ConsentNeeded, AppMisconfigured, AdminApprovalNeeded, ServerUnavailable, Unreachable,
    ConnectionLost, TlsRefused, KeyWrong.
    """
    until = time.monotonic() + min(wait, LONGEST_WAIT).total_seconds()
    while True:
        token = Token.objects.select_related("provider_app__tenant").get(pk=token_id)
        refresh_outcome.require_usable(token)
        if _is_fresh(token, minimum_life, newer_than):
            return Bearer(_open(token.access_token), token.generation, token.expires_at)
        refresh_outcome.require_no_pause(token)
        if lease := refresh_lease.take(token):
            return _refresh(token, lease)
        if time.monotonic() >= until:
            raise TokenBusy(retry_after=timedelta(seconds=random.uniform(1, 3)))  # noqa: S311 - jitter
        time.sleep(GLANCE)


def due_for_refresh(now: datetime, limit: int) -> list[UUID]:
    """Living tokens of working mailboxes whose time to renew has come, the most urgent first."""
    stopped = (Mailbox.State.SUSPENDED, Mailbox.State.DISCONNECTED)
    working = Mailbox.objects.exclude(state__in=stopped).filter(token__isnull=False).values("token")
    rows = Token.objects.filter(refresh_at__lte=now, dead_reason="", pk__in=working).filter(
        Q(lease_id=None) | Q(lease_until__lt=now), Q(retry_at=None) | Q(retry_at__lte=now)
    )
    return list(rows.order_by("refresh_at").values_list("pk", flat=True)[:limit])


def renew(token_id: UUID) -> None:
    """Renew one that is due. What fails is written down and shows in the mailboxes' states; nothing is raised."""
    token = Token.objects.select_related("provider_app__tenant").get(pk=token_id)
    if token.dead_reason or token.refresh_at is None or token.refresh_at > timezone.now():
        return
    try:
        refresh_outcome.require_usable(token)
        if lease := refresh_lease.take(token):
            _refresh(token, lease)
    except MailError:
        return


@sensitive_variables()
def exchange_code(app: ProviderApp, *, code: str, verifier: str, redirect_uri: str) -> Answer:
    """The provider's answer for a consent's code. Raises MailError."""
    return token_endpoint.exchange_code(
        endpoint(app, "token_endpoint"), code=code, verifier=verifier, redirect_uri=redirect_uri
    )


@sensitive_variables()
def ask_as_app(app: ProviderApp, scopes: list[str]) -> Answer:
    """A token for the organisation's own client (RFC 6749, 4.4). Raises MailError."""
    return token_endpoint.client_credentials(endpoint(app, "token_endpoint"), " ".join(scopes))


@sensitive_variables()
def revoke_answer(app: ProviderApp, answer: Answer) -> bool:
    """Give back what was just obtained and is not kept; True when the provider confirmed."""
    token, hint = (
        (answer.refresh_token, "refresh_token") if answer.refresh_token else (answer.access_token, "access_token")
    )
    return _revoke(app, token, hint)


@sensitive_variables()
def revoke_stored(token: Token) -> bool:
    """Ask the provider to end a stored grant; True when it confirmed."""
    secret = token.refresh_token or token.access_token
    hint = "refresh_token" if token.refresh_token else "access_token"
    try:
        return secret is not None and _revoke(token.provider_app, _open(secret), hint)
    except KeyWrong:
        return False


@sensitive_variables()
def _revoke(app: ProviderApp, token: str, hint: str) -> bool:
    try:
        return token_endpoint.revoke(endpoint(app, "revocation_endpoint"), token, hint)
    except (MailError, KeyError):  # no such endpoint, or not one that we may speak to
        return False


def endpoint(app: ProviderApp, name: str) -> Endpoint:
    """Where and as whom to ask, on a pinned host. Raises AppMisconfigured, KeyWrong; KeyError if there is none."""
    return Endpoint(
        url=discovery.endpoint(app, name),
        client_id=app.client_id,
        client_secret=_open(app.client_secret) if app.client_secret else "",
        auth_method=app.auth_method if app.client_secret else "none",
        provider=discovery.facts(app),
        egress=egress.for_tenant(app.tenant),
    )


def opens(secret: Secret) -> bool:
    """Whether the configured keys open it; for the check at the start."""
    try:
        secret.reveal()
    except SecretUnreadable:
        return False
    return True


def _open(secret: Secret | None) -> str:
    if secret is None:
        raise ConsentNeeded(code="consent_revoked")
    try:
        return secret.reveal()
    except SecretUnreadable as error:
        raise KeyWrong(private=str(error)) from None


def _is_fresh(token: Token, minimum_life: timedelta, newer_than: int | None) -> bool:
    if token.access_token is None or (newer_than is not None and token.generation <= newer_than):
        return False
    if token.expires_at is None:
        return True
    life = token.expires_at - (token.refreshed_at or token.created_at)
    # Where a whole life is hardly longer than the minimum, a third of it must do: else each call would renew.
    return token.expires_at - timezone.now() > min(minimum_life, life / 3)


@sensitive_variables()
def _refresh(token: Token, lease: RefreshLease) -> Bearer:
    """Ask, store, hand out. Whatever goes wrong is written down before it is raised."""
    began = time.monotonic()
    try:
        answer, used = _ask(token, lease)
        columns = _columns(token, answer, used)
        _store(token, lease, answer, columns)
    except LeaseLost:
        raise TokenBusy(retry_after=timedelta(seconds=1)) from None
    except MailError as error:
        try:
            refresh_outcome.failed(token, lease, error, milliseconds=round((time.monotonic() - began) * 1000))
        except LeaseLost:
            raise TokenBusy(retry_after=timedelta(seconds=1)) from None
        raise
    except BaseException:
        # A fault of ours, or the process is asked to end. The mark stays: if a request had left, one answer is missing.
        lease.give_back()
        raise
    return Bearer(answer.access_token, lease.generation + 1, answer.expires_at)


@sensitive_variables()
def _store(token: Token, lease: RefreshLease, answer: Answer, columns: dict[str, object]) -> None:
    """A database that stumbles (restarted, locked) is asked again: of a rotated refresh token there is no other copy."""
    for pause in STORE_PAUSES:
        try:
            return refresh_outcome.store(token, lease, answer, columns)
        except (OperationalError, InterfaceError):
            if not connection.in_atomic_block:
                connection.close_if_unusable_or_obsolete()
            time.sleep(pause)
    return refresh_outcome.store(token, lease, answer, columns)


@sensitive_variables()
def _ask(token: Token, lease: RefreshLease) -> tuple[Answer, str]:
    """The answer, and the refresh token that earned it ('' for client credentials)."""
    app = token.provider_app
    at = endpoint(app, "token_endpoint")
    if app.flow == ProviderApp.Flow.CLIENT_CREDENTIALS:
        lease.mark_sent()
        return token_endpoint.client_credentials(at, " ".join(token.scopes)), ""
    present = _open(token.refresh_token)
    if at.provider.rotation == "strict":
        return _ask_once_more_at_most(at, lease, present), present
    lease.mark_sent()
    try:
        return token_endpoint.refresh(at, present), present
    except ConsentNeeded:
        if token.previous_refresh_token is None:
            raise
    previous = _open(token.previous_refresh_token)  # kept until the new one has worked, which it did not
    lease.mark_sent()
    return token_endpoint.refresh(at, previous), previous


@sensitive_variables()
def _ask_once_more_at_most(at: Endpoint, lease: RefreshLease, refresh_token: str) -> Answer:
    """Strict rotation: after a lost answer the same token once more at once, never later; refused then: answer_lost."""
    lost = lease.answers_lost
    while lost < 2:
        lease.mark_sent()
        try:
            return token_endpoint.refresh(at, refresh_token)
        except AnswerLost:
            lost += 1
            lease.write(answers_lost=lost, request_sent_at=None)
        except ConsentNeeded as error:
            raise ConsentNeeded(error.detail, code="answer_lost" if lost else error.reason) from None
    raise errors.ConsentNeeded(code="answer_lost")


def _columns(token: Token, answer: Answer, used: str) -> dict[str, object]:
    """The secrets as they are stored: sealed to this row. Strict: the old refresh token goes as the new one comes."""

    def sealed(name: str, text: str) -> Secret:
        secret: Secret = Token._meta.get_field(name).seal(token.pk, text)  # type: ignore[union-attr]
        return secret

    columns: dict[str, object] = {
        "access_token": sealed("access_token", answer.access_token),
        "previous_refresh_token": None,
    }
    if answer.refresh_token and answer.refresh_token != used:
        columns["refresh_token"] = sealed("refresh_token", answer.refresh_token)
        if discovery.facts(token.provider_app).rotation != "strict":
            columns["previous_refresh_token"] = sealed("previous_refresh_token", used)
    elif used:
        columns["refresh_token"] = sealed("refresh_token", used)
    return columns
