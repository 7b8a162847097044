"""The owner's page: who asks, for what, for how long, how to take it back. GET changes nothing; one form goes on."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_variables
from django.views.decorators.http import require_http_methods

from accounts.models import Membership
from mailboxes import words
from mailboxes.consent.answers import owner, private
from mailboxes.consent.permissions import asked
from mailboxes.consent.start import redirect_to_provider
from mailboxes.errors import MailError
from mailboxes.models import ConnectLink
from mailboxes.services import discovery, links, provider_apps, trip

GONE = {
    "used": (
        "This link was used before",
        "It works once. If you did not use it yourself, tell the person who sent it.",
    ),
    "ended": ("This link has ended", "It was withdrawn, or you said that you don't know who sent it."),
    "expired": ("This link has expired", "It worked for a limited time only. Nothing happened."),
    "": ("This is not a link of ours", "It may be incomplete: a mail program sometimes breaks a long address in two."),
}


@login_not_required
@never_cache
@sensitive_variables()
@require_http_methods(["GET", "HEAD", "POST"])
def page(request: HttpRequest, token: str) -> HttpResponse:
    link = links.find(token)
    if link is None or links.standing(link) != "open":
        return gone(request, link)
    if request.method != "POST":  # mail scanners fetch links: nothing happens on GET
        return private(render(request, "public/consent.html", {**_facts(link), "token": token}))
    try:
        return redirect_to_provider(request, trip.begin_by_link(link, actor=owner(link.mailbox.address)))
    except MailError as error:
        facts = _facts(link)
        said = words.explain(error.reason, provider=facts["provider"].name, app=str(link.provider_app))
        return private(render(request, "public/consent.html", {**facts, "token": token, "fault": said}, status=503))


@login_not_required
@never_cache
@sensitive_variables()
@require_http_methods(["GET", "HEAD", "POST"])
def unknown(request: HttpRequest, token: str) -> HttpResponse:
    """ "I don't know them": asked once more, because it ends the link."""
    link = links.find(token)
    if link is None or links.standing(link) != "open":
        return gone(request, link)
    context = {**_facts(link), "token": token, "done": False}
    if request.method == "POST":
        context["done"] = links.end(link, "declined", actor=owner(link.mailbox.address))
    return private(render(request, "public/unknown.html", context))


def gone(request: HttpRequest, link: ConnectLink | None) -> HttpResponse:
    title, text = GONE[links.standing(link) if link else ""]
    context = {
        "title": title,
        "text": text,
        "link": link,
        "asker": _asker(link) if link else "",
        "tenant": link.provider_app.tenant if link else None,
    }
    return private(render(request, "public/link_gone.html", context, status=410 if link else 404))


def _facts(link: ConnectLink) -> dict[str, Any]:
    app = link.provider_app
    tenant = app.tenant
    return {
        "link": link,
        "tenant": tenant,
        "asker": _asker(link),
        "asker_address": link.created_by.email if link.created_by else "",
        "address": link.mailbox.address,
        "account": link.sign_in_as or link.mailbox.address,
        "provider": discovery.facts(app),
        "app": app,
        "permissions": asked(app, tenant.name, receive=link.receive, send=link.send),
        "sign_in_host": provider_apps.sign_in_host(app),
        "readers": Membership.objects.filter(
            tenant=tenant, may_read_mail=True, user__is_active=True, user__is_superuser=False
        ).count(),
        "home": urlsplit(settings.MAILHUB_BASE_URL).hostname,
    }


def _asker(link: ConnectLink) -> str:
    person = link.created_by
    return (person.name or person.email) if person else link.created_by_label
