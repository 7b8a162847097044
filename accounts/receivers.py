"""allauth tells of factors, codes and passwords by signals alone; each receiver calls one service."""

from __future__ import annotations

from typing import Any

from allauth.account import signals as account_signals
from allauth.account.adapter import get_adapter
from allauth.mfa import signals as mfa_signals
from django.dispatch import receiver
from django.http import HttpRequest

from accounts import second_factor
from accounts.services import sign_ins


@receiver(mfa_signals.authenticator_added, dispatch_uid="accounts.factor_added")
def factor_added(request: HttpRequest, user: Any, authenticator: Any, **kwargs: Any) -> None:
    sign_ins.second_factor_added(user, kind=authenticator.type)
    if authenticator.type in second_factor.FACTORS:
        second_factor.remember_set_up(request, user, authenticator)


@receiver(mfa_signals.authenticator_removed, dispatch_uid="accounts.factor_removed")
def factor_removed(user: Any, authenticator: Any, **kwargs: Any) -> None:
    sign_ins.second_factor_removed(user, kind=authenticator.type)


@receiver(mfa_signals.authenticator_reset, dispatch_uid="accounts.factor_reset")
def factor_reset(user: Any, authenticator: Any, **kwargs: Any) -> None:
    sign_ins.second_factor_added(user, kind=authenticator.type)


@receiver(mfa_signals.authentication_failed, dispatch_uid="accounts.code_refused")
def code_refused(request: HttpRequest, user: Any, authenticator: Any, **kwargs: Any) -> None:
    sign_ins.failed(user.email, method=authenticator.type, ip=get_adapter(request).get_client_ip(request))


@receiver(account_signals.password_changed, dispatch_uid="accounts.password_changed")
@receiver(account_signals.password_set, dispatch_uid="accounts.password_set")
def password_changed(user: Any, **kwargs: Any) -> None:
    sign_ins.password_changed(user, how="changed")


@receiver(account_signals.password_reset, dispatch_uid="accounts.password_reset")
def password_reset(user: Any, **kwargs: Any) -> None:
    sign_ins.password_changed(user, how="link")
