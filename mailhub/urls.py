"""The front door: which path leads where."""

from __future__ import annotations

from django.contrib import admin
from django.contrib.auth.decorators import login_not_required
from django.urls import include, path, re_path
from django.views.generic import RedirectView

from mailboxes.api.root import unknown
from mailhub import probes
from mailhub.api import api

urlpatterns = [
    path("", admin.site.admin_view(admin.site.index), name="dashboard"),
    path("admin/", RedirectView.as_view(pattern_name="dashboard")),
    path("admin/", admin.site.urls),
    path("accounts/", include("accounts.urls")),
    path("accounts/", include("allauth.urls")),
    path("connect/", include("mailboxes.consent.urls_public")),
    path("api/v1/", api.urls),
    re_path(r"^api/(?P<rest>.*)$", unknown),
    path("livez", login_not_required(probes.live)),
    path("readyz", login_not_required(probes.ready)),
]

handler400 = "mailhub.error_pages.bad_request"
handler500 = "mailhub.error_pages.server_error"
