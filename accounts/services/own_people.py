from __future__ import annotations

from accounts.errors import BelongsElsewhere
from accounts.models import User
from accounts.roles import Right
from audit.actor import Actor


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


def refuse_strangers(user: User, *, actor: Actor) -> None:
    """Raises BelongsElsewhere when `user` has an account that nobody `actor` answers for has ever vouched for.

    Whoever makes an account hands out its first password, and no address is verified here: an owner of another
    organisation could have made this one, and would then come in through it. A platform operator may vouch.
    """
    if not isinstance(actor, User) or actor.is_superuser:
        return
    ours = user.memberships.filter(tenant__in=actor.tenants_with(Right.MEMBERS_CHANGE).order_by().values("pk"))
    if not ours.exists():
        raise BelongsElsewhere(
            f"{user} has an account here that another organisation made. "
            "Ask the operator of this installation to add them."
        )
