"""Ours under /accounts/, before allauth's: the first match wins, so a page of allauth that we don't want ends here."""

from __future__ import annotations

from django.urls import path
from django.views.generic import RedirectView

from accounts import views

urlpatterns = [
    path("", RedirectView.as_view(pattern_name="mfa_index")),
    path("second-factor/", views.second_factor_required, name="second_factor_required"),
    path("second-factor/not-now/", views.second_factor_skip, name="second_factor_skip"),
    path("password/reset/", views.password_forgotten, name="password_forgotten"),
    path("password/reset/done/", views.closed),
    path("signup/", views.closed),  # people are added by the owners of their organisation
    path("email/", views.closed),  # the address is the name by which owners know a person
    path("confirm-email/", views.closed),
    path("confirm-email/<path:key>/", views.closed),
    path("login/code/", views.closed),  # sign-in codes go by mail
    path("login/code/confirm/", views.closed),
    path("3rdparty/", views.closed),  # nobody signs in by a provider: mailbox consent has its own pages
    path("3rdparty/<path:rest>", views.closed),
    path("social/<path:rest>", views.closed),
]
