"""What a person gets to read at the end of the way: the receipt, or in words why not, and the way back."""

from __future__ import annotations

from dataclasses import dataclass

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone

import audit
from mailboxes import words
from mailboxes.models import ConnectLink, ConsentAttempt
from mailboxes.services import connect, discovery, links, receipts
from mailboxes.services.connect import Connected
from mailboxes.services.refused import Refused


@dataclass(frozen=True)
class WayBack:
    label: str
    url: str


def private(response: HttpResponse) -> HttpResponse:
    """Addresses here are keys (link, receipt) or hold a code: no other site may learn them."""
    response["Referrer-Policy"] = "no-referrer"
    return response


def actor_of(request: HttpRequest, attempt: ConsentAttempt) -> audit.Actor:
    """The administrator who began, else the mailbox's owner."""
    if attempt.started_by_id is not None and request.user.pk == attempt.started_by_id:
        actor: audit.Actor = request.user
        return actor
    return owner(attempt.mailbox.address)


def owner(address: str) -> audit.Actor:
    return audit.NamedActor("owner", "", address)


def arrived(request: HttpRequest, connected: Connected) -> HttpResponse:
    """The owner's receipt, or the wizard's live test. A redirect, so that the code leaves the address."""
    attempt = connected.attempt
    if attempt.started_by_id is None:
        return private(HttpResponseRedirect(reverse("connect_receipt", args=[receipts.signed(attempt)])))
    return private(HttpResponseRedirect(reverse("admin:mailboxes_mailbox_connected", args=[attempt.mailbox_id])))


def mailbox_page(attempt: ConsentAttempt) -> str:
    return reverse("admin:mailboxes_mailbox_change", args=[attempt.mailbox_id])


def not_ours(request: HttpRequest) -> HttpResponse:
    """The state is unknown, of another browser, or of another provider app: nothing is burned, the code goes nowhere."""
    attempt: ConsentAttempt | None = getattr(request, "mailbox_trip", None)
    refused = Refused("state_used" if attempt is not None and attempt.consumed_at else "state")
    if attempt is None:
        return refused_page(request, None, refused)
    connect.refuse(attempt, refused, actor=audit.NamedActor("owner", "", "Unknown browser"), ours=False)
    return refused_page(request, None, refused)


def provider_said_no(request: HttpRequest, refused: Refused) -> HttpResponse:
    """This browser's own trip came to nothing; its attempt is over."""
    attempt: ConsentAttempt = request.mailbox_trip  # type: ignore[attr-defined]
    connect.refuse(attempt, refused, actor=actor_of(request, attempt), ours=True)
    return refused_page(request, attempt, refused)


def refused_page(request: HttpRequest, attempt: ConsentAttempt | None, refused: Refused) -> HttpResponse:
    """`attempt` only where this browser may know what it was about."""
    app = attempt.provider_app if attempt else None
    expected = (attempt.sign_in_as or attempt.mailbox.address) if attempt else ""
    context = {
        "words": words.explain(
            refused.code,
            provider=discovery.facts(app).name if app else "The provider",
            app=str(app or ""),
            address=attempt.mailbox.address if attempt else "",
            expected=expected,
        ),
        "refused": refused,
        "yours": attempt is not None and attempt.link is not None and words.is_the_owners(refused.code),
        "expected": expected,
        "tenant": app.tenant if app else None,
        "provider": discovery.facts(app).name if app else "",
        "back": way_back(attempt),
        "link": attempt.link if attempt else None,
        "now": timezone.now(),
    }
    return private(render(request, "public/refused.html", context, status=400))


def way_back(attempt: ConsentAttempt | None) -> WayBack | None:
    """To the owner's link while it works, or to the page where the administrator began."""
    if attempt is None:
        return None
    if attempt.link is not None:
        link = ConnectLink.objects.get(pk=attempt.link.pk)
        if links.standing(link) != "open":
            return None
        return WayBack(
            f"Try again as {attempt.sign_in_as or attempt.mailbox.address}",
            reverse("connect_owner", args=[links.signed(link)]),
        )
    return WayBack("Back to the mailbox", mailbox_page(attempt))
