"""Who may do what: the whole table, in one place.

Reading mail is in no role: it is given per membership (`Membership.may_read_mail`).
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from django.db.models import TextChoices


class Role(TextChoices):
    OWNER = "owner", "Owner"
    ADMIN = "admin", "Administrator"
    OPERATOR = "operator", "Operator"
    AUDITOR = "auditor", "Auditor"


class Right(StrEnum):
    MAILBOXES_VIEW = "mailboxes.view"
    MAILBOXES_CONNECT = "mailboxes.connect"  # connect, reconnect, sync, suspend, resume
    MAILBOXES_DISCONNECT = "mailboxes.disconnect"
    OUTBOX_VIEW = "outbox.view"
    OUTBOX_SEND = "outbox.send"
    PROVIDERAPPS_VIEW = "providerapps.view"
    PROVIDERAPPS_CHANGE = "providerapps.change"
    AUDIT_VIEW = "audit.view"
    HEALTH_VIEW = "health.view"
    MEMBERS_VIEW = "members.view"
    MEMBERS_CHANGE = "members.change"
    KEYS_VIEW = "keys.view"
    KEYS_CHANGE = "keys.change"
    TENANT_CHANGE = "tenant.change"
    MAIL_READ = "mail.read"


RIGHTS: Final[dict[Role, frozenset[Right]]] = {
    Role.OWNER: frozenset(Right) - {Right.MAIL_READ},
    Role.ADMIN: frozenset(Right) - {Right.MAIL_READ, Right.MEMBERS_CHANGE},
    Role.OPERATOR: frozenset(
        {
            Right.MAILBOXES_VIEW,
            Right.MAILBOXES_CONNECT,
            Right.OUTBOX_VIEW,
            Right.OUTBOX_SEND,
            Right.PROVIDERAPPS_VIEW,
            Right.HEALTH_VIEW,
        }
    ),
    Role.AUDITOR: frozenset({Right.AUDIT_VIEW, Right.HEALTH_VIEW}),
}

# A platform operator keeps the installation: sees every tenant's rows, acts for none and reads no tenant's mail, neither
# what came in nor the subjects and recipients of what went out.
PLATFORM_RIGHTS: Final[frozenset[Right]] = frozenset(
    {
        Right.MAILBOXES_VIEW,
        Right.PROVIDERAPPS_VIEW,
        Right.AUDIT_VIEW,
        Right.HEALTH_VIEW,
        Right.MEMBERS_VIEW,
        Right.KEYS_VIEW,
        Right.TENANT_CHANGE,
    }
)


def roles_with(right: Right) -> list[Role]:
    """The roles that hold `right` by the table; none for mail.read."""
    return [role for role, rights in RIGHTS.items() if right in rights]
