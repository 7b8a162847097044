"""The PostgreSQL of the tests (tests/servers/postgres.py)."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import psycopg
import pytest

from tests.servers import postgres


def ended(pid: int, *, within: float) -> bool:
    until = time.monotonic() + within
    while time.monotonic() < until:
        try:
            if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
                return True
        except FileNotFoundError:
            return True
        time.sleep(0.05)
    return False


def test_a_server_answers_at_its_url_as_nobody_special_and_leaves_nothing_behind() -> None:
    with postgres.Postgres() as server:
        with psycopg.connect(server.url) as connection:
            row = connection.execute("SELECT current_setting('data_directory'), pg_postmaster_start_time()").fetchone()
        assert row
        data = Path(row[0])
        pid = int((data / "postmaster.pid").read_text().splitlines()[0])
        assert Path(f"/proc/{pid}").stat().st_uid != 0

    assert not data.parent.exists()
    assert ended(pid, within=0.1)


def test_a_command_gets_the_url_and_its_exit_status_is_handed_on() -> None:
    code = "import os, psycopg, sys; psycopg.connect(os.environ['DATABASE_URL']).close(); sys.exit(7)"

    assert postgres.main(["--", sys.executable, "-c", code]) == 7
    assert postgres.main([]) == 2


def test_a_killed_run_leaves_no_server() -> None:
    code = """
import os, psycopg, sys
with psycopg.connect(os.environ["DATABASE_URL"]) as connection:
    print(*connection.execute("SELECT current_setting('data_directory')").fetchone(), flush=True)
sys.stdin.read()
"""
    command = [sys.executable, "-m", "tests.servers.postgres", "--", sys.executable, "-c", code]
    run = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert run.stdout
    data = Path(run.stdout.readline().strip())
    pid = int((data / "postmaster.pid").read_text().splitlines()[0])

    os.kill(run.pid, signal.SIGKILL)
    run.communicate()

    assert ended(pid, within=20)
    shutil.rmtree(data.parent)


@pytest.mark.parametrize(("ci", "status"), [("", 0), ("true", 1)])
def test_without_the_package_and_without_root_it_says_what_is_missing_and_what_was_left_out(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], ci: str, status: int
) -> None:
    monkeypatch.setenv("CI", ci)
    monkeypatch.setattr(postgres, "_newest", lambda: None)
    monkeypatch.setattr(os, "geteuid", lambda: 1000)

    assert postgres.main(["--", "pytest", "-m", "both_databases"]) == status
    said = capsys.readouterr().err
    assert "apt-get install postgresql-15" in said
    assert "left out: pytest -m both_databases" in said
