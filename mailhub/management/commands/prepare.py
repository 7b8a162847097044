"""What an installation needs before its processes start: tables, static files, locally the demo sign-in and the sandbox."""

from __future__ import annotations

from typing import Any

from django.apps import apps
from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandParser


class Command(BaseCommand):
    help = "Prepares database and static files; locally also the demo organisation. Safe to run again."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--sandbox",
            action="store_true",
            help="only register the running sandbox as a provider app of the demo organisation",
        )

    def handle(self, *args: Any, sandbox: bool = False, **options: Any) -> None:
        if sandbox:
            self.register_sandbox()
            return
        call_command("migrate", verbosity=0, interactive=False)
        call_command("createcachetable", verbosity=0)
        call_command("collectstatic", verbosity=0, interactive=False)
        call_command("check", databases=["default"], fail_level="ERROR")
        if settings.MAILHUB_ENV == "local":
            call_command("create_demo", verbosity=0)

    def register_sandbox(self) -> None:
        from mailboxes.services.provider_apps import ensure_sandbox_app

        for tenant in apps.get_model("accounts", "Tenant").objects.filter(slug=settings.MAILHUB_DEMO_TENANT):
            ensure_sandbox_app(tenant)
