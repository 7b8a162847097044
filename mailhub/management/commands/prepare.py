"""What an installation needs before its processes start: tables, static files, locally the demo sign-in and the sandbox."""

from __future__ import annotations

import json
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandParser


class Command(BaseCommand):
    help = "Prepares database and static files; locally also the demo organisation. Safe to run again."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--finish",
            action="store_true",
            help="once the processes run: registers the sandbox as a provider app; prints the demo sign-in as JSON",
        )

    def handle(self, *args: Any, finish: bool = False, **options: Any) -> None:
        if finish:
            self.stdout.write(json.dumps(self.demo()))
            return
        call_command("migrate", verbosity=0, interactive=False)
        call_command("createcachetable", verbosity=0)
        call_command("collectstatic", verbosity=0, interactive=False)
        call_command("check", databases=["default"], fail_level="ERROR", stdout=self.stderr)
        if settings.MAILHUB_ENV == "local":
            self.demo()

    def demo(self) -> dict[str, str | None]:
        """{"email", "password"}; the password is null when the demo person has chosen another one."""
        from accounts.services.make_demo import make_demo
        from mailboxes.services.egress import sandbox_endpoints
        from mailboxes.services.provider_apps import ensure_sandbox_app

        demo = make_demo()
        if sandbox_endpoints() is not None:
            ensure_sandbox_app(demo.tenant)
        password = demo.password_file.read_text().strip() if demo.password_file else None
        return {"email": demo.user.email, "password": password}
