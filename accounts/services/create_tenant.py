from __future__ import annotations

from dataclasses import dataclass

from django.contrib.auth.password_validation import validate_password
from django.db import IntegrityError, transaction

import audit
from accounts.errors import WrongPassword
from accounts.models import Membership, Tenant, User
from accounts.roles import Role
from audit.actor import Actor

ATTEMPTS = 5  # two tenants of one name, made at the same moment, want the same slug


@dataclass(frozen=True)
class Created:
    tenant: Tenant
    owner: User
    needs_password: bool  # nobody can sign in as the owner yet: give them a set-password link


def create_tenant(name: str, *, owner_email: str, password: str | None = None, actor: Actor) -> Created:
    """A new organisation with its first owner, who may read mail.

    The owner's account is made when there is none; `password` is then theirs. Raises ValidationError for a weak
    password, WrongPassword when the account exists and `password` is not its own.
    """
    with transaction.atomic():
        owner = _owner(owner_email.strip(), password)
        tenant = _tenant(name.strip())
        membership = Membership.objects.create(tenant=tenant, user=owner, role=Role.OWNER, may_read_mail=True)
        audit.record("tenant.created", actor=actor, tenant_id=tenant.pk, target=tenant, detail={"slug": tenant.slug})
        audit.record(
            "member.added",
            actor=actor,
            tenant_id=tenant.pk,
            target=membership,
            detail={"role": str(Role.OWNER), "may_read_mail": True},
        )
    return Created(tenant, owner, needs_password=not owner.has_usable_password())


def _owner(email: str, password: str | None) -> User:
    known: User | None = User.objects.filter(email=email.lower()).first()
    if known is None:
        if password is not None:
            validate_password(password, User(email=email.lower()))
        return User.objects.create_user(email, password)
    if password is not None and not known.check_password(password):
        raise WrongPassword(f"{known} has an account already, with another password. Leave the password out.")
    return known


def _tenant(name: str) -> Tenant:
    for attempt in range(1, ATTEMPTS + 1):
        try:
            with transaction.atomic():
                return Tenant.objects.create(name=name)
        except IntegrityError:
            if attempt == ATTEMPTS:
                raise
    raise AssertionError("unreachable")
