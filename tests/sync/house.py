"""A whole installation in a folder of its own: real processes, ended by pid, looked into through its database."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import UUID

from tests.servers.dovecot import Dovecot
from tests.servers.redis import Redis

ROOT = Path(__file__).resolve().parents[2]


class House:
    def __init__(self, dovecot: Dovecot, redis: Redis, *, like: Path | None = None) -> None:
        """`like`: the data folder of another one, whose database and keys are taken over."""
        self.data = Path(tempfile.mkdtemp(prefix="mhh", dir="/tmp"))
        if like:
            shutil.copytree(like, self.data, dirs_exist_ok=True)
        self.dovecot = dovecot
        self.environment = {
            **{
                name: value
                for name, value in os.environ.items()
                if not name.startswith("MAILHUB_") and name != "DATABASE_URL"
            },
            "MAILHUB_DATA": str(self.data),
            "MAILHUB_ENV": "local",
            "MAILHUB_SANDBOX": "off",
            "MAILHUB_ALLOWED_NETWORKS": "127.0.0.0/8",
            "MAILHUB_CA_BUNDLE": str(dovecot.ca_path),
            "REDIS_URL": redis.url,
            "PYTHONPATH": str(ROOT),
        }
        self._processes: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> House:
        return self

    def __exit__(self, *_: object) -> None:
        for process in self._processes:
            if process.poll() is None:
                process.send_signal(signal.SIGCONT)
                process.kill()
                process.wait(10)
        shutil.rmtree(self.data, ignore_errors=True)

    # -- processes ---------------------------------------------------------------------------------------------------

    def inside(self, *arguments: str) -> Any:
        """Runs tests.sync.inside to its end; answers the JSON it prints."""
        done = subprocess.run(
            [sys.executable, "-m", "tests.sync.inside", *arguments],
            env=self.environment, cwd=ROOT, capture_output=True, timeout=120,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr.decode()
        return json.loads(done.stdout)

    def prepare(self, *addresses: str) -> dict[str, str]:
        imap = {"host": self.dovecot.host, "port": self.dovecot.imaps, "security": "tls"}
        made: dict[str, str] = self.inside("prepare", json.dumps(imap), json.dumps(addresses))
        return made

    def start(self, *arguments: str, chunk: int | None = None) -> subprocess.Popen[bytes]:
        """`manage.py ARGUMENTS` in the background, in a group of its own; `chunk`: messages in one transaction."""
        command = (
            ["manage.py", *arguments]
            if chunk is None
            else ["-m", "tests.sync.inside", "manage", str(chunk), *arguments]
        )
        with (self.data / "log").open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, *command],
                env=self.environment, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip
        self._processes.append(process)
        return process

    @property
    def log(self) -> str:
        return (self.data / "log").read_text()

    # -- the database, as another process sees it --------------------------------------------------------------------

    def sql(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        with sqlite3.connect(self.data / "mailhub.sqlite3", timeout=20) as connection:
            rows = connection.execute(statement, values).fetchall()
        connection.close()
        return rows

    def count(self) -> int:
        found: int = self.sql("SELECT count(*) FROM mailboxes_message")[0][0]
        return found

    def time_passes(self) -> None:
        """Every lease has ended and every mailbox is due."""
        self.sql(
            "UPDATE mailboxes_mailbox SET lease_until = CASE WHEN lease_id IS NULL THEN NULL ELSE '2020-01-01 00:00:00' END, "
            "next_poll_at = '2020-01-01 00:00:00'"
        )

    def is_free(self) -> bool:
        """Nobody holds the database's write lock."""
        connection = sqlite3.connect(self.data / "mailhub.sqlite3", timeout=0.05, isolation_level=None)
        try:
            connection.execute("BEGIN IMMEDIATE")
            connection.execute("ROLLBACK")
        except sqlite3.OperationalError:
            return False
        else:
            return True
        finally:
            connection.close()

    def lease(self, mailbox: str) -> tuple[Any, ...]:
        return self.sql("SELECT lease_id, lease_until FROM mailboxes_mailbox WHERE id = ?", UUID(mailbox).hex)[0]


def until(condition: Callable[[], Any], *, seconds: float = 30, why: str = "") -> Any:
    """The first true answer, looked for often. Fails with `why` when there is none in time."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if answer := condition():
            return answer
        time.sleep(0.002)
    raise AssertionError(f"not within {seconds:g} s: {why or condition}")


def horses(worker: subprocess.Popen[bytes]) -> list[int]:
    """The processes of its jobs: each leads a group of its own (the worker has other children as it starts)."""
    try:
        children = Path(f"/proc/{worker.pid}/task/{worker.pid}/children").read_text().split()
        return [pid for pid in map(int, children) if os.getpgid(pid) == pid]
    except (FileNotFoundError, ProcessLookupError):
        return []


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in ("Z", "X")
    except (FileNotFoundError, ProcessLookupError):
        return False
