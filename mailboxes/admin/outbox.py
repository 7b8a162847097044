"""The outbox: the list, one message with every step taken, and what a person may decide."""

from __future__ import annotations

from collections import Counter
from typing import Any, ClassVar

from django.contrib import admin, messages
from django.db.models import Count, QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import path, reverse
from django.utils import timezone
from django.utils.html import format_html

from accounts.admin import TenantAdmin
from accounts.roles import Right
from mailboxes import words
from mailboxes.admin.compose import compose_view
from mailboxes.admin.states import StateFilter, state_tabs
from mailboxes.models import OutboxMessage, SendAttempt
from mailboxes.services.draft import DraftRefused
from mailboxes.services.outbox import cancel, confirm_sent, send_again
from mailboxes.services.reasons import words_for_outbox
from theme.looks import Look
from theme.parts import Banner, Empty, Entry, Fact
from theme.templatetags import mailhub as tags

State = OutboxMessage.State
TABS = [
    ("Under way", ("queued", "sending", "deferred")),
    ("Sent", ("sent",)),
    ("Uncertain", ("uncertain",)),
    ("Rejected", ("rejected",)),
    ("Cancelled", ("cancelled",)),
]
STAGES: dict[str, Look] = {
    "started": Look("Started", "info", "send"),
    "connected": Look("Connected", "ok", "check"),
    "signed_in": Look("Signed in", "ok", "check"),
    "recipients": Look("Recipients accepted", "ok", "check"),
    "dot_follows": Look("Content sent, final dot next", "ok", "check"),
    "accepted": Look("Accepted", "ok", "check"),
    "refused": words.OUTCOME["refused"],
    "failed": words.OUTCOME["failed"],
    "lost": Look("Lost", "warn", "question"),
    "found": Look("Found", "ok", "check"),
    "abandoned": Look("Worker ended", "warn", "alert"),
    "again": Look("Sent again", "info", "retry"),
    "confirmed": Look("Confirmed", "ok", "check"),
}


class OutboxState(StateFilter):
    looks = words.OUTBOX


@admin.register(OutboxMessage)
class OutboxAdmin(TenantAdmin):
    send_right: ClassVar[Right] = Right.OUTBOX_SEND

    list_display = ("subject_line", "state_pill", "from_whom", "to_whom", "what", "when")
    list_filter = (OutboxState, "mailbox")
    list_select_related = ("mailbox__provider_app",)
    list_per_page = 50
    search_fields = ("subject", "recipients")
    search_help_text = "Subject or recipient"
    ordering = ("-queued_at", "-id")
    actions = ("cancel",)
    change_list_template = "admin/mailboxes/outboxmessage/change_list.html"
    change_form_template = "admin/mailboxes/outboxmessage/change_form.html"

    def has_send_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self.may(request, self.send_right, obj)

    @admin.display(description="subject", ordering="subject")
    def subject_line(self, row: OutboxMessage) -> str:
        return row.title

    @admin.display(description="state", ordering="state")
    def state_pill(self, row: OutboxMessage) -> str:
        return tags.pill(words.OUTBOX[row.state])

    @admin.display(description="mailbox", ordering="mailbox__address")
    def from_whom(self, row: OutboxMessage) -> str:
        return tags.soft(row.mailbox.address)

    @admin.display(description="to")
    def to_whom(self, row: OutboxMessage) -> str:
        people = [each for kind in ("to", "cc", "bcc") for each in row.recipients.get(kind, [])]
        if not people:
            return "–"
        more = f" +{len(people) - 1}" if len(people) > 1 else ""
        return format_html("{}{}", tags.soft(people[0]), more)

    @admin.display(description="what is going on")
    def what(self, row: OutboxMessage) -> str:
        reason = words_for_outbox(row)
        return reason.brief if reason else tags.NOTHING

    @admin.display(description="queued", ordering="queued_at")
    def when(self, row: OutboxMessage) -> str:
        return tags.ago(row.queued_at)

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> Any:
        states = Counter(dict(self.get_queryset(request).order_by().values_list("state").annotate(Count("pk"))))
        context = {
            "heading": "Outbox",
            "state_tabs": state_tabs(request, states, TABS),
            "can_send": self.has_send_permission(request),
            "empty": self.empty(request),
        }
        return super().changelist_view(request, context | (extra_context or {}))

    def empty(self, request: HttpRequest) -> Empty:
        title, text = (
            "Nothing was sent yet",
            "Each message stays here with every step taken and the server's own reply.",
        )
        if not self.has_send_permission(request):
            return Empty(title, text)
        return Empty(title, text, "Write a message", reverse("admin:mailboxes_outboxmessage_compose"))

    @admin.action(description="Cancel", permissions=["send"])
    def cancel(self, request: HttpRequest, rows: QuerySet[OutboxMessage]) -> None:
        actor: Any = request.user
        done = sum(cancel(row, actor=actor) for row in rows)
        self.message_user(request, f"{done} cancelled.")

    # One message -----------------------------------------------------------------------------------------------------

    def get_urls(self) -> list[Any]:
        def deed(name: str, service: Any, done: str, late: str) -> Any:
            view = self.admin_site.admin_view(self.posted(service, done, late))
            return path(f"<uuid:pk>/{name}/", view, name=f"mailboxes_outboxmessage_{name}")

        moved_on = "Nothing done: it has moved on in the meantime."
        return [
            path("compose/", self.admin_site.admin_view(compose_view(self)), name="mailboxes_outboxmessage_compose"),
            deed("cancel", cancel, "Cancelled; it will not be sent.", moved_on),
            deed("confirm", confirm_sent, "Marked as sent.", moved_on),
            deed("again", send_again, "Queued to be sent again, with the same Message-ID.", moved_on),
            *super().get_urls(),
        ]

    def posted(self, service: Any, done: str, late: str) -> Any:
        def view(request: HttpRequest, pk: Any) -> HttpResponse:
            row = self.row_or_404(request, pk, self.send_right)
            if request.method == "POST":
                try:
                    moved = service(row, actor=request.user)
                except DraftRefused as refusal:
                    messages.error(request, " ".join(refusal.messages))
                else:
                    (messages.success if moved else messages.warning)(request, done if moved else late)
            return HttpResponseRedirect(reverse("admin:mailboxes_outboxmessage_change", args=[pk]))

        return view

    def changeform_view(
        self, request: HttpRequest, object_id: str | None = None, form_url: str = "", extra_context: Any = None
    ) -> Any:
        if object_id is None or request.method != "GET":
            raise Http404
        row: OutboxMessage = self.row_or_404(request, object_id, self.right_to_view)
        attempts = list(row.attempts.all())
        may_send = self.has_send_permission(request, row)
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "original": row,
            "outbox": row,
            "look": words.OUTBOX[row.state],
            "title": row.title,
            "crumb": row.title,
            "listing": "Outbox",
            "banner": banner(row),
            "tries": tries(attempts),
            "facts": facts(row),
            "evidence": evidence(row) if row.state == State.UNCERTAIN else None,
            "may_cancel": may_send and row.state in (State.QUEUED, State.DEFERRED),
            "may_decide": may_send and row.state == State.UNCERTAIN,
            "may_retry": may_send and row.state == State.REJECTED,
            "moving": row.state in (State.QUEUED, State.SENDING) and row.due_at <= timezone.now(),
        }
        return TemplateResponse(request, self.change_form_template, context)


def banner(row: OutboxMessage) -> Banner:
    look = words.OUTBOX[row.state]
    reason = words_for_outbox(row)
    if row.state == State.UNCERTAIN:
        return Banner(
            look,
            "The server may have this message. Mailhub will not send it again by itself.",
            f"{reason.text if reason else ''} Look at both sides, then decide.".strip(),
        )
    text = f"{reason.text} {reason.who}." if reason else ""
    if row.state in (State.QUEUED, State.DEFERRED) and row.due_at > timezone.now():
        text = f"{text} Next try {timezone.localtime(row.due_at):%-d %b, %H:%M:%S} UTC.".strip()
    return Banner(look, f"{look.word}. {look.means}", text, details_title="The server's reply", details=row.reply)


def tries(attempts: list[SendAttempt]) -> list[tuple[int, list[Entry]]]:
    """Each try with its steps, newest try first."""
    found: dict[int, list[Entry]] = {}
    for step in attempts:
        entry = Entry(STAGES[step.stage], step.get_stage_display(), step.at, code=step.reply, strong=True)
        found.setdefault(step.number, []).append(entry)
    return sorted(found.items(), reverse=True)


def facts(row: OutboxMessage) -> list[Fact]:
    found = [Fact("From", row.sender)]
    found += [Fact(kind.capitalize(), ", ".join(row.recipients.get(kind, []))) for kind in ("to", "cc", "bcc")]
    found += [
        Fact("Queued by", row.queued_by),
        Fact("Queued", row.queued_at),
        Fact("Sent", row.sent_at) if row.sent_at else Fact("Tries", f"{row.tries:,}"),
        Fact("Message-ID", row.message_id, code=True),
        Fact("Size", tags.size(row.body.size)),
    ]
    found += [
        Fact("Tried again" if each["address"] in row.recipients_left else "Refused", each["address"], each["reply"])
        for each in row.refused_recipients
    ]
    return [fact for fact in found if fact.value]


def evidence(row: OutboxMessage) -> dict[str, list[str]]:
    """What speaks for "it was sent" and what against, side by side."""
    before = OutboxMessage.objects.filter(mailbox=row.mailbox, state=State.SENT).count()
    for_sent = [f"All {row.body.size:,} bytes went out, and the final dot may have."]
    if before:
        for_sent.append(f"The server took {before:,} other message{'s' if before > 1 else ''} of this mailbox.")
    found = row.evidence or {}
    looks = found.get("looks", 0)
    against = []
    if row.looked_at is None:
        against.append("Not looked for in Sent yet; that happens by itself within minutes.")
    elif looks:
        places = f" ({', '.join(found['places'])})" if found.get("places") else ""
        at = f"{timezone.localtime(row.looked_at):%-d %b, %H:%M} UTC"
        against.append(f"Not in Sent{places} after {looks} look{'s' if looks > 1 else ''}, the last at {at}.")
    if found.get("why_not"):
        against.append(words.explain(found["why_not"]).text if found["why_not"] in words.REASONS else found["why_not"])
    against.append("A message that is missing in Sent may have been sent all the same: absence proves nothing.")
    return {"sent": for_sent, "not_sent": against}
