"""The provider has rotated, and only our answer knows the new refresh token: a database that stumbles must not lose it."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import InterfaceError, OperationalError

from mailboxes.models import Token
from mailboxes.services import refresh_outcome, tokens
from tests.consent.conftest import World
from tests.consent.test_refreshing import REFRESH, granted, secret


@pytest.mark.parametrize("fault", [OperationalError("database is locked"), InterfaceError("connection already closed")])
def test_a_database_that_stumbles_is_asked_again(
    world: World, monkeypatch: pytest.MonkeyPatch, fault: Exception
) -> None:
    token = granted(world)
    store, asked = refresh_outcome.store, []

    def stumbles(*args: Any) -> None:
        asked.append(args)
        if len(asked) < 3:
            raise fault
        store(*args)

    monkeypatch.setattr(refresh_outcome, "store", stumbles)
    monkeypatch.setattr(tokens, "STORE_PAUSES", (0.0, 0.0, 0.0))

    bearer = tokens.bearer(token.pk)

    assert world.provider.seen(REFRESH) == 1 and world.provider.is_active(bearer.access_token)
    assert secret(token, "access_token") == bearer.access_token
    assert world.provider.is_active(secret(token, "refresh_token"))
    assert Token.objects.get(pk=token.pk).generation == token.generation + 1


def test_a_database_that_stays_away_leaves_the_mark_of_a_lost_answer(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = granted(world)

    def fails(*args: Any) -> None:
        raise OperationalError("the server is gone")

    monkeypatch.setattr(refresh_outcome, "store", fails)
    monkeypatch.setattr(tokens, "STORE_PAUSES", (0.0,))

    with pytest.raises(OperationalError):
        tokens.bearer(token.pk)

    assert Token.objects.get(pk=token.pk).request_sent_at is not None
