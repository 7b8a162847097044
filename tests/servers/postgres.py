"""A real PostgreSQL of Debian's package, in a temporary folder, for the tests that run on both databases.

    python -m tests.servers.postgres -- pytest -m both_databases

starts the server, runs the command with DATABASE_URL set, stops the server and answers with the command's exit code.
Without the package it is installed when this runs as root; otherwise it says what to install and what was left out,
and fails only where nothing may be left out (CI=true).
"""

from __future__ import annotations

import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psycopg

PACKAGE = "postgresql-15"
START_SECONDS = 30
STOP_SECONDS = 20


class NotInstalledError(RuntimeError):
    """The package is missing and only root can install it."""


class Postgres:
    """One server with an empty database; `url` is its DATABASE_URL. Also a context manager."""

    def __init__(self) -> None:
        self.url = ""
        self._process: subprocess.Popen[bytes] | None = None
        self._folder: Path | None = None

    def __enter__(self) -> Postgres:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Raises NotInstalledError, or RuntimeError with the end of the server's log."""
        binaries = _binaries()
        self._folder = Path(tempfile.mkdtemp(prefix="mailhub-postgres-", dir="/tmp"))  # sockets want short paths
        try:
            password = secrets.token_urlsafe(18)
            self._initialise(binaries, password)
            port = _free_port()
            self.url = f"postgres://mailhub:{password}@127.0.0.1:{port}/postgres"
            with (self._folder / "log").open("wb") as log:
                self._process = subprocess.Popen(
                    [*_unprivileged(dies_with_us=True), str(binaries / "postgres"), *self._options(port)],
                    cwd=self._folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                )  # fmt: skip
            self._wait()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """End the server by its pid and remove its folder."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)  # "fast": sessions are ended, then the server
            try:
                self._process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self._process.send_signal(signal.SIGQUIT)
                self._process.wait(STOP_SECONDS)
        self._process = None
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
            self._folder = None

    def _initialise(self, binaries: Path, password: str) -> None:
        assert self._folder
        secret = self._folder / "password"
        secret.write_text(password)
        if os.geteuid() == 0:
            server = _server_account()
            for path in (self._folder, secret):
                os.chown(path, server.pw_uid, server.pw_gid)
        subprocess.run(
            [*_unprivileged(), str(binaries / "initdb"), "--no-sync", "--encoding=UTF8", "--locale=C.UTF-8",
             "--auth=scram-sha-256", "--username=mailhub", f"--pwfile={secret}", "-D", str(self._folder / "data")],
            cwd=self._folder, check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, timeout=120,
        )  # fmt: skip

    def _options(self, port: int) -> list[str]:
        settings = {
            "listen_addresses": "127.0.0.1",
            "port": str(port),
            "unix_socket_directories": str(self._folder),
            "fsync": "off",
            "synchronous_commit": "off",
            "full_page_writes": "off",
            "max_connections": "60",
            "timezone": "UTC",
        }
        return ["-D", f"{self._folder}/data", *(part for pair in settings.items() for part in ("-c", "=".join(pair)))]

    def _wait(self) -> None:
        assert self._process
        assert self._folder
        until = time.monotonic() + START_SECONDS
        while time.monotonic() < until and self._process.poll() is None:
            try:
                psycopg.connect(self.url, connect_timeout=5).close()
            except psycopg.OperationalError:
                time.sleep(0.05)
            else:
                return
        tail = (self._folder / "log").read_text(errors="replace")[-2000:]
        raise RuntimeError(f"PostgreSQL did not start:\n{tail}")


def install() -> None:
    """Install Debian's package (root only), without the cluster that it would make and start."""
    without_cluster = Path("/etc/postgresql-common/createcluster.d/no-cluster-for-tests.conf")
    without_cluster.parent.mkdir(parents=True, exist_ok=True)
    without_cluster.write_text("create_main_cluster = false\n")
    quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    subprocess.run(["apt-get", "update", "-qq"], check=True, env=quiet)
    subprocess.run(["apt-get", "install", "-y", "-qq", "--no-install-recommends", PACKAGE], check=True, env=quiet)


def _binaries() -> Path:
    """The newest server's folder; installs the package first when there is none."""
    found = _newest()
    if found is None:
        if os.geteuid() != 0:
            raise NotInstalledError(f"no PostgreSQL server here: apt-get install {PACKAGE}")
        install()
        found = _newest()
    if found is None:
        raise NotInstalledError(f"{PACKAGE} was installed, but there is no server in /usr/lib/postgresql")
    return found


def _newest() -> Path | None:
    servers = [path.parent for path in Path("/usr/lib/postgresql").glob("*/bin/postgres")]
    return max(servers, key=lambda path: float(path.parent.name), default=None)


def _server_account() -> pwd.struct_passwd:
    try:
        return pwd.getpwnam("postgres")
    except KeyError:
        return pwd.getpwnam("nobody")


def _unprivileged(*, dies_with_us: bool = False) -> list[str]:
    """PostgreSQL refuses to run as root; and a server whose test run was killed must not stay behind."""
    command = ["setpriv"]
    if os.geteuid() == 0:
        server = _server_account()
        command += [f"--reuid={server.pw_uid}", f"--regid={server.pw_gid}", "--clear-groups"]
    if dies_with_us:
        command += ["--pdeathsig=INT"]
    return [*command, "--"] if len(command) > 1 else []


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def main(arguments: list[str]) -> int:
    command = arguments[1:] if arguments[:1] == ["--"] else arguments
    if not command:
        print("usage: python -m tests.servers.postgres -- COMMAND…", file=sys.stderr)
        return 2
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # ends the server too
    try:
        with Postgres() as server:
            return subprocess.run(command, env={**os.environ, "DATABASE_URL": server.url}).returncode
    except NotInstalledError as missing:
        print(f"{missing}\nleft out: {' '.join(command)}", file=sys.stderr)
        return 1 if os.environ.get("CI") == "true" else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
