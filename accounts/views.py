from __future__ import annotations

from typing import Any

from django.contrib.auth.decorators import login_not_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_POST

from accounts import second_factor
from accounts.services import sign_ins


@never_cache
@require_GET
def second_factor_required(request: HttpRequest) -> HttpResponse:
    """Why a second factor, the ways to set one up, and locally for the demo user "Not now"."""
    if second_factor.has_factor(second_factor.enrolled_factors(request.user)):
        return redirect("dashboard")
    return render(request, "accounts/second_factor_required.html", {"may_skip": second_factor.may_skip(request.user)})


@never_cache
@require_POST
def second_factor_skip(request: HttpRequest) -> HttpResponse:
    """The demo user goes on without, in this session only."""
    if not second_factor.may_skip(request.user) or second_factor.has_factor(
        second_factor.enrolled_factors(request.user)
    ):
        raise Http404
    user: Any = request.user
    sign_ins.second_factor_skipped(user)
    request.session[second_factor.SKIPPED_KEY] = str(request.user.pk)
    return redirect("dashboard")


@login_not_required
@require_GET
def password_forgotten(request: HttpRequest) -> HttpResponse:
    """Mailhub has no mail server of its own to send a link with: says who can make one."""
    return render(request, "accounts/password_forgotten.html")


@login_not_required
def closed(request: HttpRequest, **kwargs: Any) -> HttpResponse:
    """A page of allauth that has no place here."""
    raise Http404
