"""How allauth behaves here: nobody signs up, sign-ins are audited, second factors lie encrypted.

A sign-in belongs to a person, not to one of their tenants: its events go to the installation's chain. (One chain a
transaction; copying a person's sign-ins into each tenant's chain would tell each about work for the others.)
"""

from __future__ import annotations

import time
from typing import Any

from allauth.account import app_settings
from allauth.account.adapter import DefaultAccountAdapter
from allauth.account.authentication import get_authentication_records
from allauth.core import context
from allauth.mfa.adapter import DefaultMFAAdapter
from django.db import transaction
from django.http import HttpRequest

from accounts import encryption
from accounts.services import sign_ins


class AccountAdapter(DefaultAccountAdapter):
    def is_open_for_signup(self, request: HttpRequest) -> bool:
        return False

    def login(self, request: HttpRequest, user: Any) -> None:
        with transaction.atomic():
            super().login(request, user)
            methods = [record.get("type") or record["method"] for record in get_authentication_records(request, user)]
            sign_ins.succeeded(user, methods=methods, ip=self.get_client_ip(request))

    def authentication_failed(self, request: HttpRequest, **credentials: Any) -> None:
        sign_ins.failed(credentials.get("email", ""), method="password", ip=self.get_client_ip(request))

    def is_reauthentication_required(self, *, app: str, **kwargs: Any) -> bool:
        """Not straight after signing in: a first enrolment would otherwise ask for the password twice in a row."""
        return super().is_reauthentication_required(app=app, **kwargs) and not _signed_in_recently(context.request)


def _signed_in_recently(request: HttpRequest) -> bool:
    records = get_authentication_records(request, request.user) if request.user.is_authenticated else []
    return any(time.time() - record["at"] < app_settings.REAUTHENTICATION_TIMEOUT for record in records)


class MFAAdapter(DefaultMFAAdapter):
    """allauth's own `encrypt` returns what it is given: TOTP secrets and recovery seeds would lie in clear."""

    def encrypt(self, text: str) -> str:
        return encryption.encrypt(text)

    def decrypt(self, encrypted_text: str) -> str:
        return encryption.decrypt(encrypted_text)
