"""What an owner allows, in his words: each permission with the scope that asks for it."""

from __future__ import annotations

from typing import NamedTuple

from mailboxes.models import Mailbox, ProviderApp
from mailboxes.services import discovery


class Permission(NamedTuple):
    icon: str
    title: str
    text: str
    scope: str


def asked(app: ProviderApp, tenant: str, *, receive: str, send: bool) -> list[Permission]:
    """In the order in which they matter to the owner."""
    provider = discovery.facts(app)
    sign_in = provider.sign_in_scopes
    found = []
    if receive == Mailbox.Receive.IMAP:
        text = f"Copies messages from your folders into {tenant}'s archive. Nothing is deleted or marked as read."
        found.append(Permission("mail", "Read your mail", text, _scope(app, "imap")))
    elif receive == Mailbox.Receive.POP3:
        text = f"Copies messages from your inbox into {tenant}'s archive. Nothing is deleted."
        found.append(Permission("mail", "Read your inbox", text, _scope(app, "pop3")))
    if send:
        text = f"Sends only what {tenant}'s people and programs hand over for your address."
        found.append(Permission("send", "Send mail as you", text, _scope(app, "smtp")))
    text = f"You need not sign in again each hour. It ends when you or {tenant} end it."
    scope = "offline_access" if "offline_access" in sign_in else "access_type=offline"
    found.append(Permission("retry", "Keep working while you are away", text, scope))
    text = "Your name and address, to be sure that it is your mailbox and no other."
    names = " ".join(name for name in sign_in if name != "offline_access")
    found.append(Permission("users", "See who signed in", text, names))
    return found


def _scope(app: ProviderApp, protocol: str) -> str:
    return " ".join(scope.removeprefix("https://outlook.office.com/") for scope in app.scopes.get(protocol) or ())
