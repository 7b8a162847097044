"""The connect wizard: address → permissions → at the provider, or a link for the owner → live test → first mail."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.views.decorators.cache import never_cache

from accounts.roles import Right
from mailboxes import words
from mailboxes.admin.connect_form import AddressForm, PermissionsForm, add_refusal
from mailboxes.consent import permissions
from mailboxes.consent.start import start_as_admin
from mailboxes.errors import MailError
from mailboxes.models import ConnectLink, Mailbox, ProviderApp
from mailboxes.services import egress, links
from mailboxes.services.reasons import provider_name
from theme.parts import steps

WORDS = ["Address", "Permissions", "At the provider", "Live test", "First mail"]


def apps_for(admin: Any, request: HttpRequest) -> QuerySet[ProviderApp]:
    """The apps that this person may connect mailboxes with."""
    if not admin.has_connect_permission(request):
        raise Http404
    found = ProviderApp.objects.visible_to(request.user, Right.MAILBOXES_CONNECT).filter(
        flow=ProviderApp.Flow.AUTHORIZATION_CODE
    )
    tenant = request.tenant  # type: ignore[attr-defined]
    return found.filter(tenant=tenant) if tenant else found


def page(admin: Any, request: HttpRequest, template: str, current: int, **context: Any) -> TemplateResponse:
    common = {
        **admin.admin_site.each_context(request),
        "opts": admin.opts,
        "title": "Connect a mailbox",
        "listing": "Mailboxes",
        "steps": steps(WORDS, current),
    }
    return TemplateResponse(request, f"admin/mailboxes/connect/{template}.html", common | context)


def address_view(admin: Any) -> Any:
    """Step 1. Nothing is stored yet: the answers travel on in the address of the next page."""

    def view(request: HttpRequest) -> HttpResponse:
        apps = apps_for(admin, request)
        given = request.GET if "address" in request.GET and "provider_app" in request.GET else None
        initial = {"address": request.GET.get("address", ""), "provider_app": apps.order_by("created_at").last()}
        form = AddressForm(given, apps=apps, initial=initial)
        if given and form.is_valid() and "back" not in request.GET:
            chosen = form.cleaned_data
            answers = {"address": chosen["address"], "provider_app": chosen["provider_app"].pk, "who": chosen["who"]}
            return HttpResponseRedirect(reverse("admin:mailboxes_mailbox_permissions") + "?" + urlencode(answers))
        may_add = admin.may(request, Right.PROVIDERAPPS_CHANGE)
        return page(
            admin, request, "address", 0, form=form, none=not apps.exists(), may_add=may_add, examples=examples(apps)
        )

    return view


def examples(apps: QuerySet[ProviderApp]) -> list[tuple[str, str, bool]]:
    """The sandbox's mailboxes while it runs: address, the way to its permissions, whether it is connected already."""
    app = apps.filter(preset=ProviderApp.Preset.SANDBOX).first()
    addresses = (egress.sandbox_endpoints() or {}).get("users", []) if app else []
    if app is None:
        return []
    known = set(Mailbox.objects.filter(tenant=app.tenant_id, token__isnull=False).values_list("address", flat=True))
    next_page = reverse("admin:mailboxes_mailbox_permissions")
    return [
        (each, f"{next_page}?{urlencode({'address': each, 'provider_app': app.pk, 'who': 'me'})}", each in known)
        for each in addresses
    ]


def permissions_view(admin: Any) -> Any:
    """Step 2: what will be asked, and why; then to the provider, or a link."""

    def view(request: HttpRequest) -> HttpResponse:
        apps = apps_for(admin, request)
        first = AddressForm(request.GET or request.POST, apps=apps)
        if not first.is_valid():
            return HttpResponseRedirect(reverse("admin:mailboxes_mailbox_connect"))
        app, address = first.cleaned_data["provider_app"], first.cleaned_data["address"]
        known = Mailbox.objects.visible_to(request.user).filter(tenant=app.tenant_id, address__iexact=address).first()
        initial = {
            **first.cleaned_data,
            "provider_app": app.pk,
            "receive": known.receive if known else ("imap" if app.imap else "none"),
            "send": known.send if known else bool(app.smtp),
            "sign_in_as": known.sign_in_as if known else "",
        }
        form = PermissionsForm(request.POST if request.method == "POST" else None, apps=apps, initial=initial)
        if request.method == "POST" and form.is_valid():
            try:
                return go_on(request, form.cleaned_data)
            except ValidationError as refusal:
                add_refusal(form, refusal)
            except MailError as error:
                form.add_error(None, words.explain(error.reason, provider=provider_name(app), app=app.name).text)
        receive = "imap" if app.imap else "none"
        asked = permissions.asked(app, app.tenant.name, receive=receive, send=bool(app.smtp))
        context = {"form": form, "asked": asked, "address": address, "app": app, "provider": provider_name(app)}
        back = urlencode({"address": address, "provider_app": app.pk, "who": first.cleaned_data["who"], "back": 1})
        who = first.cleaned_data["who"]
        return page(admin, request, "permissions", 1, **context, known=known, who=who, back=back)

    return view


def go_on(request: HttpRequest, chosen: dict[str, Any]) -> HttpResponse:
    """To the provider in this browser, or to the page with the owner's link. Raises ValidationError."""
    actor: Any = request.user
    app = chosen["provider_app"]
    wanted = {name: chosen[name] for name in ("address", "sign_in_as", "receive", "send")}
    if chosen["who"] == "me":
        return start_as_admin(request, app, **wanted)
    link, _ = links.create_link(
        app.tenant,
        provider_app=app,
        **wanted,
        purpose=chosen["purpose"],
        expires_in=timedelta(hours=chosen["hours"] or 24),
        actor=actor,
    )
    return HttpResponseRedirect(reverse("admin:mailboxes_mailbox_link", args=[link.pk]))


def link_view(admin: Any) -> Any:
    """The link to hand on, while it is open; only for those who could make one themselves."""

    @never_cache
    def view(request: HttpRequest, pk: Any) -> HttpResponse:
        rows = ConnectLink.objects.visible_to(request.user, admin.connect_right).select_related(
            "mailbox", "provider_app"
        )
        link = rows.filter(pk=pk).first()
        if link is None:
            raise Http404
        if request.method == "POST":
            actor: Any = request.user
            if links.end(link, "withdrawn", actor=actor):
                messages.success(request, "The link no longer works.")
            return HttpResponseRedirect(reverse("admin:mailboxes_mailbox_change", args=[link.mailbox_id]))
        answer = page(
            admin, request, "link", 2, link=link, url=links.url_of(link), standing=links.standing(link),
            provider=provider_name(link.provider_app),
        )  # fmt: skip
        answer["Referrer-Policy"] = "no-referrer"
        return answer

    return view


def reconnect_view(admin: Any) -> Any:
    """From a mailbox back into the wizard, with its own answers."""

    def view(request: HttpRequest, pk: Any) -> HttpResponse:
        mailbox = admin.row_or_404(request, pk, admin.connect_right)
        answers = {"address": mailbox.address, "provider_app": mailbox.provider_app_id, "who": "link", "back": 1}
        return HttpResponseRedirect(reverse("admin:mailboxes_mailbox_connect") + "?" + urlencode(answers))

    return view
