"""python -m bench.product.connect ADDRESS TOKEN HOST PORT: the rows of a connected mailbox, as a consent leaves them."""

from __future__ import annotations

import os
import sys
from datetime import timedelta

import django


def main(address: str, token: str, host: str, port: int) -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "mailhub.settings")
    django.setup()
    from django.core.management import call_command
    from django.utils import timezone

    from accounts.models import Tenant
    from mailboxes.models import Mailbox, ProviderApp, Token

    call_command("migrate", verbosity=0, interactive=False)
    call_command("createcachetable", verbosity=0)
    tenant = Tenant.objects.create(name="Bench", slug="bench")
    app = ProviderApp.objects.create(
        tenant=tenant,
        name="Provider",
        preset=ProviderApp.Preset.OIDC,
        issuer="https://provider.example",
        client_id="mailhub",
        imap={"host": host, "port": port, "security": "tls"},
        pinned_hosts=["provider.example:443"],
    )
    grant = Token.objects.create(
        tenant=tenant,
        provider_app=app,
        issuer=app.issuer,
        subject=address,
        account=address,
        access_token=token,
        expires_at=timezone.now() + timedelta(days=1),
    )
    Mailbox.objects.create(
        tenant=tenant,
        provider_app=app,
        token=grant,
        address=address,
        send=False,
        state=Mailbox.State.ACTIVE,
        next_poll_at=timezone.now(),
    )


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4]))
