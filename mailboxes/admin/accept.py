"""Another account behind a known address: says what accepting it means, asks for the address, and lets it consent."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse

from mailboxes.admin.typed_address import TypedAddress
from mailboxes.services import connect
from mailboxes.services.reasons import provider_name


def accept_view(admin: Any) -> Any:
    def view(request: HttpRequest, pk: Any) -> HttpResponse:
        mailbox = admin.row_or_404(request, pk, admin.connect_right)
        actor: Any = request.user
        page = reverse("admin:mailboxes_mailbox_change", args=[pk])
        form = TypedAddress(request.POST if request.method == "POST" else None, mailbox=mailbox)
        if not connect.another_account_waits(mailbox):
            messages.info(request, "No other account waits for this mailbox.")
            return HttpResponseRedirect(page)
        if request.method == "POST" and form.is_valid():
            if connect.accept_new_account(mailbox, actor=actor):
                messages.success(request, "The new account may consent now: send its owner a link.")
            return HttpResponseRedirect(page)
        provider = provider_name(mailbox.provider_app)
        context = {
            **admin.admin_site.each_context(request),
            "title": f"Accept the new account of {mailbox.address}",
            "lost": [
                f"Whoever signs in at {provider} as {mailbox.account_expected} now may be another person. Ask them, not by "
                "mail to this address.",
                "The account pinned so far is no longer the only one that may consent. The next account that does, and that "
                "opens this mailbox, is pinned in its place.",
            ],
            "kept": [
                "Until then nothing changes: the permission of before stays as it is.",
                "The mail stored here stays with your organisation.",
            ],
            "form": form,
            "deed": "Accept the new account",
            "back": page,
            "trail": [("Mailboxes", reverse("admin:mailboxes_mailbox_changelist")), (mailbox.address, page)],
        }
        return TemplateResponse(request, "admin/confirm.html", context)

    return view
