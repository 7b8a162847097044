"""What the connect wizard asks."""

from __future__ import annotations

from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.db.models import QuerySet

from mailboxes.models import ProviderApp
from mailboxes.services.reasons import provider_name
from theme.parts import Option


class AddressForm(forms.Form):
    address = forms.EmailField(
        max_length=254,
        help_text="The address that mail is sent to.",
        widget=forms.EmailInput(attrs={"autocomplete": "off", "list": "examples"}),
    )
    provider_app = forms.ModelChoiceField(ProviderApp.objects.none(), label="Where it lives", empty_label=None)
    who = forms.ChoiceField(
        label="Who signs in at the provider?",
        choices=[
            (
                "link",
                Option("The owner, from a link", "You hand on a link that works once. No Mailhub account is needed."),
            ),
            ("me", Option("Me, here and now", "You know the sign-in of this mailbox, or sit beside the owner.")),
        ],
        widget=forms.RadioSelect,
        initial="link",
    )

    def __init__(self, *args: Any, apps: QuerySet[ProviderApp], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        choice: Any = self.fields["provider_app"]
        choice.queryset = apps
        choice.label_from_instance = app_label


def app_label(app: ProviderApp) -> str:
    name = provider_name(app)
    return app.name if name == app.name else f"{name}: {app.name}"


class PermissionsForm(AddressForm):
    receive = forms.ChoiceField(
        label="Read its mail?", choices=[("imap", "Yes, by IMAP"), ("none", "No, only send")], widget=forms.RadioSelect
    )
    send = forms.BooleanField(label="Send mail as it", required=False)
    sign_in_as = forms.EmailField(
        label="Signs in as",
        required=False,
        max_length=254,
        help_text="Only for a shared mailbox: the person whose account opens it.",
    )
    purpose = forms.CharField(
        label="What it is for",
        required=False,
        max_length=300,
        help_text="One sentence that the owner reads, such as: so that orders are archived in one place.",
    )
    hours = forms.TypedChoiceField(
        label="The link works for",
        coerce=int,
        choices=[(1, "an hour"), (24, "a day"), (72, "three days"), (168, "a week")],
        initial=24,
        required=False,
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name in ("address", "provider_app", "who"):
            self.fields[name].widget = forms.HiddenInput()


def add_refusal(form: forms.Form, refusal: ValidationError) -> None:
    for name, sentences in refusal.message_dict.items():
        for sentence in sentences:
            form.add_error(name if name in form.fields and name not in ("address", "provider_app") else None, sentence)
