"""What a consent left: stored once per account, shared by the mailboxes it opens, ended with the last of them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db import transaction
from django.utils import timezone
from django.views.decorators.debug import sensitive_variables

import audit
from mailboxes.models import Mailbox, ProviderApp, Token
from mailboxes.services import discovery, refresh_lease, refresh_outcome, tokens
from mailboxes.services.token_endpoint import Answer


@dataclass(frozen=True)
class Account:
    """Who signed in, as the provider pins it."""

    issuer: str
    subject: str  # '' = the organisation's own client
    address: str = ""


@dataclass(frozen=True)
class Stored:
    token: Token
    is_new: bool
    kept_wider: bool  # an older, wider grant of the same account stays in place of this answer


@dataclass(frozen=True)
class Ended:
    """What became of a permission that is no longer needed."""

    revoked: bool
    why: str


@sensitive_variables()
def store(app: ProviderApp, account: Account, answer: Answer, scopes: Iterable[str]) -> Stored:
    """Inside the caller's transaction. A narrower answer never replaces a wider, living one."""
    scopes, now = list(scopes), timezone.now()
    known = (
        Token.objects.select_for_update()
        .filter(provider_app=app, issuer=account.issuer, subject=account.subject)
        .first()
    )
    if known and not known.dead_reason and not covers(scopes, _mail_scopes(app, known.scopes)):
        return Stored(known, False, kept_wider=True)
    token = known or Token(tenant=app.tenant, provider_app=app, issuer=account.issuer, subject=account.subject)
    token.account = account.address[:254] or token.account
    secrets = {"access_token": answer.access_token, "refresh_token": answer.refresh_token or None}
    for name, secret in {**secrets, "previous_refresh_token": None}.items():
        setattr(token, name, secret)  # wrapped and hidden at once by its descriptor, sealed when saved
    token.scopes = scopes
    token.expires_at, token.refreshed_at = answer.expires_at, now
    token.refresh_at = refresh_outcome.refresh_at(now, answer.expires_at)
    token.generation = token.generation + 1 if known else 1
    token.lease_id = token.lease_until = token.request_sent_at = token.retry_at = None  # fences out a running refresh
    token.retry_reason = token.dead_reason = ""
    token.failures = token.answers_lost = 0
    token.save()
    return Stored(token, known is None, kept_wider=False)


def covers(granted: Iterable[str], needed: Iterable[str]) -> bool:
    """Whether every needed scope was granted; the letters' case differs between what is asked and answered."""
    have = {scope.casefold() for scope in granted}
    return all(scope.casefold() in have for scope in needed)


def _mail_scopes(app: ProviderApp, scopes: Iterable[str]) -> list[str]:
    known = {scope for listed in app.scopes.values() for scope in listed or ()}
    return [scope for scope in scopes if scope in known]


def is_harmless(app: ProviderApp, account: Account | None, *, besides: UUID | None = None) -> bool:
    """Whether revoking at the provider ends nothing but this grant.

    A provider may end all that a person gave to this client (RFC 7009, 2.1), Google even to the whole project: so never
    while another grant of the person is stored, and there only where the client is Mailhub's alone.
    """
    provider = discovery.facts(app)
    if provider.revocation == "none" or not (app.discovery or {}).get("revocation_endpoint"):
        return False
    if app.flow == ProviderApp.Flow.CLIENT_CREDENTIALS:
        return False
    others = Token.objects.filter(dead_reason="")
    if besides:
        others = others.exclude(pk=besides)
    if provider.revocation == "project":
        if not app.exclusive:
            return False
        others = others.filter(provider_app__issuer=app.issuer)
    else:
        others = others.filter(provider_app__issuer=app.issuer, provider_app__client_id=app.client_id)
    if account is not None and account.subject:
        others = others.filter(subject=account.subject)
    elif account is not None and account.address:
        others = others.filter(account__iexact=account.address)
    return not others.exists()


@sensitive_variables()
def give_back(app: ProviderApp, account: Account | None, answer: Answer) -> bool:
    """A permission that was just obtained and is not kept: ended at the provider where that harms no other."""
    return is_harmless(app, account) and tokens.revoke_answer(app, answer)


def end_if_unused(token_id: UUID, *, actor: audit.Actor) -> Ended:
    """Destroys the token when no mailbox uses it (any more), and ends it at the provider where that harms no other.

    Outside of a transaction: it speaks with the provider. A process that dies on the way leaves a row that nobody may
    use; `sweep` ends it.
    """
    token = Token.objects.select_related("provider_app__tenant").filter(pk=token_id).first()
    if token is None:
        return Ended(False, "No permission was stored.")
    name = discovery.facts(token.provider_app).name
    shared = Mailbox.objects.filter(token=token.pk).count()
    if shared:
        others = "another mailbox uses" if shared == 1 else f"{shared} other mailboxes use"
        return Ended(False, f"The permission stays: {others} it too.")
    lease = refresh_lease.take_for_the_end(token)
    if lease is None:
        return Ended(False, "The permission is being renewed right now; it is destroyed within minutes.")
    harmless = is_harmless(token.provider_app, Account(token.issuer, token.subject, token.account), besides=token.pk)
    revoked = harmless and tokens.revoke_stored(token)
    with transaction.atomic():
        if not lease.rows().filter(mailboxes=None).exists():
            return Ended(False, "The permission was given anew meanwhile and stays.")
        audit_target = Token.objects.get(pk=token.pk)
        lease.rows().delete()
        audit.record(
            "token.destroyed",
            actor=actor,
            tenant_id=token.tenant_id,
            target=audit_target,
            detail={"revoked": revoked, "subject": token.subject, "account": token.account},
        )
    return Ended(revoked, _why(token, name, harmless=harmless, revoked=revoked))


def _why(token: Token, name: str, *, harmless: bool, revoked: bool) -> str:
    provider = discovery.facts(token.provider_app)
    if revoked:
        return f"The permission was destroyed here and ended at {name}."
    if not token.subject:
        return (
            "The token was destroyed here. Access of the organisation's own client is never revoked: others may use it."
        )
    if harmless:
        return (
            f"The permission was destroyed here; {name} did not confirm its end. It can be removed there by its owner."
        )
    if provider.revocation == "none":
        return f"The permission was destroyed here. {name} lets only the owner remove it there: {provider.take_back}"
    if provider.revocation == "project" and not token.provider_app.exclusive:
        return (
            f"The permission was destroyed here. It was not ended at {name}, because that would end what its owner gave "
            f"to other products of the same project: {provider.take_back}"
        )
    return f"The permission was destroyed here. It was not ended at {name}, because that could end another one of its owner."


def sweep(now: datetime, limit: int = 50) -> int:
    """Ends tokens that no mailbox uses: left by a process that died between two steps. For the upkeep."""
    waited = now - refresh_lease.UNUSED_FOR
    left = Token.objects.filter(mailboxes=None, created_at__lt=waited).values_list("pk", flat=True)[:limit]
    return len([end_if_unused(pk, actor=audit.SYSTEM) for pk in list(left)])
