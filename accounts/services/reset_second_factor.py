from __future__ import annotations

from allauth.mfa.models import Authenticator
from django.db import transaction

import audit
from accounts.models import Membership, User
from accounts.services.own_people import refuse_unless_own


def reset_second_factor(membership: Membership, *, actor: User) -> bool:
    """Remove all factors of a member who lost theirs: the next page asks for a new one, in every session.

    False when there was none. Raises BelongsElsewhere.
    """
    with transaction.atomic():
        refuse_unless_own(membership.user, actor=actor)
        kinds = sorted(Authenticator.objects.filter(user=membership.user).values_list("type", flat=True))
        if not kinds:
            return False
        Authenticator.objects.filter(user=membership.user).delete()
        audit.record(
            "secondfactor.removed",
            actor=actor,
            tenant_id=membership.tenant_id,
            target=membership,
            detail={"kinds": kinds},
        )
    return True
