"""Under /connect/. A link's token comes last: its name may be anything."""

from __future__ import annotations

from django.urls import path

from mailboxes.consent import callback, owner, receipt

urlpatterns = [
    path("callback/<uuid:app_id>/", callback.callback, name="connect_callback"),
    path("receipt/<str:token>/", receipt.page, name="connect_receipt"),
    path("<str:token>/", owner.page, name="connect_owner"),
    path("<str:token>/unknown/", owner.unknown, name="connect_unknown"),
]
