from __future__ import annotations

from allauth.mfa.models import Authenticator
from django.db import transaction

from accounts import encryption


def rotate_second_factors() -> int:
    """Encrypt every second factor's secret under the installation's first key; the number of factors.

    May be run again at any time. Raises SecondFactorUnreadable; what was done before stays done.
    """
    done = 0
    secret_kinds = (Authenticator.Type.TOTP, Authenticator.Type.RECOVERY_CODES)
    for pk in Authenticator.objects.filter(type__in=secret_kinds).order_by("pk").values_list("pk", flat=True):
        with transaction.atomic():
            factor = Authenticator.objects.select_for_update().filter(pk=pk).first()
            if factor is None:
                continue
            for name in ("secret", "seed"):
                if name in factor.data:
                    factor.data[name] = encryption.rotate(factor.data[name])
            factor.save(update_fields=["data"])
            done += 1
    return done
