"""Write a message: the form, and what the service says of it."""

from __future__ import annotations

import re
from typing import Any
from uuid import UUID, uuid4

from django import forms
from django.contrib import messages
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse

from accounts.roles import Right
from mailboxes import words
from mailboxes.models import Mailbox, Message
from mailboxes.services.check_draft import GREATEST_MESSAGE
from mailboxes.services.draft import Attachment, Draft, DraftRefused
from mailboxes.services.outbox import IdempotencyConflict, queue

MOST_FILES = 20
MESSAGE_ID = re.compile(r"<[^<>\s@]+@[^<>\s@]+>")


class ManyFiles(forms.ClearableFileInput):
    allow_multiple_selected = True


class FilesField(forms.FileField):
    widget = ManyFiles

    def clean(self, data: Any, initial: Any = None) -> list[Any]:
        files = data if isinstance(data, (list, tuple)) else [data] if data else []
        if len(files) > MOST_FILES:
            raise forms.ValidationError(f"At most {MOST_FILES} files.")
        return [super(FilesField, self).clean(each, initial) for each in files]


class ComposeForm(forms.Form):
    mailbox = forms.ModelChoiceField(Mailbox.objects.none(), label="From", empty_label=None)
    to = forms.CharField(label="To", help_text="Addresses, with commas between them.")
    cc = forms.CharField(label="Cc", required=False)
    bcc = forms.CharField(label="Bcc", required=False, help_text="The others do not see these.")
    subject = forms.CharField(required=False, max_length=998)
    text = forms.CharField(label="Message", widget=forms.Textarea(attrs={"rows": 12}), required=False)
    attachments = FilesField(
        required=False,
        help_text=f"At most {MOST_FILES} files; the whole message at most {GREATEST_MESSAGE // 2**20} MiB.",
    )
    in_reply_to = forms.CharField(widget=forms.HiddenInput, required=False, max_length=998)
    once = forms.UUIDField(widget=forms.HiddenInput)  # pressing the button twice sends one message

    def __init__(self, *args: Any, mailboxes: QuerySet[Mailbox], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        choice: Any = self.fields["mailbox"]
        choice.queryset = mailboxes
        choice.label_from_instance = sender_label

    def draft(self) -> Draft:
        given = self.cleaned_data
        return Draft(
            to=addresses(given["to"]),
            cc=addresses(given["cc"]),
            bcc=addresses(given["bcc"]),
            subject=given["subject"],
            in_reply_to=given["in_reply_to"] or None,
            text=given["text"].replace("\r\n", "\n"),
            attachments=[
                Attachment(each.name, each.content_type or "application/octet-stream", each.read())
                for each in given["attachments"]
            ],
        )

    def add_refusal(self, refusal: DraftRefused) -> None:
        """The service's sentences, each beside its field."""
        for name, sentences in refusal.message_dict.items():
            for sentence in sentences:
                seen = name in self.fields and not self.fields[name].widget.is_hidden
                self.add_error(name if seen else None, sentence)


def sender_label(mailbox: Mailbox) -> str:
    """The address, and for one that cannot send at once, its state."""
    if mailbox.state == Mailbox.State.ACTIVE:
        return mailbox.address
    return f"{mailbox.address} ({words.MAILBOX[mailbox.state].word}: leaves when it works again)"


def addresses(text: str) -> list[str]:
    """What stands between commas (outside quotation marks), semicolons or line ends."""
    parts, word, quoted = [], "", False
    for sign in text:
        if sign == '"':
            quoted = not quoted
        if sign in ",;\n" and not quoted:
            parts.append(word)
            word = ""
        else:
            word += sign
    return [part.strip() for part in [*parts, word] if part.strip()]


def compose_view(admin: Any) -> Any:
    def view(request: HttpRequest) -> HttpResponse:
        if not admin.has_send_permission(request):
            raise Http404
        sendable = Mailbox.objects.visible_to(request.user, admin.send_right).filter(send=True, token__isnull=False)
        if request.tenant:  # type: ignore[attr-defined]
            sendable = sendable.filter(tenant=request.tenant)  # type: ignore[attr-defined]
        form = form_for(request, sendable)
        if request.method == "POST" and form.is_valid():
            mailbox = form.cleaned_data["mailbox"]
            actor: Any = request.user
            try:
                row = queue(mailbox, form.draft(), actor=actor, idempotency_key=f"form-{form.cleaned_data['once']}")
            except DraftRefused as refusal:
                form.add_refusal(refusal)
            except IdempotencyConflict:
                form.add_error(None, "This form was sent before, with other content. Open a new one to send another.")
            else:
                messages.success(request, "Queued. It leaves within seconds; this page shows each step.")
                return HttpResponseRedirect(reverse("admin:mailboxes_outboxmessage_change", args=[row.pk]))
        context = {
            **admin.admin_site.each_context(request),
            "opts": admin.opts,
            "title": "Write a message",
            "listing": "Outbox",
            "form": form,
            "none": not sendable.exists(),
            "may_connect": admin.may(request, Right.MAILBOXES_CONNECT),
        }
        return TemplateResponse(request, "admin/mailboxes/outboxmessage/compose.html", context)

    return view


def form_for(request: HttpRequest, sendable: QuerySet[Mailbox]) -> ComposeForm:
    if request.method == "POST":
        return ComposeForm(request.POST, request.FILES, mailboxes=sendable)
    initial = {"once": uuid4(), "mailbox": request.GET.get("mailbox"), "to": request.GET.get("to", "")}
    return ComposeForm(initial=initial | answer_to(request), mailboxes=sendable)


def answer_to(request: HttpRequest) -> dict[str, Any]:
    """What a reply begins with; nothing for a message that this person may not read."""
    try:
        pk = UUID(request.GET.get("reply", ""))
    except ValueError:
        return {}
    message = Message.objects.visible_to(request.user).filter(pk=pk).first()
    if message is None:
        return {}
    subject = message.subject if message.subject.casefold().startswith("re:") else f"Re: {message.subject}".strip()
    return {
        "mailbox": message.mailbox_id,
        "to": ", ".join(each["address"] for each in message.sender),
        "subject": subject[:998],
        "in_reply_to": message.message_id if MESSAGE_ID.fullmatch(message.message_id) else "",
    }
