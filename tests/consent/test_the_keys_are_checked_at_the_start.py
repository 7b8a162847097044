from __future__ import annotations

import io

import pytest
from cryptography.fernet import Fernet, MultiFernet
from django.core.management import call_command
from django.core.management.base import SystemCheckError
from encrypted_model_fields import fields as emf

from mailboxes.models import Token
from tests.consent.conftest import World
from tests.consent.test_refreshing import granted


def check() -> str:
    out = io.StringIO()
    call_command("check", databases=["default"], fail_level="ERROR", stdout=out, stderr=out)
    return out.getvalue()


def test_the_right_key_starts(world: World) -> None:
    granted(world)

    assert "no issues" in check()


def test_a_wrong_key_stops_the_start_and_is_named(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    token = granted(world)
    sealed = Token.objects.get(pk=token.pk).access_token
    monkeypatch.setattr(emf, "CRYPTER", MultiFernet([Fernet(Fernet.generate_key())]))

    with pytest.raises(SystemCheckError) as stopped:
        check()

    said = str(stopped.value)
    assert "MAILHUB_ENCRYPTION_KEYS does not open what is stored in mailboxes_token.access_token" in said
    assert "mailboxes_providerapp.client_secret" in said and "mailboxes_mailbox.data_key" in said
    assert sealed._sealed not in said


def test_one_key_of_several_is_enough(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    granted(world)
    keys = [Fernet(Fernet.generate_key()), *emf.CRYPTER._fernets]
    monkeypatch.setattr(emf, "CRYPTER", MultiFernet(keys))

    assert "no issues" in check()
