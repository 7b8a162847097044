from __future__ import annotations

import json
from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from accounts.errors import PeopleError
from accounts.services.make_demo import make_demo


class Command(BaseCommand):
    help = "Make the demo sign-in of a local installation and its organisation; does nothing twice."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--json", action="store_true", help="one JSON document on standard output")

    def handle(self, *args: Any, **options: Any) -> None:
        if settings.MAILHUB_ENV != "local":
            raise CommandError("a demo sign-in belongs to a local installation (MAILHUB_ENV=local)", returncode=2)
        try:
            demo = make_demo()
        except PeopleError as error:
            raise CommandError(str(error), returncode=2) from None
        file = str(demo.password_file) if demo.password_file else None
        if options["json"]:
            answer = {"tenant": demo.tenant.slug, "email": demo.user.email, "password_file": file}
            self.stdout.write(json.dumps(answer))
            return
        self.stdout.write(f"{demo.user.email} is an owner of {demo.tenant.name}.")
        self.stdout.write(f"The password is in {file}" if file else "The password is the one you chose.")
