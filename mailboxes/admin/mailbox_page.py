"""What the page of one mailbox shows: banner, tabs, state over time, permission, store, runs, sign-ins, messages."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone

from accounts.roles import Right
from audit.models import AuditEvent
from mailboxes import words
from mailboxes.models import Mailbox, OutboxMessage, SignIn, SyncRun, Token
from mailboxes.services.connect import another_account_waits
from mailboxes.services.links import standing
from mailboxes.services.reasons import provider_name, words_for
from mailboxes.services.sync_now import why_not
from theme.looks import Look
from theme.parts import Banner, Entry, Fact, Tab

HISTORY = timedelta(days=30)
TABS = [("overview", "Overview"), ("folders", "Folders"), ("outbox", "Outbox"), ("signins", "Sign-in log")]
SIGN_IN_LOOKS = words.OUTCOME


def figures(mailbox: Mailbox, request: HttpRequest, admin: Any) -> dict[str, Any]:
    """The template's context; `tab` says which part is worked out."""
    tab = request.GET.get("tab", "overview")
    tab = tab if tab in dict(TABS) else "overview"
    may_read = admin.may(request, Right.MAIL_READ, mailbox)
    context: dict[str, Any] = {
        "mailbox": mailbox,
        "provider": provider_name(mailbox.provider_app),
        "banner": banner(mailbox, admin.may(request, Right.MAILBOXES_CONNECT, mailbox)),
        "tab": tab,
        "tabs": tabs(mailbox, tab, may_read),
        "may_connect": admin.may(request, Right.MAILBOXES_CONNECT, mailbox),
        "another_waits": another_account_waits(mailbox),
        "may_disconnect": admin.may(request, Right.MAILBOXES_DISCONNECT, mailbox),
        "may_read": may_read,
        "may_send": mailbox.send and admin.may(request, Right.OUTBOX_SEND, mailbox),
        "may_sync": not why_not(mailbox, timezone.now()),
        "stopped": mailbox.state in (Mailbox.State.SUSPENDED, Mailbox.State.DISCONNECTED),
    }
    parts = {"overview": overview, "folders": folders, "outbox": outbox, "signins": sign_ins}
    if context["may_connect"]:
        context["links"] = [link for link in mailbox.links.order_by("-created_at")[:5] if standing(link) == "open"]
    return context | parts[tab](mailbox)


def banner(mailbox: Mailbox, may_connect: bool) -> Banner:
    """State, reason, who can fix it, and the button that does."""
    look = words.MAILBOX[mailbox.state]
    reason = words_for(mailbox)
    if reason is None:
        return Banner(look, f"{look.word}. {look.means}", timing(mailbox))
    actions = {"reconnect": "reconnect", "resume": "resume", "accept": "accept"}
    url = ""
    if may_connect and reason.action in actions:
        url = reverse(f"admin:mailboxes_mailbox_{actions[reason.action]}", args=[mailbox.pk])
    elif reason.action == "provider_app":
        url = reverse("admin:mailboxes_providerapp_change", args=[mailbox.provider_app_id])
    return Banner(
        look,
        f"{look.word}: {reason.text}",
        f"{reason.who}. {timing(mailbox)}",
        reason.fix if url else "",
        url,
        post=reason.action == "resume",
        details_title=f"Details from {provider_name(mailbox.provider_app)}",
        details=mailbox.reason_detail,
    )


def timing(mailbox: Mailbox) -> str:
    def words_of(moment: datetime) -> str:
        return f"{timezone.localtime(moment):%-d %b, %H:%M:%S} UTC"

    parts = [f"Last sync {words_of(mailbox.last_synced_at)}" if mailbox.last_synced_at else "Not synced yet"]
    if mailbox.next_poll_at:
        parts.append(
            "syncs at once" if mailbox.next_poll_at <= timezone.now() else f"next {words_of(mailbox.next_poll_at)}"
        )
    return ", ".join(parts) + "."


def tabs(mailbox: Mailbox, current: str, may_read: bool) -> list[Tab]:
    rows = [Tab(word, f"?tab={key}", key == current) for key, word in TABS]
    if may_read:
        url = reverse("admin:mailboxes_message_changelist") + f"?mailbox__id__exact={mailbox.pk}"
        rows.insert(1, Tab("Messages", url, count=mailbox.message_count))
    return rows


def overview(mailbox: Mailbox) -> dict[str, Any]:
    now = timezone.now()
    return {
        "now": now,
        "history": history(mailbox, now),
        "runs": [run_entry(run) for run in SyncRun.objects.filter(mailbox=mailbox)[:12]],
        "permission": permission(mailbox),
        "store": store(mailbox),
    }


def history(mailbox: Mailbox, now: datetime) -> list[tuple[datetime, Look]]:
    """The states of the last 30 days, oldest first, as the audit log has them."""
    since = max(now - HISTORY, mailbox.created_at)
    events = AuditEvent.objects.filter(
        chain=mailbox.tenant_id, action="mailbox.state_changed", object_id=str(mailbox.pk), at__gte=since
    ).order_by("seq")
    changes: list[tuple[datetime, Look]] = []
    for event in events:
        if not changes and event.detail.get("from") in words.MAILBOX:
            changes.append((since, words.MAILBOX[event.detail["from"]]))
        if event.detail.get("to") in words.MAILBOX:
            changes.append((event.at, words.MAILBOX[event.detail["to"]]))
    return changes or [(since, words.MAILBOX[mailbox.state])]


def run_entry(run: SyncRun) -> Entry:
    look = words.RUN[run.state]
    took = ""
    if run.started_at and run.ended_at:
        took = f"{round((run.ended_at - run.started_at).total_seconds() * 1000):,} ms"
    if run.state in (run.State.FAILED, run.State.SKIPPED):
        text = words.explain(run.reason).brief
    elif run.state != run.State.DONE:
        text = look.word
    else:
        parts = [(run.added, "new"), (run.changed, "changed"), (run.removed, "gone at the server")]
        text = ", ".join(f"{number:,} {word}" for number, word in parts if number) or "Nothing new"
    at = run.ended_at or run.started_at or run.created_at
    return Entry(look, text, at, took, code=run.detail, strong=bool(run.added))


def permission(mailbox: Mailbox) -> list[Fact]:
    """The token card: never a secret."""
    token: Token | None = mailbox.token
    if token is None:
        return [Fact("Permission", words.MAILBOX[mailbox.state], "no token is kept")]
    facts = []
    if token.dead_reason:
        facts.append(Fact("Permission", words.OUTCOME["refused"], words.explain(token.dead_reason).brief))
    else:
        facts.append(Fact("Access token", token.expires_at, "renewed by itself"))
    facts.append(Fact("Renewed", token.refreshed_at or token.created_at, f"generation {token.generation:,}"))
    facts.append(
        Fact("Account", token.account or "the organisation", f"pinned as {short(token.subject) or 'app-only'}")
    )
    facts.append(Fact("Scopes", " ".join(token.scopes) or "–"))
    facts.append(Fact("Given at", token.issuer))
    return facts


def short(identifier: str) -> str:
    return identifier if len(identifier) <= 24 else f"{identifier[:10]}…{identifier[-8:]}"


def store(mailbox: Mailbox) -> list[Fact]:
    folders = mailbox.folders.filter(gone_at=None)
    followed = sum(folder.followed for folder in folders)
    kept = mailbox.get_keep_display()
    return [
        Fact("Messages", f"{mailbox.message_count:,}", kept),
        Fact("Folders", f"{followed} of {len(folders)} followed"),
        Fact("Receives by", mailbox.get_receive_display(), "sends too" if mailbox.send else "does not send"),
        Fact("Connected", mailbox.token.created_at) if mailbox.token else Fact("Here since", mailbox.created_at),
    ]


def folders(mailbox: Mailbox) -> dict[str, Any]:
    return {"folders": mailbox.folders.order_by("gone_at", "name")}


def outbox(mailbox: Mailbox) -> dict[str, Any]:
    rows = OutboxMessage.objects.filter(mailbox=mailbox)[:50]
    return {"outbox": [(row, words.OUTBOX[row.state]) for row in rows]}


def sign_ins(mailbox: Mailbox) -> dict[str, Any]:
    entries = [
        Entry(
            SIGN_IN_LOOKS[row.outcome],
            f"{row.protocol.upper()} {row.mechanism}, token generation {row.token_generation:,}",
            row.at,
            f"{row.milliseconds:,} ms",
            code=row.reply,
        )
        for row in SignIn.objects.filter(mailbox=mailbox)[:100]
    ]
    return {"sign_ins": entries}
