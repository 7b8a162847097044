from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from urllib.parse import quote
from uuid import uuid4

import pytest
from django.db import connection

PROCESSES, THREADS, EACH = 3, 3, 15


def run(environment: dict[str, str], *command: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", *command], env=environment, check=True, capture_output=True, text=True, timeout=120
    )
    return done.stdout


@pytest.fixture
def shared_database(transactional_db: None, tmp_path: Path) -> dict[str, str]:
    """Environment of processes that share one database: a file of SQLite, or this test's own on PostgreSQL."""
    environment = {**os.environ, "MAILHUB_DATA": str(tmp_path)}
    if connection.vendor == "sqlite":
        environment["DATABASE_URL"] = f"sqlite:///{tmp_path / 'shared.sqlite3'}"
        run(environment, "django", "migrate", "audit", "--verbosity=0", "--skip-checks")
    else:
        at = connection.settings_dict
        login = f"{at['USER']}:{quote(at['PASSWORD'])}"
        environment["DATABASE_URL"] = f"postgres://{login}@{at['HOST']}:{at['PORT']}/{at['NAME']}"
    return environment


@pytest.mark.both_databases
def test_processes_and_threads_append_to_one_new_chain_without_a_gap_or_a_fork(shared_database: dict[str, str]) -> None:
    chain = str(uuid4())
    command = [sys.executable, "-m", "tests.audit.append_many", chain, str(EACH), str(THREADS)]
    appenders = [
        subprocess.Popen(command, env=shared_database, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for _ in range(PROCESSES)
    ]
    try:
        assert [appender.stdout.readline() for appender in appenders if appender.stdout] == ["ready\n"] * PROCESSES
        for appender in appenders:
            assert appender.stdin
            appender.stdin.write("go\n")
            appender.stdin.flush()
        statuses = [appender.wait(120) for appender in appenders]
    finally:
        for appender in appenders:
            appender.kill()
            appender.communicate()

    assert statuses == [0] * PROCESSES
    found = json.loads(run(shared_database, "django", "audit_verify", "--json"))
    assert (found["chain"], found["ok"], found["count"]) == (chain, True, PROCESSES * THREADS * EACH)
