"""A whole Mailhub as `make run` starts it, in a temporary folder: real processes, ended as a person ends them."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any, TypeVar

from mailhub.supervisor import descendants
from tests.servers.dovecot import free_ports

ROOT = Path(__file__).resolve().parents[2]
START_SECONDS = 120  # the promise; twelve of them is the rule
STOP_SECONDS = 30
_NOT_OURS = re.compile(r"MAILHUB_|DATABASE_URL|REDIS_URL|REQUESTS_CA_BUNDLE|CURL_CA_BUNDLE|https?_proxy", re.I)
_SHELL = """
import json, sys
from django.db import connections
for line in sys.stdin:
    program, given = json.loads(line)
    exec(program, given)
    connections.close_all()
    print(json.dumps(given["answer"], default=str), flush=True)
"""

T = TypeVar("T")


def until(what: str, look: Callable[[], T], *, seconds: float = 30) -> T:
    """What `look` answers as soon as that is true. Raises AssertionError after `seconds`."""
    deadline = time.monotonic() + seconds
    while True:
        if found := look():
            return found
        assert time.monotonic() < deadline, f"not within {seconds:.0f} s: {what}"
        time.sleep(0.05)


class Installation:
    """`start()` … `stop()`, `restart()`; or a context manager, which also removes the folder.

    `environment` goes over the defaults: a data folder and a port of its own. `url`, `email`, `password`: as printed.
    """

    def __init__(self, **environment: str) -> None:
        self.data = Path(tempfile.mkdtemp(prefix="mhi", dir="/tmp"))  # short: unix sockets have 107 bytes
        (self.port,) = free_ports(1)
        self.url, self.email, self.password = f"http://localhost:{self.port}", "", ""
        self.answered_in = 0.0
        """Seconds from the command to the first page."""
        inherited = {name: value for name, value in os.environ.items() if not _NOT_OURS.match(name)}
        own = {"MAILHUB_DATA": str(self.data), "MAILHUB_PORT": str(self.port), "MAILHUB_WEB_PROCESSES": "1"}
        self.environment = inherited | own | environment
        self._process: subprocess.Popen[bytes] | None = None
        self._shell: subprocess.Popen[str] | None = None
        self._others: list[subprocess.Popen[Any]] = []

    def __enter__(self) -> Installation:
        try:
            return self.start()
        except BaseException:
            self.__exit__(*sys.exc_info())
            raise

    def __exit__(self, *error: object) -> None:
        try:
            if self._process is not None:
                self.stop()
        finally:
            self._kill()
            if error[0] is None:
                shutil.rmtree(self.data, ignore_errors=True)
            else:
                print(f"logs: {self.data}/logs\n{self.output()[-4000:]}")

    # Running ----------------------------------------------------------------------------------------------------------

    def start(self) -> Installation:
        """Returns when the block with the sign-in has been printed. Raises AssertionError with what was said instead."""
        began = time.monotonic()
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "mailhub.run"],
                cwd=ROOT, env=self.environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip
        until("the URL answers", self._answers, seconds=START_SECONDS)
        self.answered_in = time.monotonic() - began
        until("the block that says how to sign in", self._banner, seconds=START_SECONDS)
        return self

    def _answers(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, f"`python -m mailhub.run` ended:\n{self.output()}"
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/livez", timeout=2) as answer:
                return int(answer.status) == 200
        except OSError:
            return False

    def _banner(self) -> bool:
        said = self.output()
        assert self._process is not None
        assert self._process.poll() is None, f"`python -m mailhub.run` ended:\n{said}"
        if "Ctrl-C stops everything" not in said:
            return False
        for name, words in (("url", "Mailhub is running:"), ("email", "Sign in as"), ("password", "Password")):
            found = re.search(rf"│  {words}\s+(\S+)", said)
            assert found, said
            setattr(self, name, found[1])
        return True

    def stop(self) -> float:
        """Ctrl-C. Seconds until it had ended; asserts exit code 0 and that no process of it is left."""
        assert self._process is not None
        for other in self._others:
            other.terminate()
        for other in self._others:
            other.wait(STOP_SECONDS)
        self._others.clear()
        self._shell = None
        process, self._process = self._process, None
        family = descendants(process.pid)
        began = time.monotonic()
        process.send_signal(signal.SIGINT)
        try:
            code = process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process = process
            raise AssertionError(f"it runs on after Ctrl-C:\n{self.output()[-3000:]}") from None
        took = time.monotonic() - began
        assert code == 0, f"exit code {code}:\n{self.output()[-3000:]}"
        left = {pid: _command(pid) for pid in {*family, *self._living()} if is_alive(pid)}
        assert not left, f"left behind: {left}"
        return took

    def restart(self) -> Installation:
        self.stop()
        return self.start()

    def another_worker(self, queue: str) -> None:
        """A second worker beside that of the Procfile, as on another machine; stop() ends it too."""
        with (self.data / "logs" / f"{queue}-more.log").open("ab") as log:
            worker = subprocess.Popen(
                [sys.executable, "manage.py", "rqworker", queue],
                cwd=ROOT, env=self.environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip
        self._others.append(worker)

    def at_work(self, queue: str) -> tuple[int, int]:
        """The pids of a worker on this queue that has a job now, and of the process that it forked for it."""
        workers = [pid for pid in self._living() if _command(pid)[-2:] == ["rqworker", queue]]
        return until(
            f"somebody works on {queue}",
            lambda: next(((_parent(pid), pid) for pid in workers if _parent(pid) in workers), None),
        )

    def _living(self) -> list[int]:
        """Processes whose environment names our folder, wherever they hang by now."""
        wanted = f"MAILHUB_DATA={self.data}\0".encode()
        found = []
        for entry in Path("/proc").glob("[0-9]*/environ"):
            try:
                if wanted in entry.read_bytes() + b"\0":
                    found.append(int(entry.parent.name))
            except OSError:
                continue
        return found

    def _kill(self) -> None:
        """After a failure: whatever is left of ours, by pid."""
        started = [*self._others, *([self._process] if self._process else [])]
        family = [pid for process in started for pid in (process.pid, *descendants(process.pid))]
        for pid in {*family, *self._living()}:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        for process in started:
            process.wait(STOP_SECONDS)
        self._process = None

    # Looking ----------------------------------------------------------------------------------------------------------

    @property
    def _log(self) -> Path:
        return self.data / "run.log"

    def output(self) -> str:
        """All that it has printed since the last start."""
        return self._log.read_text(errors="replace") if self._log.exists() else ""

    def rows(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        """Straight from the database file, read-only. UUIDs are 32 hexadecimal digits there."""
        with closing(sqlite3.connect(f"file:{self.data}/mailhub.sqlite3?mode=ro", uri=True, timeout=20)) as database:
            return database.execute(query, values).fetchall()

    def one(self, query: str, *values: object) -> Any:
        """The only value of the only row."""
        ((value,),) = self.rows(query, *values)
        return value

    def manage(self, *arguments: str, code: int = 0) -> str:
        """What `manage.py` prints on standard output; asserts its exit code."""
        done = subprocess.run(
            [sys.executable, "manage.py", *arguments], cwd=ROOT, env=self.environment, capture_output=True, text=True,
            timeout=120, check=False,
        )  # fmt: skip
        assert done.returncode == code, f"{arguments[0]} ended with {done.returncode}:\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def shell(self, program: str, **given: Any) -> Any:
        """Runs `program` in a process of this installation, with `given` as its variables; answers its `answer`."""
        if self._shell is None:
            self._shell = subprocess.Popen(
                [sys.executable, "manage.py", "shell", "--no-imports", "-c", _SHELL],
                cwd=ROOT, env=self.environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            )  # fmt: skip
            self._others.append(self._shell)
        assert self._shell.stdin and self._shell.stdout
        self._shell.stdin.write(json.dumps([program, given]) + "\n")
        self._shell.stdin.flush()
        said = self._shell.stdout.readline()
        assert said, "the program broke; see its traceback above"
        return json.loads(said)


def is_alive(pid: int) -> bool:
    """Running or stopped; neither gone nor waited for."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def _parent(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[1])
    except OSError:
        return 0


def _command(pid: int) -> list[str]:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text(errors="replace").rstrip("\0").split("\0")
    except OSError:
        return []
