"""A mailbox that the organisation opens by its own client, without its owner's consent (client credentials)."""

from __future__ import annotations

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils import timezone
from django.views.decorators.debug import sensitive_variables

import audit
from accounts.models import Tenant
from mailboxes.errors import SignInRefused
from mailboxes.models import Mailbox, ProviderApp, Token
from mailboxes.services import discovery, grants, live_test, new_mailbox, provider_apps, states, switch, tokens
from mailboxes.services.grants import Account


@sensitive_variables()
def connect_app(
    tenant: Tenant,
    *,
    provider_app: ProviderApp,
    address: str,
    receive: str = "imap",
    send: bool = True,
    actor: audit.Actor,
) -> Mailbox:
    """The mailbox, in the state that a live sign-in found. Raises ValidationError; MailError when no token is given."""
    address = address.strip()
    if provider_app.tenant != tenant:
        raise ValidationError({"provider_app": "There is no such provider app."})
    new_mailbox.check(
        provider_app,
        address=address,
        sign_in_as="",
        receive=receive,
        send=send,
        flow=ProviderApp.Flow.CLIENT_CREDENTIALS,
    )
    provider_apps.ensure_discovered(provider_app)
    token = _token(provider_app, receive, send)
    bearer = tokens.bearer(token.pk, wait=tokens.LONGEST_WAIT)
    checks = live_test.prove(provider_app, address, bearer, receive=receive, send=send)
    fault = checks[0].error
    with transaction.atomic():
        mailbox = new_mailbox.ensure(provider_app, address, receive=receive, send=send)
        mailbox.refresh_from_db(from_queryset=Mailbox.objects.select_for_update())  # no poll moves it meanwhile
        was = {name: getattr(mailbox, name) for name in switch.COLUMNS}
        live_test.log(mailbox, checks, bearer.generation)
        due = timezone.now() if receive != Mailbox.Receive.NONE else None
        state = states.state_after(fault) if fault else Mailbox.State.ACTIVE
        states.change(
            mailbox,
            Mailbox.State.MISCONFIGURED if isinstance(fault, SignInRefused) else state,
            reason=fault.reason if fault else "",
            detail=fault.detail if fault else "",
            actor=actor,
            provider_app_id=provider_app.pk,
            token_id=token.pk,
            receive=receive,
            send=send,
            sign_in_as="",
            pinned_issuer="",
            pinned_subject="",
            proven_at=None if fault else timezone.now(),
            next_poll_at=due,
            failures=1 if fault else 0,
        )
        states.drop_lease(mailbox)  # a worker that reads by the permission of before stops
        switch.doubt_if_another(mailbox, was)
        audit.record(
            "mailbox.connected",
            actor=actor,
            tenant_id=mailbox.tenant_id,
            target=mailbox,
            outcome="failed" if fault else "ok",
            detail={"state": mailbox.state, "checks": {check.name: check.text for check in checks}},
        )
    return mailbox


@sensitive_variables()
def _token(app: ProviderApp, receive: str, send: bool) -> Token:
    """The one token of this client, with the scopes of all its mailboxes."""
    issuer = str((app.discovery or {}).get("issuer") or app.issuer)
    known = Token.objects.filter(provider_app=app, issuer=issuer, subject="").first()
    provider = discovery.facts(app)
    wanted = list(provider.app_scopes) or provider.mail_scopes(app.scopes, receive=receive, send=send)
    if known and not known.dead_reason and grants.covers(known.scopes, wanted):
        return known
    scopes = list(dict.fromkeys([*(known.scopes if known else []), *wanted]))
    answer = tokens.ask_as_app(app, scopes)
    with transaction.atomic():
        return grants.store(app, Account(issuer, ""), answer, scopes).token
