"""Provider apps: the organisation's own clients at Google, Microsoft or any OpenID provider. Secrets go in, never out."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.http import HttpRequest
from django.shortcuts import get_object_or_404
from ninja import Router, Status

from accounts.roles import Right
from mailboxes.api import cursors
from mailboxes.api.auth import key_of, opens
from mailboxes.api.problems import Problem
from mailboxes.api.provider_app_schemas import AppAnswer, AppPage, ChangedApp, NewApp
from mailboxes.api.reasons import reason
from mailboxes.models import ProviderApp
from mailboxes.services import provider_apps
from mailboxes.services.reasons import provider_name

router = Router(tags=["Provider apps"])
SHOWN = (
    "id",
    "name",
    "preset",
    "flow",
    "issuer",
    "client_id",
    "imap",
    "pop3",
    "smtp",
    "scopes",
    "auth_method",
    "exclusive",
)


def shown(app: ProviderApp) -> dict[str, Any]:
    return {
        **{name: getattr(app, name) for name in SHOWN},
        "secret_expires_at": app.secret_expires_at,
        "redirect_uri": provider_apps.redirect_uri(app),
        "reason": reason(app.reason, provider=provider_name(app), app=app.name),
    }


def app_or_404(request: HttpRequest, pk: UUID, right: Right) -> ProviderApp:
    rows = ProviderApp.objects.select_related("tenant").visible_to(key_of(request), right)
    return get_object_or_404(rows, pk=pk)


@router.post("", operation_id="create_provider_app", response={201: AppAnswer}, **opens(Right.PROVIDERAPPS_CHANGE))
def create_provider_app(request: HttpRequest, body: NewApp) -> Status[dict[str, Any]]:
    """Register a client.

    The preset fills in what is left out. Register `redirect_uri` at the provider before the first connect link.
    A provider that does not answer now does not stop it: `reason` then says so.
    """
    key = key_of(request)
    return Status(201, shown(provider_apps.create(key.tenant, body.given(), actor=key)))


@router.get("", operation_id="list_provider_apps", response=AppPage, **opens(Right.PROVIDERAPPS_VIEW))
def list_provider_apps(request: HttpRequest, page: cursors.Paging) -> dict[str, Any]:
    """List the clients, the oldest first."""
    return cursors.page(request, ProviderApp.objects.visible_to(key_of(request)), page, shown, "id")


@router.get(
    "/{provider_app_id}",
    operation_id="get_provider_app",
    response=AppAnswer,
    **opens(Right.PROVIDERAPPS_VIEW, "not_found"),
)
def get_provider_app(request: HttpRequest, provider_app_id: UUID) -> dict[str, Any]:
    """Look at a client."""
    return shown(app_or_404(request, provider_app_id, Right.PROVIDERAPPS_VIEW))


@router.patch(
    "/{provider_app_id}",
    operation_id="change_provider_app",
    response=AppAnswer,
    **opens(Right.PROVIDERAPPS_CHANGE, "not_found"),
)
def change_provider_app(request: HttpRequest, provider_app_id: UUID, body: ChangedApp) -> dict[str, Any]:
    """Change what the body names.

    Its endpoints are read and pinned anew. Permissions never follow to another issuer, client or mail server: such a
    change ends them, and the mailboxes wait for a new consent.
    """
    app = app_or_404(request, provider_app_id, Right.PROVIDERAPPS_CHANGE)
    return shown(provider_apps.change(app, body.given(), actor=key_of(request)))


@router.delete(
    "/{provider_app_id}",
    operation_id="delete_provider_app",
    response={204: None},
    **opens(Right.PROVIDERAPPS_CHANGE, "not_found", "in_use"),
)
def delete_provider_app(request: HttpRequest, provider_app_id: UUID) -> Status[None]:
    """Delete a client that no mailbox names, not even a disconnected one."""
    app = app_or_404(request, provider_app_id, Right.PROVIDERAPPS_CHANGE)
    try:
        provider_apps.delete(app, actor=key_of(request))
    except provider_apps.InUse:
        raise Problem("in_use", "Mailboxes point to it: their history names it.") from None
    return Status(204, None)
