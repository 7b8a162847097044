"""Disconnect: says what will happen, asks for the address, and says what happened."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse

from mailboxes.admin.typed_address import TypedAddress
from mailboxes.models import Mailbox
from mailboxes.services.revoke import disconnect


def disconnect_view(admin: Any) -> Any:
    def view(request: HttpRequest, pk: Any) -> HttpResponse:
        mailbox = admin.row_or_404(request, pk, admin.disconnect_right)
        actor: Any = request.user
        page = reverse("admin:mailboxes_mailbox_change", args=[pk])
        form = TypedAddress(request.POST if request.method == "POST" else None, mailbox=mailbox)
        if request.method == "POST" and form.is_valid():
            ended = disconnect(mailbox, actor=actor)
            messages.success(request, f"Disconnected. {ended.why}".strip())
            return HttpResponseRedirect(page)
        shared = mailbox.token is not None and mailbox.token.mailboxes.count() > 1
        lost = ["Mailhub stops reading and sending for this mailbox."]
        if shared:
            kept_token = ["Its permission stays: other mailboxes use it too."]
        else:
            lost.append("The permission is destroyed here. To go on, the owner has to consent again.")
            kept_token = []
        context = {
            **admin.admin_site.each_context(request),
            "title": f"Disconnect {mailbox.address}",
            "lost": lost,
            "kept": [
                *kept_token,
                f"{stored(mailbox)} The mail at the provider stays too.",
            ],
            "form": form,
            "deed": "Disconnect",
            "back": page,
            "trail": [("Mailboxes", reverse("admin:mailboxes_mailbox_changelist")), (mailbox.address, page)],
        }
        return TemplateResponse(request, "admin/confirm.html", context)

    return view


def stored(mailbox: Mailbox) -> str:
    if not mailbox.message_count:
        return "No message of it is stored here."
    return (
        f"The {mailbox.message_count:,} messages stored here stay and can be read."
        if mailbox.message_count > 1
        else ("The one message stored here stays and can be read.")
    )
