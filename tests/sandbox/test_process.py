from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

from sandbox import endpoints, ports
from tests.sandbox.mail_clients import imap, smtp, trust
from tests.servers.sandbox import ROOT, Sandbox

ALICE, BOB = "alice@sandbox.test", "bob@sandbox.test"


def run(folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    given = os.environ | {"MAILHUB_DATA": str(folder), "MAILHUB_ENV": "local"} | environment
    return subprocess.run(
        [sys.executable, "-m", "sandbox"], cwd=ROOT, env=given, capture_output=True, text=True, timeout=20
    )


def test_it_refuses_to_start_in_production(folder: Path) -> None:
    ended = run(folder, MAILHUB_ENV="production")

    assert ended.returncode == 1
    assert "never runs in production" in ended.stderr
    assert list(folder.iterdir()) == []


def test_everything_survives_a_restart(folder: Path) -> None:
    with Sandbox().start(folder) as sandbox:
        found, keys = sandbox.endpoints, sandbox.session().get(sandbox.discovery["jwks_uri"], timeout=10).json()
        grant = sandbox.grant(ALICE)
        client = imap(sandbox, ALICE, grant["access_token"])
        client.create("Projects")
        client.select("INBOX")
        client.uid("STORE", str(sandbox.mail(ALICE)[0]["uid"]), "+FLAGS", "(\\Flagged $Label)")
        validity = client.response("UIDVALIDITY")[1]
        before = {folder: sandbox.mail(ALICE, folder) for folder in ("INBOX", "Sent", "Archive", "Projects")}
        assert sandbox.stop(signal.SIGINT) == 0

        sandbox.start()
        assert sandbox.endpoints == found
        assert sandbox.session().get(sandbox.discovery["jwks_uri"], timeout=10).json() == keys
        assert {folder: sandbox.mail(ALICE, folder) for folder in before} == before
        client = imap(sandbox, ALICE, grant["access_token"])
        client.select("INBOX")
        assert client.response("UIDVALIDITY")[1] == validity
        assert sandbox.token(grant_type="refresh_token", refresh_token=grant["refresh_token"]).status_code == 200
        replay = sandbox.token(grant_type="refresh_token", refresh_token=grant["refresh_token"])
        assert replay.status_code == 400


def test_a_kill_loses_no_token_and_no_snapshot(folder: Path) -> None:
    with Sandbox().start(folder) as sandbox:
        new = sandbox.deliver(ALICE, subject="kept by the next snapshot")
        state = folder / "sandbox" / "state.sqlite3"
        written = max(path.stat().st_mtime_ns for path in state.parent.glob("state.sqlite3*"))
        until = time.monotonic() + 10
        while max(path.stat().st_mtime_ns for path in state.parent.glob("state.sqlite3*")) == written:
            assert time.monotonic() < until
            time.sleep(0.05)
        before = sandbox.mail(ALICE)
        refreshed = sandbox.token(
            grant_type="refresh_token", refresh_token=sandbox.grant(ALICE)["refresh_token"]
        ).json()
        assert sandbox.stop(signal.SIGKILL) == -signal.SIGKILL

        sandbox.start()
        assert sandbox.mail(ALICE) == before
        assert new["sha256"] == before[-1]["sha256"]
        imap(sandbox, ALICE, refreshed["access_token"]).logout()
        again = sandbox.token(grant_type="refresh_token", refresh_token=refreshed["refresh_token"])
        assert again.status_code == 200


def test_it_ends_within_a_second_with_busy_clients(folder: Path) -> None:
    with Sandbox().start(folder) as sandbox:
        token = sandbox.grant(ALICE)["access_token"]
        idle = imap(sandbox, ALICE, token)
        idle.select("INBOX")
        idle.send(b"i1 IDLE\r\n")
        idle.readline()
        greedy = imap(sandbox, ALICE, token)
        greedy.select("INBOX")
        greedy.send(b"f1 UID FETCH 1:* (BODY.PEEK[])\r\n" * 20)  # never reads the answer
        poster = smtp(sandbox, ALICE, token)
        with socket.create_connection(("localhost", sandbox.endpoints["imap"]["port"])):  # never begins TLS
            started = time.monotonic()
            assert sandbox.stop(signal.SIGTERM) == 0
            assert time.monotonic() - started < 1
        for client in (idle, greedy):
            client.shutdown()
        poster.close()
        assert "Traceback" not in sandbox.log()


def test_a_kept_port_that_is_taken_stops_the_start(folder: Path) -> None:
    where = folder / "sandbox"
    where.mkdir()
    free = ports.listen({})
    numbers = {name: listener.getsockname()[1] for name, listener in free.items()}
    endpoints.write(where / "endpoints.json", endpoints.describe(where, numbers, "secret"))
    with free.pop("smtp"):
        for listener in free.values():
            listener.close()
        ended = run(folder)

    assert ended.returncode == 1
    assert f"port {numbers['smtp']} (smtp, kept since the first start) is taken" in ended.stderr


def test_a_second_one_on_the_same_folder_says_so(sandbox: Sandbox) -> None:
    ended = run(sandbox.data_dir)

    assert ended.returncode == 1
    assert "Is the sandbox running already?" in ended.stderr
    sandbox.control()


def test_a_broken_state_file_is_named(folder: Path) -> None:
    (folder / "sandbox").mkdir()
    (folder / "sandbox" / "state.sqlite3").write_text("this is no database, " * 200)
    ended = run(folder)

    assert ended.returncode == 1
    assert "can't use state.sqlite3" in ended.stderr


def test_files_are_private_and_listeners_are_on_loopback(sandbox: Sandbox) -> None:
    where = sandbox.data_dir / "sandbox"
    modes = {path.name: path.stat().st_mode & 0o777 for path in where.iterdir()}

    assert {name for name, mode in modes.items() if mode != 0o600} <= {
        "ca.pem",
        "state.sqlite3-wal",
        "state.sqlite3-shm",
    }
    assert where.stat().st_mode & 0o777 == 0o700
    assert sandbox.process is not None
    listening = [line.split()[1] for line in Path("/proc/net/tcp").read_text().splitlines() if line.split()[3] == "0A"]
    ours = [address for address in listening if int(address.split(":")[1], 16) in sandbox.endpoints["ports"]]
    assert len(ours) == len(sandbox.endpoints["ports"]) == 8
    assert {address.split(":")[0] for address in ours} == {"0100007F"}


def test_the_endpoints_file_says_all_that_others_need(sandbox: Sandbox) -> None:
    found = json.loads((sandbox.data_dir / "sandbox" / "endpoints.json").read_text())

    assert set(found) == {
        "issuer", "authorization_endpoint", "ca", "client_id", "client_secret", "imap", "imap_starttls", "pop3",
        "pop3_starttls", "smtp", "smtp_starttls", "control", "users", "ports",
    }  # fmt: skip
    assert found["imap"] == {"host": "localhost", "port": found["imap"]["port"], "security": "tls"}
    assert found["smtp_starttls"]["security"] == "starttls"
    assert found["users"] == ["alice@sandbox.test", "bob@sandbox.test", "carol@sandbox.test"]
    assert len(found["client_secret"]) >= 32
    assert trust(sandbox).cert_store_stats()["x509_ca"] == 1
