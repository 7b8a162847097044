"""The row that a link or a consent is about: what was asked is checked here, once for form, wizard, API and link."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import IntegrityError, transaction

from mailboxes.models import Mailbox, ProviderApp


def check(app: ProviderApp, *, address: str, sign_in_as: str, receive: str, send: bool, flow: str) -> None:
    """Raises ValidationError with a message a field."""
    faults: dict[str, str] = {}
    for name, value in (("address", address), ("sign_in_as", sign_in_as)):
        if value or name == "address":
            try:
                validate_email(value)
            except ValidationError:
                faults[name] = "This is not an e-mail address."
            if not value.isascii():
                faults[name] = "Mail servers take only ASCII letters in the name that signs in."
    if receive not in Mailbox.Receive.values:
        faults["receive"] = "Choose imap, pop3 or none."
    elif receive == Mailbox.Receive.POP3:
        faults["receive"] = "POP3 is not supported yet; choose imap or none."
    elif receive == Mailbox.Receive.NONE and not send:
        faults["receive"] = "A mailbox that neither receives nor sends has nothing to do."
    elif receive != Mailbox.Receive.NONE and not app.server(receive):
        faults["receive"] = f"The provider app “{app}” names no {receive.upper()} server."
    if send and not app.server("smtp"):
        faults["send"] = f"The provider app “{app}” names no SMTP server."
    if app.flow != flow:
        faults["provider_app"] = f"“{app}” is set up for: {app.get_flow_display()}."
    if faults:
        raise ValidationError(faults)


def ensure(app: ProviderApp, address: str, **columns: Any) -> Mailbox:
    """The tenant's mailbox of this address; a new one, waiting, when there is none. A known one is left as it is."""
    rows = Mailbox.objects.filter(tenant_id=app.tenant_id, address__iexact=address)
    found = rows.first()
    if found is None:
        try:
            with transaction.atomic():
                return Mailbox.objects.create(tenant=app.tenant, provider_app=app, address=address, **columns)
        except IntegrityError:  # another one was first
            found = rows.get()
    return found
