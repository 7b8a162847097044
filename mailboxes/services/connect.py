"""From a provider's answer to a working mailbox: it is judged here, proven, and stored or given back.

Steps (a) to (e) of DESIGN, "Who signed in": the account is the expected one, and a live sign-in opens the mailbox.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.db import transaction
from django.utils import timezone
from django.views.decorators.debug import sensitive_variables

import audit
from mailboxes.errors import MailError, SignInRefused
from mailboxes.models import ConnectLink, ConsentAttempt, Mailbox, Token
from mailboxes.services import discovery, grants, live_test, states, switch, tokens
from mailboxes.services.grants import Account, Stored
from mailboxes.services.live_test import Check
from mailboxes.services.refused import Refused
from mailboxes.services.token_endpoint import Answer
from mailboxes.services.tokens import Bearer

NEW_ACCOUNT = "new_account"  # a code of words.REASONS


@dataclass(frozen=True)
class Connected:
    """A consent that went through; the mailbox may still be `delayed` by a passing fault of its servers."""

    attempt: ConsentAttempt
    checks: list[Check]


@sensitive_variables()
def complete(attempt: ConsentAttempt, answer: Answer, claims: Mapping[str, Any], *, actor: audit.Actor) -> Connected:
    """Whatever goes wrong after the exchange, no living token is left behind unrecorded. Raises Refused."""
    account = _account(attempt, claims)
    try:
        _require_expected(attempt, account, claims)
        _require_scopes(attempt, answer)
        stored, before = _store(attempt, account, answer, actor)
    except BaseException:
        grants.give_back(attempt.provider_app, account, answer)
        raise
    return _prove(attempt, stored, answer, before, actor)


@sensitive_variables()
def give_back_unknown(attempt: ConsentAttempt, answer: Answer) -> None:
    """Nobody knows whose this is: given back only where no grant of the person expected could be hit."""
    expected = attempt.sign_in_as or attempt.mailbox.address
    grants.give_back(attempt.provider_app, Account("", "", expected), answer)


def _account(attempt: ConsentAttempt, claims: Mapping[str, Any]) -> Account:
    provider = discovery.facts(attempt.provider_app)
    named = provider.accounts_of(claims)
    return Account(str(claims["iss"]), provider.subject_of(claims), named[0] if named else "")


def _require_expected(attempt: ConsentAttempt, account: Account, claims: Mapping[str, Any]) -> None:
    """Steps (a) and (b). Raises Refused."""
    mailbox, provider = attempt.mailbox, discovery.facts(attempt.provider_app)
    expected = (attempt.sign_in_as or mailbox.address).casefold()
    if not account.subject:
        raise Refused("id_token", "the claims that pin an account are missing")
    is_pinned = mailbox.pinned_subject and mailbox.proven_at is not None  # an account never tried keeps nobody out
    if is_pinned and not _administrator_chose_another(attempt, account.issuer):
        if (mailbox.pinned_issuer, mailbox.pinned_subject) == (account.issuer, account.subject):
            return
        is_known = expected in provider.accounts_of(claims)
        raise Refused(NEW_ACCOUNT if is_known else "wrong_account", account=account.address)
    named = provider.accounts_of(claims, unverified=True)
    if named and expected not in named:
        raise Refused("wrong_account", account=account.address)


def _administrator_chose_another(attempt: ConsentAttempt, issuer: str) -> bool:
    """The new consent was asked of another provider, or of another person, so the account pinned before says nothing."""
    mailbox = attempt.mailbox
    if (attempt.sign_in_as or mailbox.address).casefold() != mailbox.account_expected.casefold():
        return True
    return attempt.provider_app_id != mailbox.provider_app_id and issuer != mailbox.pinned_issuer


def _require_scopes(attempt: ConsentAttempt, answer: Answer) -> None:
    app = attempt.provider_app
    needed = discovery.facts(app).mail_scopes(app.scopes, receive=attempt.receive, send=attempt.send)
    granted = answer.scopes if answer.scopes is not None else attempt.scopes
    if not grants.covers(granted, needed):
        raise Refused("scope_missing", "granted: " + " ".join(granted))
    if not answer.refresh_token:
        raise Refused("no_refresh_token")


@sensitive_variables()
def _store(
    attempt: ConsentAttempt, account: Account, answer: Answer, actor: audit.Actor
) -> tuple[Stored, switch.Before]:
    """Step (c): in one transaction the link is spent, the token stored and the mailbox waits for its proof."""
    with transaction.atomic():
        granted = answer.scopes if answer.scopes is not None else attempt.scopes
        stored = grants.store(attempt.provider_app, account, answer, granted)
        mailbox = Mailbox.objects.select_for_update().get(pk=attempt.mailbox_id)
        attempt.mailbox = mailbox
        # After the mailbox's lock, as everywhere: whoever withdraws a link at this moment waits for it.
        if attempt.link_id and not ConnectLink.objects.filter(pk=attempt.link_id, used_at=None, ended_at=None).update(
            used_at=timezone.now()
        ):
            raise Refused("link_used")
        before = switch.to_pending(mailbox, attempt, stored.token, account, actor)
    return stored, before


@sensitive_variables()
def _prove(
    attempt: ConsentAttempt, stored: Stored, answer: Answer, before: switch.Before, actor: audit.Actor
) -> Connected:
    """Steps (d) and (e): the mail servers say whether this account opens this mailbox."""
    token = stored.token
    checks = _checks(attempt, stored, answer)
    deciding = checks[0]
    is_refused = isinstance(deciding.error, SignInRefused)
    with transaction.atomic():
        # Read anew under its lock: polls, people and other consents went on while the mail server was asked.
        mailbox = attempt.mailbox = Mailbox.objects.select_for_update().get(pk=attempt.mailbox_id)
        live_test.log(mailbox, checks, token.generation)
        is_ended = mailbox.state == Mailbox.State.DISCONNECTED
        is_withdrawn = ConnectLink.objects.filter(attempts=attempt.pk, ended_at__isnull=False).exists()
        if (is_refused or is_withdrawn) and mailbox.token_id == token.pk:
            switch.back(mailbox, before, actor)
        if is_refused and attempt.link_id:
            ConnectLink.objects.filter(pk=attempt.link_id).update(used_at=None)
        if not (is_refused or is_ended or is_withdrawn):
            _connected(attempt, token, checks, actor)
    if is_refused and stored.is_new:
        grants.end_if_unused(token.pk, actor=actor)
    if is_refused:
        raise Refused("wrong_account", deciding.text, account=token.account)
    if is_ended or is_withdrawn:
        grants.end_if_unused(token.pk, actor=actor)
        raise Refused("disconnected" if is_ended else "link_ended")
    if before.token_id and before.token_id != token.pk:
        grants.end_if_unused(before.token_id, actor=actor)
    return Connected(attempt, checks)


def _connected(attempt: ConsentAttempt, token: Token, checks: list[Check], actor: audit.Actor) -> None:
    """Inside the caller's transaction."""
    mailbox = attempt.mailbox
    switch.to_connected(mailbox, attempt, token, checks[0].error, actor)
    ConsentAttempt.objects.filter(pk=attempt.pk).update(outcome="connected")
    audit.record(
        "mailbox.connected",
        actor=actor,
        tenant_id=mailbox.tenant_id,
        target=mailbox,
        detail={
            "attempt": str(attempt.pk),
            "account": token.account,
            "scopes": token.scopes,
            "state": mailbox.state,
            "checks": {check.name: check.text for check in checks},
        },
    )


@sensitive_variables()
def _checks(attempt: ConsentAttempt, stored: Stored, answer: Answer) -> list[Check]:
    token = stored.token
    bearer = Bearer(answer.access_token, token.generation, answer.expires_at)
    try:
        if stored.kept_wider:
            bearer = tokens.bearer(token.pk, wait=tokens.LONGEST_WAIT)
    except MailError as error:
        return [Check(attempt.receive, False, error.detail, 0, error)]
    return live_test.prove(
        attempt.provider_app, attempt.mailbox.address, bearer, receive=attempt.receive, send=attempt.send
    )


def refuse(attempt: ConsentAttempt, refused: Refused, *, actor: audit.Actor, ours: bool) -> None:
    """Written down: on the attempt, in the audit log, and on the mailbox where it waits for this very answer.

    `ours`: the answer came in the browser that began; anybody else must not be able to end somebody's attempt.
    """
    with transaction.atomic():
        if ours:
            ConsentAttempt.objects.filter(pk=attempt.pk, outcome="").update(
                outcome=refused.code, detail=refused.detail, consumed_at=timezone.now()
            )
            switch.say(attempt.mailbox, refused.code, refused.detail, actor)
        audit.record(
            "consent.refused",
            actor=actor,
            tenant_id=attempt.tenant_id,
            target=attempt.mailbox,
            outcome="refused",
            detail={
                "attempt": str(attempt.pk),
                "reason": refused.code,
                "reply": refused.detail,
                "account": refused.account,
            },
        )


def another_account_waits(mailbox: Mailbox) -> bool:
    """Whether the last consent was refused because another account than the pinned one has the address (new_account)."""
    if not mailbox.pinned_subject:
        return False
    last = mailbox.attempts.exclude(outcome="").order_by("-consumed_at").first()
    return mailbox.reason == NEW_ACCOUNT or (last is not None and last.outcome == NEW_ACCOUNT)


def accept_new_account(mailbox: Mailbox, *, actor: audit.Actor) -> bool:
    """Somebody here has looked into it: the next consent may pin another account. False when none waits (any more)."""
    with transaction.atomic():
        mailbox.refresh_from_db(from_queryset=Mailbox.objects.select_for_update())
        if not another_account_waits(mailbox):
            return False
        pinned = mailbox.pinned_subject
        reason = "account_accepted" if mailbox.reason == NEW_ACCOUNT else mailbox.reason
        states.change(
            mailbox,
            mailbox.state,
            reason=reason,
            detail="" if reason != mailbox.reason else mailbox.reason_detail,
            actor=actor,
            pinned_issuer="",
            pinned_subject="",
        )
        audit.record(
            "mailbox.account_released",
            actor=actor,
            tenant_id=mailbox.tenant_id,
            target=mailbox,
            detail={"pinned": pinned},
        )
    return True
