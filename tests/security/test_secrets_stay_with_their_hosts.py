"""Whoever may change a provider app, but does not know its client secret, cannot have it sent somewhere else."""

from __future__ import annotations

import pytest
from django.core.exceptions import ValidationError
from django.test import Client

from mailboxes.models import Mailbox, ProviderApp, Token
from mailboxes.services import provider_apps
from tests.consent.conftest import World
from tests.consent.test_refreshing import granted


def elsewhere(world: World) -> str:
    """The provider's token endpoint under another name, which its discovery announces from now on."""
    host = f"127.0.0.1:{world.provider.port}"
    world.provider.fault("discovery", {"token_endpoint": f"https://{host}/token"}, count=3)
    return host


def test_another_issuer_asks_for_the_client_secret_again(world: World) -> None:
    for _ in range(2):  # also when nothing was ever pinned
        with pytest.raises(ValidationError) as refused:
            provider_apps.change(ProviderApp.objects.get(), {"issuer": "https://login.evil.example"}, actor=world.admin)
        assert list(refused.value.message_dict) == ["client_secret"]
        assert ProviderApp.objects.get().issuer == world.provider.issuer
        ProviderApp.objects.update(discovery=None, pinned_hosts=[])


def test_another_issuer_is_pinned_with_its_own_client_secret_and_ends_the_permissions(world: World) -> None:
    token = granted(world)
    ProviderApp.objects.update(issuer="https://old.example.test", pinned_hosts=["old.example.test:443"])
    data = {"issuer": world.provider.issuer, "client_secret": world.provider.client_secret}

    app = provider_apps.change(ProviderApp.objects.get(), data, actor=world.admin)

    assert (app.reason, app.pinned_hosts) == ("", [f"localhost:{world.provider.port}"])
    assert Token.objects.get(pk=token.pk).dead_reason == "host_changed"


def test_an_issuer_that_does_not_answer_leaves_nothing_of_the_old_ones_endpoints(world: World) -> None:
    data = {"issuer": "https://localhost:9", "client_secret": "another"}

    app = provider_apps.change(ProviderApp.objects.get(), data, actor=world.admin)

    assert (app.discovery, app.pinned_hosts, app.reason) == (None, [], "unreachable")


def test_changed_endpoints_are_pinned_only_when_the_client_secret_is_entered_again(world: World) -> None:
    token = granted(world)
    old, new = world.app.pinned_hosts, elsewhere(world)
    assert not provider_apps.refresh_discovery(ProviderApp.objects.get())

    app = provider_apps.change(ProviderApp.objects.get(), {"name": "Another name"}, actor=world.admin)
    assert (app.reason, app.pinned_hosts) == ("discovery_changed", old)
    assert not Token.objects.get(pk=token.pk).dead_reason

    secret = {"client_secret": world.provider.client_secret}
    app = provider_apps.change(ProviderApp.objects.get(), secret, actor=world.admin)
    assert (app.reason, app.pinned_hosts) == ("", sorted([*old, new]))
    assert Token.objects.get(pk=token.pk).dead_reason == "host_changed"  # a permission never follows
    assert world.mailbox().state == Mailbox.State.RECONNECT


def test_the_form_says_so_beside_the_client_secret(world: World, admins_browser: Client) -> None:
    path = f"/admin/mailboxes/providerapp/{world.app.pk}/change/"
    form = admins_browser.get(path).context["form"]
    data = {name: value for name, value in form.initial.items() if value is not None and name in form.fields}

    page = admins_browser.post(path, data | {"issuer": "https://login.evil.example", "client_secret": ""})

    assert page.status_code == 200 and "client_secret" in page.context["form"].errors
    assert ProviderApp.objects.get().issuer == world.provider.issuer
