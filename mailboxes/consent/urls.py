"""Empty on purpose: allauth.urls mounts this module of every registered provider; our pages are in urls_public."""

from __future__ import annotations

from django.urls import URLPattern

urlpatterns: list[URLPattern] = []
