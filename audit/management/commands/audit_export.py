from __future__ import annotations

import os
import sys
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from audit.export import export
from audit.models import INSTALLATION
from audit.tenants import chain_of


class Command(BaseCommand):
    help = "Write a chain as JSON lines on standard output; audit_verify --file checks it anywhere."
    requires_system_checks = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        which = parser.add_mutually_exclusive_group(required=True)
        which.add_argument("--tenant", metavar="SLUG", help="the tenant's chain")
        which.add_argument("--installation", action="store_true", help="the chain of what belongs to no tenant")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            chain = INSTALLATION if options["installation"] else chain_of(options["tenant"])
        except LookupError as unknown:
            raise CommandError(str(unknown), returncode=2) from None
        try:
            export(chain, sys.stdout.buffer)
            sys.stdout.buffer.flush()
        except BrokenPipeError:  # the reader has seen enough (head, less): nothing to say about it
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
