"""Messages: lists and the safe page of one. Only with the right to read mail; each opening is audited."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from csp.decorators import csp_replace
from django.contrib import admin
from django.core.signing import Signer
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import path
from django.utils.decorators import method_decorator
from django.utils.html import format_html
from django.utils.http import content_disposition_header
from django.views.decorators.cache import never_cache
from django.views.decorators.clickjacking import xframe_options_sameorigin

from accounts.admin import TenantAdmin
from accounts.roles import Right
from audit.models import AuditEvent
from mailboxes import words
from mailboxes.errors import MailError
from mailboxes.models import Mailbox, Message
from mailboxes.services import open_message, read_message
from theme.parts import Empty, Fact
from theme.templatetags import mailhub as tags

INERT = "application/octet-stream"  # nothing that a browser would run


class FolderFilter(admin.SimpleListFilter):
    """The folders of the mailbox that is chosen; without one there would be an Inbox for each."""

    title = "folder"
    parameter_name = "folder"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        mailbox = chosen_mailbox(request)
        folders = mailbox.folders.filter(messages__isnull=False).distinct().order_by("name") if mailbox else []
        return [(str(folder.pk), folder.name) for folder in folders]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Message]) -> QuerySet[Message]:
        chosen = self.value()
        offered = [pk for pk, _ in self.lookup_choices]
        return queryset.filter(folder__pk=chosen) if chosen and chosen in offered else queryset


def chosen_mailbox(request: HttpRequest) -> Mailbox | None:
    """The one whose messages the list shows, if the person may read them."""
    try:
        pk = UUID(request.GET.get("mailbox__id__exact", ""))
    except ValueError:
        return None
    return Mailbox.objects.visible_to(request.user, Right.MAIL_READ).filter(pk=pk).first()


@admin.register(Message)
class MessageAdmin(TenantAdmin):
    list_display = ("subject_line", "from_whom", "folder", "mailbox", "when_short", "weight")
    list_filter = ("mailbox", FolderFilter)
    list_select_related = ("mailbox", "folder")
    list_per_page = 50
    search_fields = ("search_text",)
    search_help_text = "Subject or address"
    ordering = ("-date", "-id")
    actions = None
    change_list_template = "admin/mailboxes/message/change_list.html"
    change_form_template = "admin/mailboxes/message/change_form.html"

    def get_search_results(self, request: HttpRequest, queryset: Any, search_term: str) -> tuple[Any, bool]:
        return super().get_search_results(request, queryset, search_term.casefold())

    def get_list_display(self, request: HttpRequest) -> Any:
        names = super().get_list_display(request)
        return [name for name in names if name != "mailbox"] if chosen_mailbox(request) else names

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> Any:
        context = {
            "heading": "Messages",
            "mailbox": chosen_mailbox(request),
            "empty": Empty("No mail yet", "The folders of a connected mailbox are read within a minute."),
        }
        return super().changelist_view(request, context | (extra_context or {}))

    @admin.display(description="subject", ordering="subject")
    def subject_line(self, row: Message) -> str:
        return format_html("{}{}", row, clip()) if row.has_attachments else str(row)

    @admin.display(description="from")
    def from_whom(self, row: Message) -> str:
        return ", ".join(each["name"] or each["address"] for each in row.sender) or "–"

    @admin.display(description="date", ordering="date")
    def when_short(self, row: Message) -> str:
        if row.gone_at:
            return format_html("{} <small>{}</small>", tags.ago(row.date), "gone at the server")
        return tags.ago(row.date)

    @admin.display(description="size", ordering="size")
    def weight(self, row: Message) -> str:
        return tags.size(row.size)

    # One message -----------------------------------------------------------------------------------------------------

    def get_urls(self) -> list[Any]:
        def own(name: str, route: str, view: Any) -> Any:
            return path(f"<uuid:pk>/{route}", self.admin_site.admin_view(view), name=f"mailboxes_message_{name}")

        return [
            own("body", "body/", self.body_view),
            own("raw", "raw/", self.raw_view),
            own("attachment", "attachments/<int:number>/", self.attachment_view),
            *super().get_urls(),
        ]

    def changeform_view(
        self, request: HttpRequest, object_id: str | None = None, form_url: str = "", extra_context: Any = None
    ) -> Any:
        if object_id is None or request.method != "GET":
            raise Http404
        message: Message = self.row_or_404(request, object_id, self.right_to_view)
        readable, fault = None, None
        try:
            content = open_message.stored(message)
            readable = read_message.read(content) if content is not None else None
        except MailError as error:
            fault = words.explain(error.reason)
        event = self.note(request, message, "message.opened")
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "original": message,
            "message": message,
            "title": str(message),
            "readable": readable,
            "fault": fault,
            "facts": facts(message),
            "may_reply": message.sender and message.mailbox.send and self.may(request, Right.OUTBOX_SEND, message),
            "seen": seal(request, message),
            "event": event if self.may(request, Right.AUDIT_VIEW, message) else None,
        }
        return TemplateResponse(request, self.change_form_template, context)

    @method_decorator(xframe_options_sameorigin)
    @method_decorator(
        csp_replace(
            {
                "default-src": ["'none'"],
                "style-src": ["'self'"],
                "frame-ancestors": ["'self'"],
                "sandbox": ["allow-popups", "allow-popups-to-escape-sandbox"],  # so that a link opens a working page
            }
        )
    )
    @method_decorator(never_cache)
    def body_view(self, request: HttpRequest, pk: Any) -> HttpResponse:
        """The letter alone, for the page's frame: its own policy forbids everything that could act or phone home."""
        message = self.row_or_404(request, pk, self.right_to_view)
        readable = read_message.read(self.stored(message))
        if request.GET.get("seen", "") != seal(request, message):  # not from its page, which has noted the opening
            self.note(request, message, "message.opened")
        answer = TemplateResponse(request, "mailboxes/letter.html", {"readable": readable})
        answer["Referrer-Policy"] = "no-referrer"
        return answer

    @method_decorator(never_cache)
    def raw_view(self, request: HttpRequest, pk: Any) -> HttpResponse:
        """The very bytes that the server gave."""
        message = self.row_or_404(request, pk, self.right_to_view)
        content = self.stored(message)
        self.note(request, message, "message.exported")
        return download(content, f"{message.pk}.eml", "message/rfc822")

    @method_decorator(never_cache)
    def attachment_view(self, request: HttpRequest, pk: Any, number: int) -> HttpResponse:
        message = self.row_or_404(request, pk, self.right_to_view)
        try:
            part = read_message.attachment(self.stored(message), number)
        except LookupError:
            raise Http404 from None
        self.note(request, message, "message.exported", attachment=number)
        return download(part.content, part.filename, INERT)

    def stored(self, message: Message) -> bytes:
        """Its bytes; 404 where only headers are kept, or where they are damaged."""
        try:
            content = open_message.stored(message)
        except MailError as error:
            raise Http404 from error
        if content is None:
            raise Http404
        return content

    def note(self, request: HttpRequest, message: Message, action: str, **detail: int) -> AuditEvent:
        actor: Any = request.user
        return open_message.note(message, action, actor=actor, **detail)


def clip() -> str:
    return format_html('{}<span class="visually-hidden">, with attachments</span>', tags.icon("clip"))


def seal(request: HttpRequest, message: Message) -> str:
    """What the page puts into its frame's address: the opening by this person stands in the audit log already."""
    return Signer(salt="mailboxes.message-seen").signature(f"{request.session.session_key}:{message.pk}")


def download(content: bytes, name: str, content_type: str) -> HttpResponse:
    answer = HttpResponse(content, content_type=content_type)
    answer["Content-Disposition"] = content_disposition_header(True, name) or "attachment"
    answer["Content-Security-Policy"] = "sandbox; default-src 'none'"
    answer["X-Content-Type-Options"] = "nosniff"
    return answer


def facts(message: Message) -> list[Fact]:
    def people(rows: list[dict[str, str]]) -> str:
        return ", ".join(f"{row['name']} <{row['address']}>" if row["name"] else row["address"] for row in rows)

    found = [
        Fact("From", people(message.sender)),
        Fact("To", people(message.to)),
        Fact("Cc", people(message.cc)),
        Fact("Date", tags.at(message.date), tags.ago(message.date)),
        Fact("Folder", message.folder.name, f"UID {message.uid}" if message.uid else message.uidl),
        Fact("SHA-256", message.sha256, code=True),
    ]
    if message.flags:
        found.append(Fact("Flags", " ".join(message.flags)))
    if message.gone_at:
        found.append(Fact("Gone at the server", message.gone_at))
    if message.unreadable:
        known = words.REASONS.get(message.unreadable)
        found.append(
            Fact("Not the message itself", known.brief, known.text)
            if known
            else Fact("Not understood", message.unreadable, "stored as it came")
        )
    return [fact for fact in found if fact.value]
