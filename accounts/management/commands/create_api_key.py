from __future__ import annotations

import json
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from accounts.models import Tenant
from accounts.models.api_key import KEY_ROLES
from accounts.roles import Role
from accounts.services.create_api_key import create_api_key
from audit.actor import SYSTEM


class Command(BaseCommand):
    help = "Make an API key for a program. It is printed once; Mailhub keeps only its hash."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--tenant", required=True, metavar="SLUG", help="the organisation that the key belongs to")
        parser.add_argument("--name", required=True, help="what people read in lists and in the audit log")
        parser.add_argument("--role", required=True, choices=[role.value for role in KEY_ROLES])
        parser.add_argument("--read-mail", action="store_true", help="may read mail; no role does by itself")
        parser.add_argument("--days", type=int, metavar="N", help="ends by itself after N days; without it, never")
        parser.add_argument("--json", action="store_true", help="one JSON document on standard output")

    def handle(self, *args: Any, **options: Any) -> None:
        name, days = options["name"].strip(), options["days"]
        tenant = Tenant.objects.filter(slug=options["tenant"]).first()
        if tenant is None:
            raise CommandError(f"there is no tenant {options['tenant']!r}", returncode=2)
        if not name or len(name) > 80 or not name.isprintable():
            raise CommandError("--name takes 1 to 80 plain characters", returncode=2)
        if days is not None and not 1 <= days <= 3650:
            raise CommandError("--days takes a number from 1 to 3650", returncode=2)
        made = create_api_key(
            tenant, name=name, role=Role(options["role"]), may_read_mail=options["read_mail"], days=days, actor=SYSTEM
        )
        if options["json"]:
            self.stdout.write(json.dumps({"key": made.key}))
            return
        until = f"until {made.row.expires_at:%-d %B %Y}" if made.row.expires_at else "until it is revoked"
        reads = "reads mail" if made.row.may_read_mail else "reads no mail"
        self.stdout.write(f"{name}: {made.row.get_role_display()} of {tenant.name}, {reads}, {until}.")
        self.stdout.write(f"The key, shown only now:\n{made.key}")
