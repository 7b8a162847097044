"""What a consent allows, in plain words: the same on the wizard and on the owner's page."""

from __future__ import annotations

from typing import NamedTuple

from mailboxes.models import Mailbox, ProviderApp


class Permission(NamedTuple):
    icon: str
    title: str
    text: str
    scopes: tuple[str, ...]  # what the provider calls it


def asked(app: ProviderApp, *, receive: str, send: bool, organisation: str) -> list[Permission]:
    """One entry a permission, in the order in which they matter to the owner."""
    found = []
    if receive != Mailbox.Receive.NONE:
        found.append(
            Permission(
                "mail",
                "Read your mail",
                f"Copies messages into {organisation}'s own store. Nothing in your mailbox is deleted, moved or marked as read.",
                tuple(app.scopes.get(receive, ())),
            )
        )
    if send:
        found.append(
            Permission(
                "send",
                "Send mail as you",
                f"Sends only what {organisation}'s people and programs hand over for your address. Each message is logged.",
                tuple(app.scopes.get("smtp", ())),
            )
        )
    found.append(
        Permission(
            "retry",
            "Keep working while you are away",
            "You need not sign in again each hour. It ends when you or they end it.",
            ("offline_access",),
        )
    )
    found.append(
        Permission(
            "users",
            "See who signed in",
            "Your name and address, to be sure that it is your mailbox and no other.",
            ("openid", "email", "profile"),
        )
    )
    return found
