"""The connect wizard: address → permissions → at the provider, or a link for the owner → live test → first mail."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

from django import forms
from django.contrib import messages
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.cache import never_cache

from accounts.roles import Right
from mailboxes import words
from mailboxes.consent import permissions
from mailboxes.consent.start import start_as_admin
from mailboxes.errors import MailError
from mailboxes.models import ConnectLink, Mailbox, Message, ProviderApp, SignIn
from mailboxes.services import egress, links
from mailboxes.services.reasons import provider_name, words_for
from theme.parts import Check, Option, Step, steps

WORDS = ["Address", "Permissions", "At the provider", "Live test", "First mail"]
PROTOCOLS = {"imap": "IMAP", "pop3": "POP3", "smtp": "SMTP", "token": "Permission"}


class AddressForm(forms.Form):
    address = forms.EmailField(
        max_length=254,
        help_text="The address that mail is sent to.",
        widget=forms.EmailInput(attrs={"autocomplete": "off", "list": "examples"}),
    )
    provider_app = forms.ModelChoiceField(ProviderApp.objects.none(), label="Where it lives", empty_label=None)
    who = forms.ChoiceField(
        label="Who signs in at the provider?",
        choices=[
            (
                "link",
                Option("The owner, from a link", "You hand on a link that works once. No Mailhub account is needed."),
            ),
            ("me", Option("Me, here and now", "You know the sign-in of this mailbox, or sit beside the owner.")),
        ],
        widget=forms.RadioSelect,
        initial="link",
    )

    def __init__(self, *args: Any, apps: QuerySet[ProviderApp], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        choice: Any = self.fields["provider_app"]
        choice.queryset = apps
        choice.label_from_instance = lambda app: f"{provider_name(app)}: {app.name}"


class PermissionsForm(AddressForm):
    receive = forms.ChoiceField(
        label="Read its mail?", choices=[("imap", "Yes, by IMAP"), ("none", "No, only send")], widget=forms.RadioSelect
    )
    send = forms.BooleanField(label="Send mail as it", required=False)
    sign_in_as = forms.EmailField(
        label="Signs in as",
        required=False,
        max_length=254,
        help_text="Only for a shared mailbox: the person whose account opens it.",
    )
    purpose = forms.CharField(
        label="What it is for",
        required=False,
        max_length=300,
        help_text="One sentence that the owner reads, such as: so that orders are archived in one place.",
    )
    hours = forms.TypedChoiceField(
        label="The link works for",
        coerce=int,
        choices=[(1, "an hour"), (24, "a day"), (72, "three days"), (168, "a week")],
        initial=24,
        required=False,
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name in ("address", "provider_app", "who"):
            self.fields[name].widget = forms.HiddenInput()


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


def add_refusal(form: forms.Form, refusal: ValidationError) -> None:
    for name, sentences in refusal.message_dict.items():
        for sentence in sentences:
            form.add_error(name if name in form.fields and name not in ("address", "provider_app") else None, sentence)


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


def connected_view(admin: Any) -> Any:
    """Steps 4 and 5, after the way back from the provider: each protocol's answer, then the first messages."""

    def view(request: HttpRequest, pk: Any) -> HttpResponse:
        mailbox: Mailbox = admin.row_or_404(request, pk, admin.connect_right)
        checks, passed = live_checks(mailbox)
        arrived = Message.objects.filter(mailbox=mailbox).count()
        waiting = mailbox.receive != Mailbox.Receive.NONE and mailbox.last_synced_at is None and mailbox.token_id
        current = 4 if passed else 3
        shown = steps(WORDS, current) if waiting or not passed else [Step(word, done=True) for word in WORDS]
        may_read = admin.may(request, Right.MAIL_READ, mailbox)
        first = Message.objects.filter(mailbox=mailbox).select_related("folder")[:5] if may_read else []
        context = {
            "mailbox": mailbox,
            "checks": checks,
            "passed": sum(check.look == words.OUTCOME["ok"] for check in checks),
            "waiting": waiting,
            "arrived": arrived,
            "folders": mailbox.folders.filter(followed=True, gone_at=None).count(),
            "first": first,
            "may_read": may_read,
            "look": words.MAILBOX[mailbox.state],
            "reason": words_for(mailbox),
        }
        answer = page(admin, request, "connected", current, **context)
        assert answer.context_data is not None
        answer.context_data["steps"] = shown
        return answer

    return view


def live_checks(mailbox: Mailbox) -> tuple[list[Check], bool]:
    """The last sign-in of each protocol that this mailbox uses, since its permission was given."""
    wanted = [name for name in (mailbox.receive, "smtp" if mailbox.send else "") if name in ("imap", "pop3", "smtp")]
    since = mailbox.token.created_at if mailbox.token else timezone.now()
    found = []
    if mailbox.token:
        who = mailbox.token.account or mailbox.account_expected
        found.append(
            Check(words.OUTCOME["ok"], "Permission", f"{provider_name(mailbox.provider_app)} gave it for {who}.")
        )
    for name in wanted:
        row = SignIn.objects.filter(mailbox=mailbox, protocol=name, at__gte=since).first()
        server = mailbox.provider_app.server(name) or {}
        where = f"{server.get('host')}:{server.get('port')}"
        if row is None:
            found.append(Check(words.OUTCOME["waiting"], PROTOCOLS[name], f"{where}: not tried yet."))
        elif row.outcome == "ok":
            found.append(
                Check(
                    words.OUTCOME["ok"], PROTOCOLS[name], f"{where}: signed in with {row.mechanism}.", row.milliseconds
                )
            )
        else:
            reason = words_for(mailbox)
            found.append(
                Check(
                    words.OUTCOME["failed"],
                    PROTOCOLS[name],
                    f"{where}: {reason.text if reason else 'the sign-in was refused.'}",
                    row.milliseconds,
                    who=reason.who if reason else "",
                    fix=reason.fix if reason else "",
                    details_title="The server's reply",
                    details=row.reply,
                )
            )
    return found, all(check.look == words.OUTCOME["ok"] for check in found) and bool(found)
