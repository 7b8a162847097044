"""The owner's receipt, to keep; its one button takes the permission back."""

from __future__ import annotations

from django.contrib.auth.decorators import login_not_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.template.loader import render_to_string
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_variables
from django.views.decorators.http import require_http_methods

from mailboxes import words
from mailboxes.consent.answers import owner, private
from mailboxes.consent.permissions import asked
from mailboxes.models import ConsentAttempt, Mailbox
from mailboxes.services import discovery, receipts


@login_not_required
@never_cache
@sensitive_variables()
@require_http_methods(["GET", "HEAD", "POST"])
def page(request: HttpRequest, token: str) -> HttpResponse:
    attempt = receipts.find(token)
    if attempt is None:
        raise Http404
    if request.method == "POST":
        ended = receipts.take_back(attempt, actor=owner(attempt.mailbox.address))
        return private(render(request, "public/taken_back.html", {**_facts(attempt), "ended": ended}))
    if "text" in request.GET:
        text = HttpResponse(
            render_to_string("public/receipt.txt", _facts(attempt)), content_type="text/plain; charset=utf-8"
        )
        text["Content-Disposition"] = f'attachment; filename="{receipts.number(attempt)}.txt"'
        return private(text)
    return private(render(request, "public/receipt.html", {**_facts(attempt), "token": token}))


def _facts(attempt: ConsentAttempt) -> dict[str, object]:
    app, mailbox = attempt.provider_app, attempt.mailbox
    provider = discovery.facts(app)
    waits = mailbox.state not in (Mailbox.State.ACTIVE, Mailbox.State.DISCONNECTED, Mailbox.State.SUSPENDED)
    return {
        "attempt": attempt,
        "mailbox": mailbox,
        "app": app,
        "tenant": app.tenant,
        "provider": provider,
        "permissions": asked(app, app.tenant.name, receive=attempt.receive, send=attempt.send),
        "number": receipts.number(attempt),
        "current": receipts.is_current(attempt),
        "fault": words.explain(mailbox.reason, provider=provider.name, app=str(app), address=mailbox.address)
        if waits and mailbox.reason
        else None,
    }
