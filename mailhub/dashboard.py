"""What the overview shows: counts, what needs a person, an hourly chart, health, and what ends soon."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from django.db.models import Count, Model, QuerySet
from django.db.models.functions import TruncHour
from django.urls import reverse
from django.utils import timezone
from django.utils.timesince import timesince

from accounts.models import Tenant, User
from accounts.roles import Right
from accounts.visibility import may
from mailboxes import words
from mailboxes.models import Mailbox, Message, OutboxMessage, ProviderApp
from mailboxes.services import attention, health
from mailboxes.services.reasons import words_for
from theme.charts import Ending, Series

HOURS = 24
AHEAD = timedelta(days=90)
SHOWN = 8  # needs in the first card; the rest behind a link


class Tile(NamedTuple):
    word: str
    tone: str
    icon: str
    number: int
    note: str
    url: str


class Step(NamedTuple):
    title: str
    text: str
    done: bool
    button: str
    url: str


TILES = [
    ("Active", "ok", "check", ("active",), "mail comes and goes"),
    ("Need you", "bad", "alert", ("reconnect", "misconfigured"), ""),
    ("Retrying", "warn", "retry", ("delayed", "throttled"), "by themselves"),
    ("Wait for consent", "info", "hourglass", ("pending", "awaiting_admin"), "of people elsewhere"),
    ("Stopped", "off", "stop", ("suspended", "disconnected"), "by your people"),
]


def figures(person: User, tenant: Tenant | None, now: datetime | None = None) -> dict[str, Any]:
    """The template's context, for what `person` may see; of `tenant` alone when one is chosen."""
    now = now or timezone.now()

    def mine(model: type[Model], right: Right | None = None) -> QuerySet[Any]:
        rows: QuerySet[Any] = model._default_manager.visible_to(person, right)  # type: ignore[attr-defined]
        return rows.filter(tenant=tenant) if tenant else rows

    boxes = mine(Mailbox)
    states = Counter(dict(boxes.order_by().values_list("state").annotate(Count("pk"))))
    waiting = attention.waiting(person, tenant).select_related("provider_app", "tenant")
    received = mine(Message, Right.MAILBOXES_VIEW)
    sent = mine(OutboxMessage, Right.MAILBOXES_VIEW).filter(state=OutboxMessage.State.SENT)
    can_connect = person.tenants_with(Right.MAILBOXES_CONNECT).exists()
    steps = first_steps(person, mine, states) if can_connect else []
    return {
        "tiles": tiles(states, waiting.first(), now),
        "total": sum(states.values()),
        "needs": [need(box, person) for box in waiting[:SHOWN]],
        "needs_more": max(0, sum(states[s] for s in attention.NEEDS_A_PERSON) - SHOWN),
        "steps": None if all(step.done for step in steps) else steps,
        "next_step": next((step for step in steps if not step.done), None),
        "can_connect": can_connect,
        "may_view": person.tenants_with(Right.MAILBOXES_VIEW).exists(),
        "may_audit": person.tenants_with(Right.AUDIT_VIEW).exists(),
        "steps_done": sum(step.done for step in steps),
        "series": [
            Series("Received", "s1", per_hour(received, "stored_at", now)),
            Series("Sent", "s2", per_hour(sent, "sent_at", now)),
        ],
        "ticks": [f"{timezone.localtime(hour):%H:00}" for hour in hours(now)],
        "health": [(part, words.HEALTH[part.look]) for part in health.parts()]
        if person.tenants_with(Right.HEALTH_VIEW).exists()
        else [],
        "ends": endings(mine(ProviderApp), now),
        "today": timezone.localdate(now),
    }


def tiles(states: Counter[str], oldest: Mailbox | None, now: datetime) -> list[Tile]:
    """`oldest`: the mailbox that waits longest for a person, if any does."""
    url = reverse("admin:mailboxes_mailbox_changelist")
    notes = {"Need you": f"oldest waits {timesince(oldest.state_since, now, depth=1)}" if oldest else "nothing waits"}
    return [
        Tile(
            word,
            tone,
            icon,
            sum(states[s] for s in members),
            notes.get(word, note),
            f"{url}?state__in={','.join(members)}",
        )
        for word, tone, icon, members, note in TILES
    ]


def need(mailbox: Mailbox, person: User) -> dict[str, Any]:
    """A mailbox that waits for a person, with the button that fixes it for those who may press it."""
    reason, look = words_for(mailbox), words.MAILBOX[mailbox.state]
    page = reverse("admin:mailboxes_mailbox_change", args=[mailbox.pk])
    button, url = "Look into it", page
    if reason and reason.action in ("reconnect", "accept") and may(person, Right.MAILBOXES_CONNECT, mailbox.tenant):
        button, url = reason.fix, reverse(f"admin:mailboxes_mailbox_{reason.action}", args=[mailbox.pk])
    elif reason and reason.action == "provider_app":
        button, url = reason.fix, reverse("admin:mailboxes_providerapp_change", args=[mailbox.provider_app_id])
    return {"mailbox": mailbox, "words": reason, "look": look, "page": page, "button": button, "url": url}


def hours(now: datetime) -> list[datetime]:
    """The starts of the last 24 hours, oldest first; the current one is the last."""
    this = now.replace(minute=0, second=0, microsecond=0)
    return [this - timedelta(hours=back) for back in range(HOURS - 1, -1, -1)]


def per_hour(rows: QuerySet[Any], column: str, now: datetime) -> Sequence[int]:
    """How many rows fall into each of the last 24 hours."""
    slots = hours(now)
    counted = (
        rows.filter(**{f"{column}__gte": slots[0]})
        .order_by()
        .annotate(hour=TruncHour(column))
        .values_list("hour")
        .annotate(Count("pk"))
    )
    found = dict(counted)
    return [found.get(slot, 0) for slot in slots]


def endings(apps: QuerySet[ProviderApp], now: datetime) -> list[Ending]:
    """Client secrets that end within 90 days."""
    today = timezone.localdate(now)
    return [
        Ending(
            day=app.secret_expires_at,
            label=f"Client secret of {app.name}",
            kind="secret",
            url=reverse("admin:mailboxes_providerapp_change", args=[app.pk]),
        )
        for app in apps.filter(secret_expires_at__range=(today, today + AHEAD))
        if app.secret_expires_at
    ]


def first_steps(person: User, mine: Any, states: Counter[str]) -> list[Step]:
    """The four steps to the first mail; each ticks itself."""
    connected = sum(states.values()) - states["pending"] - states["disconnected"] > 0
    first = mine(Mailbox).filter(token__isnull=False).order_by("-created_at").first()
    apps = reverse("admin:mailboxes_providerapp_changelist")
    has_app, may_register = mine(ProviderApp).exists(), person.tenants_with(Right.PROVIDERAPPS_CHANGE).exists()
    sandbox = mine(ProviderApp).filter(preset=ProviderApp.Preset.SANDBOX).exists()
    arrived = mine(Message, Right.MAILBOXES_VIEW).exists()
    return [
        Step(
            "Register a provider app",
            "The sandbox is there already: a pretend provider and mail servers on this machine, to try things on."
            if sandbox
            else "Your organisation's own client at Google, Microsoft or another provider; the form says where to click.",
            has_app,
            "Provider apps" if has_app or not may_register else "Register a provider app",
            apps if has_app or not may_register else reverse("admin:mailboxes_providerapp_add"),
        ),
        Step(
            "Connect a mailbox",
            "You sign in at the provider, or send its owner a link. About two minutes.",
            connected,
            "Connect a mailbox",
            reverse("admin:mailboxes_mailbox_connect"),
        ),
        Step(
            "See mail arrive",
            "The first folders are read within a minute of connecting.",
            arrived,
            "Open the mailbox",
            reverse("admin:mailboxes_mailbox_change", args=[first.pk]) if first else apps,
        ),
        Step(
            "Send a message",
            "And watch each step of it in the outbox.",
            mine(OutboxMessage, Right.MAILBOXES_VIEW).filter(state=OutboxMessage.State.SENT).exists(),
            "Write a message",
            reverse("admin:mailboxes_outboxmessage_compose"),
        ),
    ]
