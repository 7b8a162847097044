"""The words for what is wrong with a row, filled in with the names that its reader knows."""

from __future__ import annotations

from mailboxes import words
from mailboxes.models import Mailbox, OutboxMessage, ProviderApp


def provider_name(app: ProviderApp) -> str:
    """How people call the provider: by its preset, or for any other by the app's own name."""
    return app.name if app.preset == ProviderApp.Preset.OIDC else app.get_preset_display()


def words_for(mailbox: Mailbox) -> words.Words | None:
    """Why the mailbox is not simply active; None when there is nothing to say."""
    if not mailbox.reason:
        return None
    app = mailbox.provider_app
    return words.explain(
        mailbox.reason,
        provider=provider_name(app),
        app=app.name,
        address=mailbox.address,
        expected=mailbox.account_expected,
    )


def words_for_outbox(outbox: OutboxMessage) -> words.Words | None:
    """Why a message has not simply been sent."""
    if not outbox.reason:
        return None
    app = outbox.mailbox.provider_app
    return words.explain(outbox.reason, provider=provider_name(app), app=app.name, address=outbox.mailbox.address)
