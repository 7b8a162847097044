"""Mailboxes: the list with what is going on, the page of one, and the deeds."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from typing import Any, ClassVar

from django.contrib import admin, messages
from django.db.models import Count, QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.loader import render_to_string
from django.template.response import TemplateResponse
from django.urls import path, reverse
from django.utils import timezone
from django.utils.html import format_html

from accounts.admin import TenantAdmin
from accounts.roles import Right
from mailboxes import words
from mailboxes.admin import connect, connected, mailbox_page
from mailboxes.admin.accept import accept_view
from mailboxes.admin.disconnect import disconnect_view
from mailboxes.admin.states import StateFilter, state_tabs
from mailboxes.models import Mailbox, Message
from mailboxes.services.reasons import words_for
from mailboxes.services.suspend import resume, suspend
from mailboxes.services.sync_now import request_sync
from theme.parts import Empty
from theme.templatetags import mailhub as tags

DAYS = 7
TABS = [
    ("Active", ("active",)),
    ("Need you", ("reconnect", "misconfigured")),
    ("Retrying", ("delayed", "throttled")),
    ("Wait for consent", ("pending", "awaiting_admin")),
    ("Stopped", ("suspended", "disconnected")),
]


class MailboxState(StateFilter):
    looks = words.MAILBOX


@admin.register(Mailbox)
class MailboxAdmin(TenantAdmin):
    connect_right: ClassVar[Right] = Right.MAILBOXES_CONNECT
    disconnect_right: ClassVar[Right] = Right.MAILBOXES_DISCONNECT

    list_display = ("mailbox", "state_pill", "what", "synced", "polls", "volume")
    list_filter = (MailboxState, "provider_app", "receive")
    list_select_related = ("tenant", "provider_app")
    list_per_page = 50
    search_fields = ("address", "sign_in_as")
    search_help_text = "Address"
    ordering = ("address",)
    actions = ("sync_now", "suspend", "resume")
    change_list_template = "admin/mailboxes/mailbox/change_list.html"
    change_form_template = "admin/mailboxes/mailbox/change_form.html"

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False  # by the wizard, not by a form

    def has_connect_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self.may(request, self.connect_right, obj)

    # The list --------------------------------------------------------------------------------------------------------

    @admin.display(description="mailbox", ordering="address")
    def mailbox(self, row: Mailbox) -> str:
        return format_html("{} <small>{}</small>", tags.soft(row.address), row.tenant.name)

    @admin.display(description="state", ordering="state")
    def state_pill(self, row: Mailbox) -> str:
        return tags.pill(words.MAILBOX[row.state])

    @admin.display(description="what is going on")
    def what(self, row: Mailbox) -> str:
        reason = words_for(row)
        return reason.brief if reason else tags.NOTHING

    @admin.display(description="last sync", ordering="last_synced_at")
    def synced(self, row: Mailbox) -> str:
        return tags.ago(row.last_synced_at)

    @admin.display(description="next poll", ordering="next_poll_at")
    def polls(self, row: Mailbox) -> str:
        return tags.ago(row.next_poll_at)

    @admin.display(description=f"{DAYS} days", ordering="message_count")
    def volume(self, row: Any) -> str:
        return render_to_string("charts/sparkline.html", tags.sparkline(row.week))

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> Any:
        states = Counter(dict(self.get_queryset(request).order_by().values_list("state").annotate(Count("pk"))))
        context = {
            "heading": "Mailboxes",
            "state_tabs": state_tabs(request, states, TABS),
            "can_connect": self.has_connect_permission(request),
            "empty": self.empty(request),
            **(extra_context or {}),
        }
        answer = super().changelist_view(request, context)
        if isinstance(answer, TemplateResponse) and answer.context_data and "cl" in answer.context_data:
            add_weeks(answer.context_data["cl"].result_list)
        return answer

    def empty(self, request: HttpRequest) -> Empty:
        title, text = "No mailbox yet", "Connect one: you sign in at its provider, or send its owner a link."
        if not self.has_connect_permission(request):
            return Empty(title, "An operator or administrator of your organisation connects mailboxes.")
        return Empty(title, text, "Connect a mailbox", reverse("admin:mailboxes_mailbox_connect"))

    @admin.action(description="Sync now", permissions=["connect"])
    def sync_now(self, request: HttpRequest, rows: QuerySet[Mailbox]) -> None:
        runs = [request_sync(mailbox, actor=actor(request)) for mailbox in rows]
        queued = sum(run.state == run.State.QUEUED for run in runs)
        self.message_user(request, f"{queued} of {len(runs)} will be synced at once.")

    @admin.action(description="Suspend", permissions=["connect"])
    def suspend(self, request: HttpRequest, rows: QuerySet[Mailbox]) -> None:
        done = sum(suspend(mailbox, actor=actor(request)) for mailbox in rows)
        self.message_user(request, f"{done} suspended. Their mail waits at the provider.")

    @admin.action(description="Resume", permissions=["connect"])
    def resume(self, request: HttpRequest, rows: QuerySet[Mailbox]) -> None:
        done = sum(resume(mailbox, actor=actor(request)) for mailbox in rows)
        self.message_user(request, f"{done} resumed.")

    # One mailbox -----------------------------------------------------------------------------------------------------

    def changeform_view(
        self, request: HttpRequest, object_id: str | None = None, form_url: str = "", extra_context: Any = None
    ) -> Any:
        if object_id is None or request.method != "GET":
            raise Http404
        mailbox = self.row_or_404(request, object_id, self.right_to_view)
        context = {
            **self.admin_site.each_context(request),
            **mailbox_page.figures(mailbox, request, self),
            "opts": self.opts,
            "original": mailbox,
            "title": mailbox.address,
            "listing": "Mailboxes",
        }
        return TemplateResponse(request, self.change_form_template, context)

    def get_urls(self) -> list[Any]:
        def own(view: Any) -> Any:
            return self.admin_site.admin_view(view)

        def deed(name: str, view: Any) -> Any:
            return path(f"<uuid:pk>/{name}/", own(view), name=f"mailboxes_mailbox_{name}")

        return [
            path("connect/", own(connect.address_view(self)), name="mailboxes_mailbox_connect"),
            path("connect/permissions/", own(connect.permissions_view(self)), name="mailboxes_mailbox_permissions"),
            path("connect/link/<uuid:pk>/", own(connect.link_view(self)), name="mailboxes_mailbox_link"),
            deed("connected", connected.connected_view(self)),
            deed("reconnect", connect.reconnect_view(self)),
            deed("sync", self.posted(lambda mailbox, who: sync_words(mailbox, who))),
            deed("suspend", self.posted(suspend_words)),
            deed("resume", self.posted(resume_words)),
            deed("disconnect", disconnect_view(self)),
            deed("accept", accept_view(self)),
            *super().get_urls(),
        ]

    def posted(self, deed: Any) -> Any:
        """A view that does one deed on POST, says what it did, and goes back to the mailbox."""

        def view(request: HttpRequest, pk: Any) -> HttpResponse:
            mailbox = self.row_or_404(request, pk, self.connect_right)
            if request.method == "POST":
                messages.info(request, deed(mailbox, actor(request)))
            return HttpResponseRedirect(reverse("admin:mailboxes_mailbox_change", args=[pk]))

        return view


def actor(request: HttpRequest) -> Any:
    """The person who does it, for services and the audit log."""
    return request.user


def sync_words(mailbox: Mailbox, who: Any) -> str:
    run = request_sync(mailbox, actor=who)
    if run.state == run.State.SKIPPED:
        return f"Not synced: {words.explain(run.reason, address=mailbox.address).text}"
    return "It will be synced at once."


def suspend_words(mailbox: Mailbox, who: Any) -> str:
    return "Suspended. Mail waits at the provider." if suspend(mailbox, actor=who) else "It does not run anyway."


def resume_words(mailbox: Mailbox, who: Any) -> str:
    return "Resumed; it will be synced at once." if resume(mailbox, actor=who) else "It was not suspended."


def add_weeks(rows: Any) -> None:
    """Sets `week` on each row: messages stored a day, the last seven days, oldest first."""
    today = timezone.localdate()
    days = [today - timedelta(days=back) for back in range(DAYS - 1, -1, -1)]
    since = timezone.now() - timedelta(days=DAYS)
    counted: dict[Any, Counter[Any]] = {}
    found = (
        Message.objects.filter(mailbox__in=[row.pk for row in rows], stored_at__gte=since)
        .order_by()
        .values_list("mailbox", "stored_at__date")
        .annotate(Count("pk"))
    )
    for mailbox, day, number in found:
        counted.setdefault(mailbox, Counter())[day] += number
    for row in rows:
        row.week = [counted.get(row.pk, Counter())[day] for day in days]
