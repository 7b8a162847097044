from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest
from allauth.mfa.models import Authenticator
from allauth.mfa.totp.internal.auth import SECRET_SESSION_KEY, format_hotp_value, hotp_value
from django.test import Client, override_settings
from django.urls import NoReverseMatch, URLPattern, URLResolver, get_resolver, reverse

from accounts import encryption, second_factor
from accounts.models import User
from accounts.services.rotate_second_factors import rotate_second_factors
from audit.models import AuditEvent
from tests.accounts.people import PASSWORD, TOTP_SECRET, browser, enrol, make_member, make_tenant, make_user, signed_in

pytestmark = pytest.mark.django_db

EXAMPLES = {"pk": "01890000-0000-7000-8000-000000000001", "uidb36": "0", "int": "1"}


@pytest.fixture(autouse=True)
def _rate_limits(settings: Any) -> None:
    settings.CACHES = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache", "LOCATION": "mfa"}}


def every_url() -> Iterator[tuple[str, str]]:
    """View name and a path of each pattern that stands for a page."""

    def walk(patterns: Any, route: str, namespace: str) -> Iterator[tuple[str, str]]:
        for pattern in patterns:
            here = route + str(pattern.pattern)
            if isinstance(pattern, URLResolver):
                inner = f"{namespace}{pattern.namespace}:" if pattern.namespace else namespace
                yield from walk(pattern.url_patterns, here, inner)
            elif isinstance(pattern, URLPattern) and getattr(pattern.callback, "login_required", True):
                arguments = dict.fromkeys(pattern.pattern.regex.groupindex, "1")
                for name, converter in getattr(pattern.pattern, "converters", {}).items():
                    arguments[name] = {"UUIDConverter": EXAMPLES["pk"]}.get(type(converter).__name__, "1")
                try:
                    yield f"{namespace}{pattern.name}", reverse(f"{namespace}{pattern.name}", kwargs=arguments)
                except NoReverseMatch:
                    if not pattern.pattern.regex.groupindex and "(" not in here:
                        yield here, "/" + here.replace("^", "").replace("$", "").replace("\\Z", "")

    yield from walk(get_resolver().url_patterns, "", "")


def with_password_only(user: User) -> Client:
    client = browser()
    client.force_login(user)
    return client


def test_without_a_second_factor_every_page_leads_to_setting_one_up() -> None:
    client = with_password_only(make_member(make_tenant(), user=make_user(is_superuser=True)))
    required = reverse("second_factor_required")
    pages = dict(every_url())

    opened = {
        name
        for name, url in pages.items()
        if (answer := client.get(url)).status_code != 404
        and not (answer.status_code == 302 and answer["Location"] == required)
        and name != "account_logout"
    }

    assert {"dashboard", "admin:accounts_membership_changelist", "mfa_index", "account_change_password"} <= set(pages)
    assert opened <= {"second_factor_required", "second_factor_skip"} | second_factor.TO_SET_UP, opened


def test_a_factor_that_this_session_did_not_use_opens_nothing_but_its_own_page() -> None:
    user = make_member(make_tenant(), user=make_user(is_superuser=True))
    client = with_password_only(user)
    enrol(user)
    reauthenticate = reverse("mfa_reauthenticate")

    opened = {
        name
        for name, url in every_url()
        if (answer := client.get(url)).status_code != 404
        and not (answer.status_code == 302 and answer["Location"].startswith(f"{reauthenticate}?next="))
        and name != "account_logout"
    }

    assert opened <= second_factor.TO_USE, opened
    added = client.post(reverse("mfa_activate_totp"), {"code": "000000"})
    assert added["Location"].startswith(reauthenticate)


def code_now(secret: str) -> str:
    return format_hotp_value(hotp_value(secret, int(time.time()) // 30))


def test_signing_in_asks_for_the_enrolled_factor_and_then_opens() -> None:
    user = make_member(make_tenant())
    enrol(user)
    client = browser()

    answer = client.post(reverse("account_login"), {"login": user.email, "password": PASSWORD})
    assert answer["Location"] == reverse("mfa_authenticate")
    assert client.get(reverse("dashboard")).status_code == 302
    client.post(reverse("mfa_authenticate"), {"code": code_now(TOTP_SECRET)})

    assert client.get(reverse("mfa_index")).status_code == 200
    event = AuditEvent.objects.get(action="signin.succeeded")
    assert (event.tenant_id, event.actor_label) == (None, user.email)
    assert event.detail == {"methods": ["password", "totp"], "ip": "127.0.0.1"}


def test_a_wrong_code_is_audited_and_opens_nothing() -> None:
    user = make_member(make_tenant())
    enrol(user)
    client = browser()

    client.post(reverse("account_login"), {"login": user.email, "password": PASSWORD})
    client.post(reverse("mfa_authenticate"), {"code": "000000"})

    assert client.get(reverse("mfa_index"))["Location"].startswith(reverse("account_login"))
    event = AuditEvent.objects.get()
    assert (event.action, event.outcome, event.detail["method"]) == ("signin.failed", "failed", "totp")


def test_setting_one_up_right_after_signing_in_asks_no_password_again_and_counts_as_used(monkeypatch: Any) -> None:
    user = make_member(make_tenant())
    client = browser()
    client.post(reverse("account_login"), {"login": user.email, "password": PASSWORD})

    assert client.get(reverse("mfa_activate_totp")).status_code == 200
    secret = client.session[SECRET_SESSION_KEY]
    # The test's own transaction never commits: what allauth does after the commit happens at once instead.
    monkeypatch.setattr("django.db.transaction.on_commit", lambda function: function())
    client.post(reverse("mfa_activate_totp"), {"code": code_now(secret)})

    assert client.get(reverse("mfa_index")).status_code == 200
    assert AuditEvent.objects.filter(action="secondfactor.added", actor_id=str(user.pk)).exists()
    row = Authenticator.objects.get(user=user, type="totp")
    assert secret not in str(row.data)
    assert encryption.decrypt(row.data["secret"]) == secret
    codes = Authenticator.objects.get(user=user, type="recovery_codes")
    assert len(encryption.decrypt(codes.data["seed"])) == 80


def test_removing_a_factor_closes_the_sessions_that_used_it() -> None:
    user = make_member(make_tenant())
    client = signed_in(user)
    assert client.get(reverse("mfa_index")).status_code == 200

    Authenticator.objects.filter(user=user).delete()
    enrol(user)

    assert client.get(reverse("mfa_index")).status_code == 302


def test_recovery_codes_alone_are_no_second_factor() -> None:
    user = make_member(make_tenant())
    Authenticator.objects.create(
        user=user, type="recovery_codes", data={"seed": encryption.encrypt("ab"), "used_mask": 0}
    )

    assert with_password_only(user).get(reverse("dashboard"))["Location"] == reverse("second_factor_required")


def test_the_demo_user_may_go_on_without_in_this_session_alone() -> None:
    demo = make_member(make_tenant(), user=make_user(is_demo=True))
    client = with_password_only(demo)
    assert b"Not now" in client.get(reverse("second_factor_required")).content
    assert client.get(reverse("second_factor_skip")).status_code == 405

    client.post(reverse("second_factor_skip"))

    assert client.get(reverse("mfa_index")).status_code == 200
    assert with_password_only(demo).get(reverse("mfa_index")).status_code == 302
    assert AuditEvent.objects.get().action == "secondfactor.skipped"


@pytest.mark.parametrize(("environment", "is_demo"), [("production", True), ("local", False)])
def test_nobody_else_may_skip_and_production_never(environment: str, is_demo: bool) -> None:
    client = with_password_only(make_member(make_tenant(), user=make_user(is_demo=is_demo)))

    with override_settings(MAILHUB_ENV=environment):
        assert b"Not now" not in client.get(reverse("second_factor_required")).content
        assert client.post(reverse("second_factor_skip")).status_code == 404
        assert client.get(reverse("mfa_index")).status_code == 302
    assert not AuditEvent.objects.exists()


def test_a_demo_session_that_skipped_is_asked_again_in_production() -> None:
    client = with_password_only(make_member(make_tenant(), user=make_user(is_demo=True)))
    client.post(reverse("second_factor_skip"))

    with override_settings(MAILHUB_ENV="production"):
        assert client.get(reverse("mfa_index")).status_code == 302


def test_a_secret_under_a_lost_key_is_refused_in_words_that_hold_nothing_of_it() -> None:
    token = encryption.encrypt(TOTP_SECRET)

    with (
        override_settings(MAILHUB_ENCRYPTION_KEYS=["A" * 43 + "="]),
        pytest.raises(encryption.SecondFactorUnreadable) as lost,
    ):
        encryption.decrypt(token)
    with pytest.raises(encryption.SecondFactorUnreadable):
        encryption.decrypt(TOTP_SECRET)

    assert token not in str(lost.value)
    assert lost.value.__cause__ is None


def test_rotation_moves_every_secret_to_the_first_key(settings: Any) -> None:
    user = make_user()
    factor = enrol(user)
    old = settings.MAILHUB_ENCRYPTION_KEYS
    new = ["B" * 43 + "="]
    settings.MAILHUB_ENCRYPTION_KEYS = new + old

    assert rotate_second_factors() == 1

    settings.MAILHUB_ENCRYPTION_KEYS = new
    factor.refresh_from_db()
    assert encryption.decrypt(factor.data["secret"]) == TOTP_SECRET
