"""One noun a file."""

from mailboxes.models.body import Body, Pack
from mailboxes.models.connect_link import ConnectLink, ConsentAttempt
from mailboxes.models.folder import FetchDebt, Folder
from mailboxes.models.mailbox import Mailbox
from mailboxes.models.message import Message
from mailboxes.models.outbox import OutboxMessage, SendAttempt
from mailboxes.models.provider_app import ProviderApp
from mailboxes.models.sync_run import SignIn, SyncRun
from mailboxes.models.token import Token

__all__ = [
    "Body",
    "ConnectLink",
    "ConsentAttempt",
    "FetchDebt",
    "Folder",
    "Mailbox",
    "Message",
    "OutboxMessage",
    "Pack",
    "ProviderApp",
    "SendAttempt",
    "SignIn",
    "SyncRun",
    "Token",
]
