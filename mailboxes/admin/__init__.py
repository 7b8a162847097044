"""How a person comes in: gathers input, calls one service, shows the result."""

from mailboxes.admin.mailbox import MailboxAdmin
from mailboxes.admin.message import MessageAdmin
from mailboxes.admin.outbox import OutboxAdmin
from mailboxes.admin.provider_app import ProviderAppAdmin

__all__ = ["MailboxAdmin", "MessageAdmin", "OutboxAdmin", "ProviderAppAdmin"]
