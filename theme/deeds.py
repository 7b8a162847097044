"""How the audit log reads: an action as the middle of a sentence, and its icon."""

from __future__ import annotations

SENTENCES = {
    "tenant.created": "created",
    "tenant.changed": "changed",
    "member.added": "added",
    "member.changed": "changed the rights of",
    "member.removed": "removed",
    "signin.succeeded": "signed in",
    "signin.failed": "was refused at sign-in",
    "secondfactor.added": "added a second factor",
    "secondfactor.removed": "removed a second factor",
    "secondfactor.skipped": "skipped the second factor",
    "providerapp.created": "registered the provider app",
    "providerapp.changed": "changed the provider app",
    "providerapp.deleted": "deleted the provider app",
    "link.created": "made a connect link for",
    "link.ended": "ended the connect link for",
    "link.refused": "does not know who asks, and ended the link for",
    "consent.started": "went to the provider to consent for",
    "consent.refused": "did not get through consent for",
    "mailbox.connected": "connected",
    "mailbox.state_changed": "changed the state of",
    "mailbox.suspended": "suspended",
    "mailbox.resumed": "resumed",
    "mailbox.disconnected": "disconnected",
    "token.refreshed": "renewed the permission of",
    "token.destroyed": "destroyed the permission of",
    "sync.requested": "asked to sync",
    "message.opened": "opened a message of",
    "message.exported": "downloaded from a message of",
    "outbox.queued": "queued",
    "outbox.sent": "sent",
    "outbox.rejected": "could not send",
    "outbox.uncertain": "does not know whether it sent",
    "outbox.cancelled": "cancelled",
    "outbox.sent_again": "decided to send again",
}
ICONS = {
    "tenant": "building",
    "member": "users",
    "signin": "lock",
    "secondfactor": "shield",
    "providerapp": "apps",
    "link": "chain",
    "consent": "shield",
    "mailbox": "mail",
    "token": "key",
    "sync": "retry",
    "message": "eye",
    "outbox": "send",
}


def sentence(action: str) -> str:
    """The words for an action; a new one reads as itself: "thing.done" → "done (thing)"."""
    noun, _, deed = action.partition(".")
    return SENTENCES.get(action) or f"{deed.replace('_', ' ')} ({noun})"


def icon(action: str) -> str:
    return ICONS.get(action.partition(".")[0], "list")
