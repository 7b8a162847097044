"""A link that lets a person set a password, once, within PASSWORD_RESET_TIMEOUT seconds (a day).

It is allauth's reset link, handed over by whoever made it: Mailhub has no mail server of its own. Signing in or
setting the password ends it.
"""

from __future__ import annotations

from allauth.account.forms import default_token_generator
from allauth.account.utils import user_pk_to_url_str
from django.conf import settings
from django.db import transaction
from django.urls import reverse

import audit
from accounts.models import Membership, User
from accounts.services.own_people import refuse_unless_own


def password_link(user: User) -> str:
    """The whole address. Whoever holds it can sign in as `user`: show it once, log it never."""
    path = reverse(
        "account_reset_password_from_key",
        kwargs={"uidb36": user_pk_to_url_str(user), "key": default_token_generator.make_token(user)},
    )
    return f"{settings.MAILHUB_BASE_URL}{path}"


def new_password_link(membership: Membership, *, actor: User) -> str:
    """For a member who lost the password or the first link. Raises BelongsElsewhere."""
    with transaction.atomic():
        refuse_unless_own(membership.user, actor=actor)
        audit.record(
            "member.changed",
            actor=actor,
            tenant_id=membership.tenant_id,
            target=membership,
            detail={"set_password_link": "made"},
        )
    return password_link(membership.user)
