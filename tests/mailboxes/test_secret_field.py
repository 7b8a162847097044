"""A secret shows itself to nobody, opens only in its own row, and is never written in clear."""

from __future__ import annotations

import json
import pickle
from typing import Any

import pytest
from cryptography.fernet import Fernet, MultiFernet
from django.core import serializers
from django.core.exceptions import FieldError
from django.db import connection, transaction
from encrypted_model_fields import fields as emf

from accounts.models import Tenant
from mailboxes.models import ProviderApp
from mailboxes.models.secret_field import Secret, SecretUnreadable

CLEAR = "correct-horse-battery"


@pytest.fixture
def app(db: Any) -> ProviderApp:
    tenant = Tenant.objects.create(name="Contoso", slug="contoso")
    return ProviderApp.objects.create(
        tenant=tenant, name="Mail", preset="oidc", issuer="https://id.example", client_id="x", client_secret=CLEAR
    )


def stored(app: ProviderApp) -> str:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT client_secret FROM mailboxes_providerapp WHERE id = %s",
            [app.pk.hex if connection.vendor == "sqlite" else app.pk],
        )
        return str(cursor.fetchone()[0])


def test_what_was_saved_opens_again_in_its_row(app: ProviderApp) -> None:
    assert ProviderApp.objects.get().client_secret.reveal() == CLEAR
    assert CLEAR not in stored(app)


def test_a_ciphertext_copied_to_another_row_does_not_open(app: ProviderApp) -> None:
    other = ProviderApp.objects.create(
        tenant=app.tenant, name="Other", preset="oidc", issuer="https://id.example", client_id="y", client_secret="z"
    )
    with connection.cursor() as cursor:
        cursor.execute("UPDATE mailboxes_providerapp SET client_secret = %s WHERE name = 'Other'", [stored(app)])

    other.refresh_from_db()

    with pytest.raises(SecretUnreadable, match="another row"):
        other.client_secret.reveal()


def test_neither_a_wrong_key_nor_clear_text_in_the_column_opens(app: ProviderApp, monkeypatch: Any) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(emf, "CRYPTER", MultiFernet([Fernet(Fernet.generate_key())]))
        with pytest.raises(SecretUnreadable):
            ProviderApp.objects.get().client_secret.reveal()
    for raw in ("in clear", "", stored(app)[:-9]):
        with connection.cursor() as cursor:
            cursor.execute("UPDATE mailboxes_providerapp SET client_secret = %s", [raw])
        with pytest.raises(SecretUnreadable):
            ProviderApp.objects.get().client_secret.reveal()


def test_a_secret_is_masked_wherever_it_could_be_printed(app: ProviderApp) -> None:
    secret = app.client_secret

    shown = [repr(secret), str(secret), f"{secret}", f"{secret!r:>20}", repr(vars(app)), repr([secret])]

    assert not any(CLEAR in text for text in shown)
    with pytest.raises(TypeError):
        pickle.dumps(secret)
    with pytest.raises(TypeError):
        json.dumps({"secret": secret})
    with pytest.raises(TypeError):
        serializers.serialize("json", [app])


def test_a_clear_secret_reaches_the_database_only_sealed_to_a_row(app: ProviderApp) -> None:
    with pytest.raises(FieldError), transaction.atomic():
        ProviderApp.objects.filter(pk=app.pk).update(client_secret="clear")
    app.client_secret = "new"
    with pytest.raises(FieldError), transaction.atomic():
        ProviderApp.objects.bulk_update([app], ["client_secret"])

    field = ProviderApp._meta.get_field("client_secret")
    ProviderApp.objects.filter(pk=app.pk).update(client_secret=field.seal(app.pk, "sealed by hand"))

    assert ProviderApp.objects.get().client_secret.reveal() == "sealed by hand"


def test_values_lists_give_nothing_that_opens(app: ProviderApp) -> None:
    (secret,) = ProviderApp.objects.values_list("client_secret", flat=True)

    assert isinstance(secret, Secret)
    with pytest.raises(SecretUnreadable):
        secret.reveal()


def test_secrets_cannot_be_searched(app: ProviderApp) -> None:
    with pytest.raises(FieldError):
        ProviderApp.objects.filter(client_secret=CLEAR).count()
    with pytest.raises(FieldError):
        ProviderApp.objects.filter(client_secret__startswith="c").count()
    assert ProviderApp.objects.filter(client_secret__isnull=False).count() == 1


def test_an_untouched_secret_keeps_its_ciphertext_and_a_deferred_one_loads(app: ProviderApp) -> None:
    before = stored(app)
    row = ProviderApp.objects.defer("client_secret").get()
    row.name = "Renamed"
    row.save()

    assert stored(app) == before
    assert ProviderApp.objects.defer("client_secret").get().client_secret.reveal() == CLEAR


def test_bulk_created_rows_are_sealed_each_to_itself(app: ProviderApp) -> None:
    rows = [
        ProviderApp(
            tenant=app.tenant, name=f"{n}", preset="oidc", issuer="https://i", client_id="c", client_secret=f"s{n}"
        )
        for n in range(3)
    ]
    ProviderApp.objects.bulk_create(rows)

    assert {r.name: r.client_secret.reveal() for r in ProviderApp.objects.exclude(pk=app.pk)} == {
        "0": "s0",
        "1": "s1",
        "2": "s2",
    }
