from __future__ import annotations

import io
import json
import stat
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from accounts.models import Membership, User
from accounts.roles import Role
from tests.accounts.people import make_user

pytestmark = pytest.mark.django_db


def run(*args: str) -> str:
    out = io.StringIO()
    call_command(*args, stdout=out)
    return out.getvalue()


def test_create_tenant_makes_an_owner_who_reads_mail(monkeypatch: Any) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("a long phrase for Olga\n"))

    answer = json.loads(
        run("create_tenant", "Contoso", "--owner", "Olga@contoso.example", "--password-stdin", "--json")
    )

    assert answer == {"tenant": "contoso", "owner": "olga@contoso.example"}
    membership = Membership.objects.get()
    assert (membership.role, membership.may_read_mail) == (Role.OWNER, True)
    assert membership.user.check_password("a long phrase for Olga")
    assert not membership.user.is_superuser


def test_create_tenant_without_a_password_prints_a_link() -> None:
    text = run("create_tenant", "Contoso", "--owner", "olga@contoso.example")

    assert "/accounts/password/reset/key/" in text
    assert not User.objects.get().has_usable_password()


@pytest.mark.parametrize(
    ("owner", "password"), [("not an address", "a long phrase for Olga"), ("olga@contoso.example", "short")]
)
def test_create_tenant_refuses_a_wrong_address_and_a_weak_password(monkeypatch: Any, owner: str, password: str) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(password + "\n"))

    with pytest.raises(CommandError) as refusal:
        run("create_tenant", "Contoso", "--owner", owner, "--password-stdin")

    assert refusal.value.returncode == 2
    assert not User.objects.exists()


def test_create_tenant_never_changes_the_password_of_somebody_known(monkeypatch: Any) -> None:
    known = make_user("olga@contoso.example")
    monkeypatch.setattr("sys.stdin", io.StringIO("another long phrase\n"))

    with pytest.raises(CommandError, match="has an account already"):
        run("create_tenant", "Contoso", "--owner", known.email, "--password-stdin")

    answer = json.loads(run("create_tenant", "Contoso", "--owner", known.email, "--json"))
    assert answer == {"tenant": "contoso", "owner": known.email}


@pytest.fixture
def data(settings: Any, tmp_path: Path) -> Path:
    settings.MAILHUB_DATA = tmp_path
    return tmp_path


def test_the_demo_is_made_once_and_its_password_lies_in_a_private_file(data: Path) -> None:
    first = json.loads(run("create_demo", "--json"))
    password = (data / "demo-password").read_text().strip()
    second = json.loads(run("create_demo", "--json"))

    assert (
        first
        == second
        == {
            "tenant": "sandbox-ltd",
            "email": "demo@mailhub.local",
            "password_file": str(data / "demo-password"),
        }
    )
    demo = User.objects.get()
    assert demo.is_demo
    assert not demo.is_superuser
    assert demo.check_password(password)
    assert stat.S_IMODE((data / "demo-password").stat().st_mode) == 0o600


def test_a_lost_demo_password_is_made_anew(data: Path) -> None:
    run("create_demo")
    (data / "demo-password").unlink()

    run("create_demo")

    assert User.objects.get().check_password((data / "demo-password").read_text().strip())


def test_a_password_of_the_demos_own_choice_stays(data: Path) -> None:
    run("create_demo")
    demo = User.objects.get()
    demo.set_password("my own long phrase")
    demo.save()

    assert json.loads(run("create_demo", "--json"))["password_file"] is None
    demo.refresh_from_db()
    assert demo.check_password("my own long phrase")


def test_production_has_no_demo(data: Path, settings: Any) -> None:
    settings.MAILHUB_ENV = "production"

    with pytest.raises(CommandError) as refusal:
        run("create_demo")

    assert refusal.value.returncode == 2
    assert not User.objects.exists()
