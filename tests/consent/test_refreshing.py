"""A grant kept alive at a strict provider: early, once, stored before use; and what each failure leaves."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.db import connection
from django.utils import timezone

from mailboxes import errors
from mailboxes.models import Mailbox, ProviderApp, SignIn, Token
from mailboxes.services import grants, refresh_lease, tokens
from mailboxes.services.token_endpoint import Answer, retry_after
from tests.consent.conftest import World

REFRESH = "token:refresh_token"
Grant = Callable[..., Token]


def granted(world: World, **columns: Any) -> Token:
    """A real grant of the world's person, with an active mailbox; its access token has run out."""
    answer = world.provider.grant(world.address)
    stored = grants.store(
        world.app,
        grants.Account(world.provider.issuer, f"sub-{world.address}", world.address),
        Answer(answer["access_token"], answer["refresh_token"], timezone.now() + timedelta(hours=1), None),
        ["mail.imap", "mail.smtp"],
    )
    gone = timezone.now() - timedelta(minutes=1)
    Token.objects.filter(pk=stored.token.pk).update(**{"expires_at": gone, "refresh_at": gone, **columns})
    Mailbox.objects.create(
        tenant=world.tenant, provider_app=world.app, token=stored.token, address=world.address, state="active"
    )
    world.provider.clear()
    return Token.objects.get(pk=stored.token.pk)


def secret(token: Token, name: str) -> str:
    found = getattr(Token.objects.get(pk=token.pk), name)
    return "" if found is None else str(found.reveal())


def test_an_expired_token_is_renewed_and_stored_before_it_is_used(world: World) -> None:
    token = granted(world)
    before = secret(token, "refresh_token")

    bearer = tokens.bearer(token.pk)

    row = Token.objects.get(pk=token.pk)
    assert bearer.access_token == secret(token, "access_token") and world.provider.is_active(bearer.access_token)
    assert (row.generation, bearer.generation) == (token.generation + 1, token.generation + 1)
    assert row.expires_at is not None and row.expires_at > timezone.now() + timedelta(minutes=50)
    assert row.refresh_at is not None and row.refresh_at < row.expires_at - timedelta(minutes=5)
    assert (row.lease_id, row.request_sent_at, row.retry_at, row.failures) == (None, None, None, 0)
    assert secret(token, "refresh_token") not in ("", before) and row.previous_refresh_token is None  # strict
    assert world.deeds()[-1] == "token.refreshed"
    assert list(SignIn.objects.values_list("protocol", "mechanism", "outcome")) == [("token", "refresh_token", "ok")]
    assert bearer.access_token not in repr(bearer)


def test_what_is_stored_is_sealed_to_its_row(world: World) -> None:
    token = granted(world)
    clear = tokens.bearer(token.pk).access_token

    with connection.cursor() as cursor:
        cursor.execute("SELECT access_token, refresh_token FROM mailboxes_token")
        rows = cursor.fetchall()

    assert not any(clear in str(value) for row in rows for value in row)


def test_a_living_token_is_handed_out_without_a_request(world: World) -> None:
    token = granted(world)
    first = tokens.bearer(token.pk)

    assert tokens.bearer(token.pk).access_token == first.access_token
    assert world.provider.seen(REFRESH) == 1


def test_a_token_that_the_mail_server_refused_is_renewed_once(world: World) -> None:
    token = granted(world)
    first = tokens.bearer(token.pk)

    second = tokens.bearer(token.pk, newer_than=first.generation)
    third = tokens.bearer(token.pk, newer_than=first.generation)

    assert second.generation == third.generation == first.generation + 1
    assert world.provider.seen(REFRESH) == 2


def test_tokens_of_a_short_life_are_not_renewed_at_each_call(world: World) -> None:
    world.provider.lives(AccessToken=60)
    token = granted(world)

    for _ in range(3):
        tokens.bearer(token.pk, minimum_life=timedelta(seconds=90))

    assert world.provider.seen(REFRESH) == 1


def test_a_revoked_grant_ends_here_too_and_says_so_everywhere(world: World) -> None:
    token = granted(world)
    second = Mailbox.objects.create(
        tenant=world.tenant,
        provider_app=world.app,
        token=token,
        address="shared@example.test",
        state="active",
        receive="none",
    )
    world.provider.revoke(secret(token, "refresh_token"))

    with pytest.raises(errors.ConsentNeeded) as refused:
        tokens.bearer(token.pk)

    row = Token.objects.get(pk=token.pk)
    assert refused.value.reason == row.dead_reason == "consent_revoked"
    assert (row.access_token, row.refresh_token) == (None, None)
    second.refresh_from_db()
    for mailbox in (world.mailbox(), second):
        assert (mailbox.state, mailbox.reason) == (Mailbox.State.RECONNECT, "consent_revoked")
    asked = world.provider.seen(REFRESH)
    with pytest.raises(errors.ConsentNeeded):
        tokens.bearer(token.pk)
    assert world.provider.seen(REFRESH) == asked


def test_a_lost_answer_is_asked_for_once_more_with_the_same_token(world: World) -> None:
    """The provider never got the request: the same token works."""
    token = granted(world)
    world.provider.fault("drop_request")

    bearer = tokens.bearer(token.pk)

    assert world.provider.is_active(bearer.access_token)
    assert Token.objects.get(pk=token.pk).answers_lost == 0


def test_a_lost_answer_at_a_strict_provider_ends_the_grant(world: World) -> None:
    """The provider renewed, but nobody heard: the old token is spent, and its second use is refused."""
    token = granted(world)
    world.provider.fault("drop_answer")

    with pytest.raises(errors.ConsentNeeded) as refused:
        tokens.bearer(token.pk)

    assert refused.value.reason == "answer_lost"
    assert world.provider.seen(REFRESH) == 2
    assert len(set(world.provider.refresh_tokens_used())) == 1
    assert (world.mailbox().state, world.mailbox().reason) == (Mailbox.State.RECONNECT, "answer_lost")


def test_a_token_whose_answer_was_lost_twice_is_never_sent_a_third_time(world: World) -> None:
    token = granted(world)
    world.provider.fault("drop_request", count=5)

    with pytest.raises(errors.ConsentNeeded) as refused:
        tokens.bearer(token.pk)

    assert refused.value.reason == "answer_lost"
    assert world.provider.seen("token:dropped") == 2


@pytest.mark.parametrize("sent", [False, True])
def test_the_lease_of_a_dead_process_is_taken_over(world: World, sent: bool) -> None:
    past = timezone.now() - timedelta(seconds=1)
    token = granted(world, lease_id=uuid4(), lease_until=past, request_sent_at=past if sent else None)

    bearer = tokens.bearer(token.pk)

    assert world.provider.is_active(bearer.access_token)
    assert world.provider.seen(REFRESH) == 1


def test_a_process_that_died_after_the_answer_leaves_a_lost_answer(world: World) -> None:
    token = granted(world)
    lease = refresh_lease.take(token)
    assert lease
    lease.mark_sent()
    at = tokens.endpoint(world.app, "token_endpoint")
    tokens.token_endpoint.refresh(at, secret(token, "refresh_token"))  # killed before it could store this
    Token.objects.filter(pk=token.pk).update(lease_until=timezone.now() - timedelta(seconds=1))

    with pytest.raises(errors.ConsentNeeded) as refused:
        tokens.bearer(token.pk)

    assert refused.value.reason == "answer_lost"
    assert world.provider.seen(REFRESH) == 2


def test_while_another_process_renews_there_is_no_second_request(world: World) -> None:
    token = granted(world, lease_id=uuid4(), lease_until=timezone.now() + timedelta(minutes=1))

    began = timezone.now()
    with pytest.raises(errors.TokenBusy) as busy:
        tokens.bearer(token.pk, wait=timedelta(seconds=0.2))

    assert timezone.now() - began >= timedelta(seconds=0.2)
    assert busy.value.retry_after is not None
    assert world.provider.seen(REFRESH) == 0


def test_a_process_paused_past_its_lease_stores_nothing(world: World) -> None:
    token = granted(world)
    paused = refresh_lease.take(token)
    assert paused
    Token.objects.filter(pk=token.pk).update(lease_until=timezone.now() - timedelta(seconds=1))
    bearer = tokens.bearer(token.pk)

    with pytest.raises(errors.LeaseLost):
        paused.mark_sent()
    with pytest.raises(errors.LeaseLost):
        paused.write(access_token=None)

    assert tokens.bearer(token.pk).access_token == bearer.access_token


def test_a_server_out_of_order_names_its_pause_and_is_left_in_peace(world: World) -> None:
    token = granted(world)
    world.provider.fault("status", 503)

    with pytest.raises(errors.ServerUnavailable) as down:
        tokens.bearer(token.pk)
    with pytest.raises(errors.ServerUnavailable):
        tokens.bearer(token.pk)

    assert down.value.retry_after == timedelta(seconds=7)
    assert world.provider.seen("token:refused") == 1 and world.provider.seen(REFRESH) == 0
    Token.objects.update(retry_at=timezone.now())
    assert tokens.bearer(token.pk)


def test_a_throttled_app_stays_throttled_until_the_time_named(world: World) -> None:
    token = granted(world)
    world.provider.fault("status", 429)

    for _ in range(2):
        with pytest.raises(errors.Throttled):
            tokens.bearer(token.pk)


def test_a_wrong_client_secret_is_the_apps_fault_not_the_owners(world: World) -> None:
    token = granted(world)
    world.provider.fault("error", "invalid_client")

    for _ in range(2):
        with pytest.raises(errors.AppMisconfigured):
            tokens.bearer(token.pk)

    app = ProviderApp.objects.get(pk=world.app.pk)
    assert app.reason == "app_misconfigured" and "invalid_client" in app.reason_detail
    assert world.provider.seen(REFRESH) == 0 and not Token.objects.get(pk=token.pk).dead_reason
    Token.objects.update(retry_at=None)
    tokens.bearer(token.pk)
    assert ProviderApp.objects.get(pk=world.app.pk).reason == ""


def test_a_provider_that_cannot_be_reached_costs_nothing(world: World) -> None:
    token = granted(world)
    config = dict(world.app.discovery or {}, token_endpoint="https://localhost:9/token")
    ProviderApp.objects.update(discovery=config, pinned_hosts=["localhost:9"])

    for _ in range(2):
        with pytest.raises(errors.Unreachable):
            tokens.bearer(token.pk)
        Token.objects.update(retry_at=None)

    row = Token.objects.get(pk=token.pk)
    assert (row.dead_reason, row.answers_lost, row.request_sent_at) == ("", 0, None)


def test_an_alien_key_is_named_as_such(world: World) -> None:
    token = granted(world)
    with connection.cursor() as cursor:
        cursor.execute("UPDATE mailboxes_token SET refresh_token = access_token")  # sealed to another column

    with pytest.raises(errors.KeyWrong):
        tokens.bearer(token.pk)


def test_the_upkeep_renews_what_is_due_and_only_that(world: World) -> None:
    token = granted(world)
    now = timezone.now()

    assert tokens.due_for_refresh(now, 10) == [token.pk]
    tokens.renew(token.pk)
    tokens.renew(token.pk)

    assert tokens.due_for_refresh(timezone.now(), 10) == []
    assert world.provider.seen(REFRESH) == 1
    Mailbox.objects.update(state="suspended")
    Token.objects.update(refresh_at=now)
    assert tokens.due_for_refresh(timezone.now(), 10) == []


def test_retry_after_is_seconds_or_a_date() -> None:
    now = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)

    assert retry_after("120", now=now) == timedelta(minutes=2)
    assert retry_after("Sat, 21 Nov 2026 12:01:00 GMT", now=now) == timedelta(minutes=1)
    assert retry_after("999999999999", now=now) == timedelta(hours=1)
    assert retry_after("soon", now=now) is None and retry_after(None, now=now) is None
