"""Providers whose old refresh tokens go on working: the previous one is kept until the new one has worked."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
import trustme
from django.utils import timezone

from mailboxes import errors
from mailboxes.models import ProviderApp, Token
from mailboxes.providers import OIDC
from mailboxes.services import discovery, grants, tokens
from mailboxes.services.token_endpoint import Answer
from tests.consent.conftest import World
from tests.consent.token_server import TokenServer

REFUSED = (400, {"error": "invalid_grant"})


def answer(number: int, *, rotates: bool = True) -> tuple[int, dict[str, Any]]:
    found: dict[str, Any] = {"access_token": f"access-{number}", "token_type": "Bearer", "expires_in": 1}
    return 200, found | ({"refresh_token": f"refresh-{number}"} if rotates else {})


@pytest.fixture
def endpoint(authority: trustme.CA) -> Iterator[TokenServer]:
    with TokenServer(authority) as server:
        yield server


@pytest.fixture
def token(world: World, endpoint: TokenServer, monkeypatch: pytest.MonkeyPatch) -> Token:
    reusable = dataclasses.replace(OIDC, rotation="reusable")
    monkeypatch.setattr(discovery, "facts", {world.app: reusable}.get)
    config = {"issuer": world.app.issuer, "token_endpoint": f"https://{endpoint.host}/token"}
    ProviderApp.objects.update(discovery=config, pinned_hosts=[endpoint.host])
    given = Answer("access-0", "refresh-0", timezone.now() - timedelta(seconds=1), None)
    app = ProviderApp.objects.get(pk=world.app.pk)
    return grants.store(app, grants.Account(app.issuer, "anna"), given, ["mail.imap"]).token


def renewed(token: Token) -> str:
    Token.objects.update(expires_at=timezone.now() - timedelta(seconds=1), retry_at=None)
    return tokens.bearer(token.pk).access_token


def kept(token: Token) -> tuple[str, str | None]:
    row = Token.objects.get(pk=token.pk)
    present, previous = row.refresh_token, row.previous_refresh_token
    return present.reveal(), previous.reveal() if previous else None


def test_the_previous_one_is_kept_until_the_new_one_has_worked(token: Token, endpoint: TokenServer) -> None:
    endpoint.answers = [answer(1), answer(2), answer(3, rotates=False)]

    assert renewed(token) == "access-1" and kept(token) == ("refresh-1", "refresh-0")
    assert renewed(token) == "access-2" and kept(token) == ("refresh-2", "refresh-1")
    assert renewed(token) == "access-3" and kept(token) == ("refresh-2", None)
    assert [form["refresh_token"] for form in endpoint.asked] == ["refresh-0", "refresh-1", "refresh-2"]


def test_when_the_new_one_is_refused_the_previous_one_still_works(token: Token, endpoint: TokenServer) -> None:
    endpoint.answers = [answer(1), REFUSED, answer(2, rotates=False)]
    renewed(token)

    assert renewed(token) == "access-2"
    assert kept(token) == ("refresh-0", None)


def test_when_both_are_refused_the_owner_is_asked(token: Token, endpoint: TokenServer) -> None:
    endpoint.answers = [answer(1), REFUSED, REFUSED]
    renewed(token)

    with pytest.raises(errors.ConsentNeeded):
        renewed(token)
    assert Token.objects.get(pk=token.pk).dead_reason == "consent_revoked"


@pytest.mark.parametrize(
    ("status", "content", "expected"),
    [
        (400, {"error": "interaction_required"}, errors.ConsentNeeded),
        (400, {"error": "unauthorized_client"}, errors.AppMisconfigured),
        (401, {}, errors.AppMisconfigured),
        (400, {"error": "temporarily_unavailable"}, errors.ServerUnavailable),
        (200, {"token_type": "Bearer"}, errors.AnswerLost),
        (400, {"error": "something_new"}, errors.ServerUnavailable),
        (302, {}, errors.ProtocolFault),
    ],
)
def test_each_answer_has_its_meaning(
    token: Token, endpoint: TokenServer, status: int, content: dict[str, Any], expected: type[errors.MailError]
) -> None:
    endpoint.answers = [(status, content)]

    with pytest.raises(expected) as raised:
        renewed(token)
    assert type(raised.value) is expected


def test_what_a_provider_echoes_of_our_secrets_is_not_kept(token: Token, endpoint: TokenServer) -> None:
    said = "refresh-0 of client 100 % + a secret is wrong"
    endpoint.answers = [(400, {"error": "invalid_request", "error_description": said})]

    with pytest.raises(errors.AppMisconfigured) as raised:
        renewed(token)

    reason = ProviderApp.objects.get().reason_detail
    for text in (raised.value.detail, str(raised.value), reason):
        assert "refresh-0" not in text and "100 %" not in text and "is wrong" in text


def test_an_odd_life_is_an_hour(token: Token, endpoint: TokenServer) -> None:
    status, content = answer(1)
    endpoint.answers = [(status, content | {"expires_in": "soon"})]

    assert renewed(token) == "access-1"
    row = Token.objects.get(pk=token.pk)
    assert row.expires_at and row.expires_at > timezone.now() + timedelta(minutes=55)
