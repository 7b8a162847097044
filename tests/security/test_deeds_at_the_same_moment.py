"""A deed of a person and a write of a worker at the same moment: on PostgreSQL they really overlap."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

import audit
from accounts.models import Tenant
from mailboxes.models import Mailbox, ProviderApp, Token
from mailboxes.services import refresh_lease, revoke, states, suspend

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.both_databases]


@pytest.fixture
def mailbox() -> Mailbox:
    tenant = Tenant.objects.create(name="Contoso Ltd")
    app = ProviderApp.objects.create(
        tenant=tenant, name="Contoso Mail", preset="oidc", issuer="https://login.example.test", client_id="mailhub"
    )
    token = Token.objects.create(
        tenant=tenant, provider_app=app, issuer=app.issuer, subject="anna", access_token="a", refresh_token="r"
    )
    return Mailbox.objects.create(
        tenant=tenant, provider_app=app, token=token, address="anna@example.test", state=Mailbox.State.ACTIVE
    )


@pytest.mark.parametrize(
    ("deed", "state"),
    [
        (revoke.disconnect, Mailbox.State.DISCONNECTED),
        (suspend.suspend, Mailbox.State.SUSPENDED),
    ],
)
def test_a_poll_that_changes_the_state_meanwhile_does_not_undo_the_deed(
    mailbox: Mailbox, deed: Callable[..., Any], state: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def poll_fails() -> None:
        Mailbox.objects.filter(pk=mailbox.pk, state=Mailbox.State.ACTIVE).update(state=Mailbox.State.DELAYED)
        connection.close()

    worker = threading.Thread(target=poll_fails)
    change = states.change

    def late(*args: Any, **kwargs: Any) -> bool:
        worker.start()
        worker.join(1)  # it waits for our transaction, or it is through by now
        return change(*args, **kwargs)

    monkeypatch.setattr(states, "change", late)

    deed(Mailbox.objects.get(pk=mailbox.pk), actor=audit.SYSTEM)
    worker.join(20)

    after = Mailbox.objects.get(pk=mailbox.pk)
    assert after.state == state
    assert (after.token_id is None) == (state == Mailbox.State.DISCONNECTED)
    assert Token.objects.exists() == (state == Mailbox.State.SUSPENDED)


@pytest.mark.parametrize("reason", ["consent_revoked", "host_changed"])
def test_a_grant_that_ended_since_it_was_read_is_not_asked_for_again(mailbox: Mailbox, reason: str) -> None:
    read = Token.objects.get()
    Token.objects.update(dead_reason=reason, access_token=None, refresh_token=None, refresh_at=None)

    assert refresh_lease.take(read) is None


def test_a_grant_that_is_free_is_leased(mailbox: Mailbox) -> None:
    lease = refresh_lease.take(Token.objects.get())

    assert lease is not None
    assert (Token.objects.get().lease_until or timezone.now()) > timezone.now() + timedelta(seconds=25)
