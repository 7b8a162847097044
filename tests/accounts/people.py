"""People for tests: one short maker a noun."""

from __future__ import annotations

from itertools import count
from urllib.parse import urlsplit

from allauth.mfa.models import Authenticator
from django.conf import settings
from django.test import Client

from accounts.encryption import encrypt
from accounts.models import Membership, Tenant, User
from accounts.roles import Role
from accounts.second_factor import SET_UP_KEY

PASSWORD = "correct horse battery staple"
TOTP_SECRET = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"
_number = count(1)


def make_tenant(name: str = "Contoso") -> Tenant:
    return Tenant.objects.create(name=name)


def make_user(email: str = "", **fields: object) -> User:
    return User.objects.create_user(email or f"person{next(_number)}@example.org", PASSWORD, **fields)


def make_member(tenant: Tenant, role: Role = Role.OWNER, *, user: User | None = None, reads: bool = False) -> User:
    user = user or make_user()
    Membership.objects.create(tenant=tenant, user=user, role=role, may_read_mail=reads)
    return user


def enrol(user: User) -> Authenticator:
    return Authenticator.objects.create(user=user, type=Authenticator.Type.TOTP, data={"secret": encrypt(TOTP_SECRET)})


def browser() -> Client:
    """Signed out, at the address that the installation calls its own."""
    return Client(headers={"host": urlsplit(settings.MAILHUB_BASE_URL).netloc})


def signed_in(user: User) -> Client:
    """A browser whose session used a second factor."""
    client = browser()
    client.force_login(user)
    factor = Authenticator.objects.filter(user=user).first() or enrol(user)
    session = client.session
    session[SET_UP_KEY] = (str(user.pk), factor.pk)
    session.save()
    return client
