from __future__ import annotations

from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from accounts.services.password_link import password_link
from audit.models import AuditEvent
from tests.accounts.people import PASSWORD, browser, make_member, make_tenant, make_user

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _rate_limits(settings: Any, request: Any) -> None:
    location = request.node.name  # a store of its own for each test
    settings.CACHES = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache", "LOCATION": location}}


def sign_in(client: Client, email: str, password: str = PASSWORD) -> Any:
    return client.post(reverse("account_login"), {"login": email, "password": password})


def test_signing_in_takes_the_address_without_regard_to_case() -> None:
    user = make_member(make_tenant(), user=make_user("anna@example.org"))

    answer = sign_in(browser(), "ANNA@example.org")

    assert answer.status_code == 302
    event = AuditEvent.objects.get()
    assert (event.action, event.tenant_id, event.actor_id) == ("signin.succeeded", None, str(user.pk))


def test_a_wrong_password_is_audited_and_not_written_down() -> None:
    user = make_user()

    assert sign_in(browser(), user.email, "open sesame please").status_code == 200

    event = AuditEvent.objects.get()
    assert (event.action, event.outcome, event.actor_label) == ("signin.failed", "failed", user.email)
    assert "sesame" not in str(event.detail)


def test_an_unknown_address_is_audited_without_what_was_typed() -> None:
    sign_in(browser(), "my-secret-password@typed.into.the.wrong.box")

    event = AuditEvent.objects.get()
    assert (event.action, event.actor_label, event.object_id) == ("signin.failed", "Unknown person", "")
    assert "secret" not in str(event.detail)


def test_known_and_unknown_addresses_get_the_same_answer() -> None:
    user = make_user("anna@example.org")

    known = sign_in(browser(), user.email, "wrong password")
    unknown = sign_in(browser(), "else@example.org", "wrong password")

    errors = [answer.context["form"].errors.as_json() for answer in (known, unknown)]
    assert errors[0] == errors[1]


def test_guessing_is_slowed_down() -> None:
    user = make_user()

    for _ in range(12):
        sign_in(browser(), user.email, "wrong password")

    assert AuditEvent.objects.filter(action="signin.failed").count() < 12
    assert sign_in(browser(), user.email).status_code != 302


def test_somebody_inactive_does_not_get_in() -> None:
    user = make_user(is_active=False)
    client = browser()

    sign_in(client, user.email)

    assert "_auth_user_id" not in client.session


@pytest.mark.parametrize(
    "name", ["account_signup", "account_email", "socialaccount_connections", "socialaccount_signup"]
)
def test_pages_of_allauth_that_have_no_place_here_are_closed(name: str) -> None:
    assert browser().get(reverse(name)).status_code == 404
    assert browser().post(reverse(name)).status_code == 404


def test_the_forgotten_password_page_says_who_helps() -> None:
    answer = browser().get(reverse("account_reset_password"))

    assert answer.status_code == 200
    assert b"owner of your organisation" in answer.content


def test_a_set_password_link_works_once() -> None:
    user = make_user()
    link = password_link(user)
    path = link[link.index("/accounts/") :]
    client = browser()

    form = client.get(path)["Location"]
    chosen = "a much longer phrase than before"
    client.post(form, {"password1": chosen, "password2": chosen})

    user.refresh_from_db()
    assert user.check_password(chosen)
    assert browser().get(path).status_code == 200  # says that the link is used up, instead of going on
    assert AuditEvent.objects.get(action="password.changed").detail == {"how": "link"}


def test_a_set_password_link_ends_after_its_time(settings: Any) -> None:
    user = make_user()
    path = password_link(user)
    settings.PASSWORD_RESET_TIMEOUT = -1

    assert browser().get(path[path.index("/accounts/") :]).status_code == 200


def test_a_new_password_ends_the_other_sessions() -> None:
    user = make_member(make_tenant())
    client = browser()
    client.force_login(user)

    user.set_password("a much longer phrase than before")
    user.save()

    assert client.get(reverse("second_factor_required")).status_code == 302
