"""Nothing of Mailhub opens before a second factor is set up and used in this session (allauth does not enforce it).

Whoever has none may only set one up; whoever has one but did not use it in this session may only use it. The second
case matters: a session from before the enrolment must not add a factor of its own. Setting one up counts as using it.
API calls carry a key instead of a session and never pass here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from allauth.account.authentication import get_authentication_records
from allauth.mfa.models import Authenticator
from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.http import urlencode

SET_UP_KEY: Final = "second_factor_set_up"
SKIPPED_KEY: Final = "second_factor_skipped"
FACTORS: Final = frozenset({Authenticator.Type.TOTP.value, Authenticator.Type.WEBAUTHN.value})

TO_SET_UP: Final = frozenset(
    {
        "second_factor_required",
        "second_factor_skip",
        "mfa_activate_totp",
        "mfa_add_webauthn",
        "account_reauthenticate",
        "account_logout",
    }
)
TO_USE: Final = frozenset({"mfa_reauthenticate", "mfa_reauthenticate_webauthn", "account_logout"})


class SecondFactorMiddleware:
    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self.get_response(request)

    def process_view(
        self, request: HttpRequest, view: Callable[..., HttpResponse], args: Any, kwargs: Any
    ) -> HttpResponse | None:
        is_public = not getattr(view, "login_required", True)
        if is_public or not request.user.is_authenticated:
            return None
        name = request.resolver_match.view_name if request.resolver_match else ""
        enrolled = enrolled_factors(request.user)
        if not has_factor(enrolled):
            if name in TO_SET_UP or may_go_without(request):
                return None
            return HttpResponseRedirect(reverse("second_factor_required"))
        if name in TO_USE or used_factors(request) & enrolled.keys():
            return None
        by_code = Authenticator.Type.TOTP in enrolled.values()
        page = reverse("mfa_reauthenticate" if by_code else "mfa_reauthenticate_webauthn")
        back = request.get_full_path() if request.method == "GET" else reverse("dashboard")
        return HttpResponseRedirect(f"{page}?{urlencode({'next': back})}")


def enrolled_factors(user: Any) -> dict[int, str]:
    """What the person has set up: id and type of each, recovery codes among them."""
    return dict(Authenticator.objects.filter(user=user).values_list("pk", "type"))


def has_factor(enrolled: Mapping[int, str]) -> bool:
    """Whether there is a real factor; recovery codes only stand in for one."""
    return not FACTORS.isdisjoint(enrolled.values())


def used_factors(request: HttpRequest) -> set[int]:
    """Ids of what this person used, or set up, in this very session.

    One that was removed since (a lost phone, say) is no longer among the enrolled ones, and its sessions close.
    """
    used = {
        record["id"]
        for record in get_authentication_records(request, request.user)
        if record.get("method") == "mfa" and "id" in record
    }
    person, factor = request.session.get(SET_UP_KEY, ("", 0))
    return used | {factor} if person == str(request.user.pk) else used


def remember_set_up(request: HttpRequest, user: Any, authenticator: Authenticator) -> None:
    """Setting a factor up proves that one has it: counts as used in this session."""
    request.session[SET_UP_KEY] = (str(user.pk), authenticator.pk)


def may_skip(user: Any) -> bool:
    """Only the demo user, and only on a local installation: production has no such button."""
    return settings.MAILHUB_ENV == "local" and user.is_demo


def may_go_without(request: HttpRequest) -> bool:
    return may_skip(request.user) and request.session.get(SKIPPED_KEY) == str(request.user.pk)
