from __future__ import annotations

import json
import sys
from argparse import ArgumentParser
from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError
from django.core.validators import validate_email

from accounts.errors import PeopleError
from accounts.services.create_tenant import create_tenant
from accounts.services.password_link import password_link
from audit.actor import SYSTEM


class Command(BaseCommand):
    help = "Make an organisation and its first owner, who enrols a second factor at the first sign-in."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("name")
        parser.add_argument("--owner", required=True, metavar="EMAIL")
        parser.add_argument(
            "--password-stdin", action="store_true", help="read the owner's password from its first line"
        )
        parser.add_argument("--json", action="store_true", help="one JSON document on standard output")

    def handle(self, *args: Any, **options: Any) -> None:
        password = sys.stdin.readline().rstrip("\r\n") if options["password_stdin"] else None
        try:
            if not options["name"].strip():
                raise ValidationError("The name is empty.")
            validate_email(options["owner"])
            created = create_tenant(options["name"], owner_email=options["owner"], password=password, actor=SYSTEM)
        except ValidationError as error:
            raise CommandError(" ".join(error.messages), returncode=2) from None
        except PeopleError as error:
            raise CommandError(str(error), returncode=2) from None
        link = password_link(created.owner) if created.needs_password else None
        if options["json"]:
            answer = {"tenant": created.tenant.slug, "owner": created.owner.email}
            self.stdout.write(json.dumps(answer | ({"set_password": link} if link else {})))
            return
        self.stdout.write(
            f"{created.tenant.name} ({created.tenant.slug}) was created. Its owner: {created.owner.email}"
        )
        if link:
            self.stdout.write(f"They set a password here, once, within 24 hours:\n{link}")
