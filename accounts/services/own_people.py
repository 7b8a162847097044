from __future__ import annotations

from accounts.errors import BelongsElsewhere
from accounts.models import User
from accounts.roles import Right


def refuse_unless_own(user: User, *, actor: User) -> None:
    """Raises BelongsElsewhere unless `actor` answers for every tenant that `user` belongs to.

    Whoever can give out a new password or remove a second factor can become that person: an owner of one
    organisation must not enter another that way, nor become a platform operator.
    """
    elsewhere = user.memberships.exclude(tenant__in=actor.tenants_with(Right.MEMBERS_CHANGE).order_by().values("pk"))
    if user.is_superuser or elsewhere.exists():
        raise BelongsElsewhere(
            f"{user} does not belong to your organisation alone. Ask the operator of this installation: "
            "`manage.py changepassword` sets a new password."
        )
