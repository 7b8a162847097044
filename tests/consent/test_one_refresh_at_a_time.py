"""Fifty threads of four processes want one expired token: one request, one answer for all."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.servers.oidc_provider import OidcProvider

ROOT = Path(__file__).resolve().parents[2]
PREPARE = """
import os, sys, django
from datetime import timedelta
django.setup()
from django.utils import timezone
from accounts.models import Tenant
from mailboxes.models import ProviderApp, Token
from mailboxes.services import grants
from mailboxes.services.token_endpoint import Answer
issuer, client_id, client_secret, access_token, refresh_token = sys.argv[1:]
tenant = Tenant.objects.create(name="Contoso")
host = issuer.removeprefix("https://")
app = ProviderApp.objects.create(
    tenant=tenant, name="Contoso Mail", preset="oidc", issuer=issuer, client_id=client_id, client_secret=client_secret,
    discovery={"issuer": issuer, "token_endpoint": issuer + "/token"}, pinned_hosts=[host],
)
answer = Answer(access_token, refresh_token, timezone.now() - timedelta(minutes=1), None)
print(grants.store(app, grants.Account(issuer, "anna"), answer, ["mail.imap"]).token.pk)
"""


@pytest.fixture
def installation(tmp_path: Path) -> Iterator[dict[str, str]]:
    """A Mailhub of its own with a database in a file, as processes share it."""
    environment = {
        **os.environ,
        "MAILHUB_DATA": str(tmp_path),
        "MAILHUB_SANDBOX": "off",
        "DJANGO_SETTINGS_MODULE": "mailhub.settings",
        "PYTHONPATH": str(ROOT),
    }
    environment.pop("DATABASE_URL", None)
    subprocess.run([sys.executable, "manage.py", "migrate", "-v", "0"], cwd=ROOT, env=environment, check=True)
    yield environment


def test_fifty_threads_of_four_processes_make_one_request(provider: OidcProvider, installation: dict[str, str]) -> None:
    grant = provider.grant(provider.account("crowd@example.test"))
    given = (provider.issuer, provider.client_id, provider.client_secret, grant["access_token"], grant["refresh_token"])
    made = subprocess.run(
        [sys.executable, "-c", PREPARE, *given], cwd=ROOT, env=installation, check=True, capture_output=True, text=True
    )
    token_id = made.stdout.strip()
    provider.clear()
    provider.fault("delay", 300)  # ms: long enough for everybody to come while it runs

    command = [sys.executable, "-m", "tests.consent.ask_for_bearers", token_id, "13", str(provider.ca_path)]
    crowd = [
        subprocess.Popen(command, cwd=ROOT, env=installation, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for _ in range(4)
    ]
    try:
        for process in crowd:
            assert process.stdout and process.stdout.readline() == "ready\n"
        for process in crowd:
            assert process.stdin
            process.stdin.write("go\n")
            process.stdin.flush()
        answers = [line for process in crowd for line in process.communicate(timeout=60)[0].split("\n") if line]
    finally:
        for process in crowd:
            if process.poll() is None:
                process.kill()
                process.wait()

    assert len(answers) == 52
    assert len(set(answers)) == 1 and len(answers[0]) == 64, set(answers)
    assert provider.seen("token:refresh_token") == 1
