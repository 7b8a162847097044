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

from accounts.models import Tenant, User
from accounts.roles import Right
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
    ("Need you", "bad", "alert", ("reconnect", "misconfigured"), "nobody else can mend them"),
    ("Retrying", "warn", "retry", ("delayed", "throttled"), "by themselves"),
    ("Wait for consent", "info", "hourglass", ("pending", "awaiting_admin"), "of an owner or administrator"),
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
    sent = mine(OutboxMessage).filter(state=OutboxMessage.State.SENT)
    steps = first_steps(person, mine, states)
    return {
        "tiles": tiles(states),
        "total": sum(states.values()),
        "needs": [{"mailbox": box, "words": words_for(box)} for box in waiting[:SHOWN]],
        "needs_more": max(0, sum(states[s] for s in attention.NEEDS_A_PERSON) - SHOWN),
        "steps": None if all(step.done for step in steps) else steps,
        "next_step": next((step for step in steps if not step.done), None),
        "can_connect": person.tenants_with(Right.MAILBOXES_CONNECT).exists(),
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


def tiles(states: Counter[str]) -> list[Tile]:
    url = reverse("admin:mailboxes_mailbox_changelist")
    return [
        Tile(word, tone, icon, sum(states[s] for s in members), note, f"{url}?state__in={','.join(members)}")
        for word, tone, icon, members, note in TILES
    ]


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
    first = mine(Mailbox).order_by("created_at").first()
    apps = reverse("admin:mailboxes_providerapp_changelist")
    arrived = mine(Message, Right.MAILBOXES_VIEW).exists()
    return [
        Step(
            "Register a provider app",
            "The sandbox is there already: a pretend provider and mail servers on this machine, to try things on.",
            mine(ProviderApp).exists(),
            "Provider apps",
            apps,
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
            mine(OutboxMessage).filter(state=OutboxMessage.State.SENT).exists(),
            "Write a message",
            reverse("admin:mailboxes_outboxmessage_compose"),
        ),
    ]
