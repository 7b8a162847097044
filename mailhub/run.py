"""`make run`: everything that a laptop needs, in the foreground, ended by Ctrl-C.

Prepares the data folder (migrations, static files, the demo sign-in), then hands over to the supervisor.
"""

from __future__ import annotations

import fcntl
import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path

from mailhub import env, redis_socket
from mailhub.supervisor import Supervisor, read_procfile

ROOT = Path(__file__).resolve().parent.parent
BANNER = """
  ┌───────────────────────────────────────────────────────────────
  │  Mailhub is running:  {url}
  │
  │  Sign in as   {email}
  │  Password     {password}
  │               (made for this installation; press “Not now” when it asks for a second factor)
  │
  │  Ctrl-C stops everything. Data and logs stay in {data}
  └───────────────────────────────────────────────────────────────
"""


def say(name: str, line: str) -> None:
    """A line on the terminal; the queue server's own chatter stays in its log file."""
    if name == "redis" and not line.startswith("ended"):
        return
    print(f"{name:>10} │ {line}", flush=True)  # noqa: T201


def lock(data: Path) -> object:
    """One `make run` for each data folder. Raises SystemExit when another one is running."""
    handle = (data / "run.lock").open("a+")
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        raise SystemExit(f"Mailhub is already running on {data}. Stop it there, or set MAILHUB_DATA.") from None
    return handle


def check_port(port: int) -> None:
    """Raises SystemExit when something else listens there: better now than after all has started."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            raise SystemExit(
                f"Port {port} on 127.0.0.1 is taken by another program. Choose another: MAILHUB_PORT={port + 1} make run"
            ) from None


def manage(*arguments: str) -> None:
    """A management command as a process of its own; its failure ends the start with its own words."""
    done = subprocess.run([sys.executable, str(ROOT / "manage.py"), *arguments], check=False)
    if done.returncode:
        raise SystemExit(f"`manage.py {' '.join(arguments)}` failed; see above. Nothing was started.")


def wait_for(what: str, check: Callable[[], bool], give_up: Callable[[], bool], *, seconds: float = 60) -> None:
    """Until `check` holds; quietly back when the supervisor is being stopped. Raises SystemExit after `seconds`."""
    deadline = time.monotonic() + seconds
    while not check():
        if give_up():
            return
        if time.monotonic() > deadline:
            raise SystemExit(f"{what} did not come up within {seconds:.0f} s; see the lines above and the logs folder.")
        time.sleep(0.05)


def socket_answers(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(str(path))
            probe.sendall(b"PING\r\n")
            return probe.recv(16).startswith(b"+PONG")
        except OSError:
            return False


def web_answers(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=2) as answer:
            return int(answer.status) == 200
    except OSError:  # URLError is one too
        return False


def main() -> int:
    os.chdir(ROOT)
    os.environ.setdefault("MAILHUB_ENV", "local")
    os.environ["PYTHONUNBUFFERED"] = "1"
    if os.environ["MAILHUB_ENV"] != "local":
        raise SystemExit("`make run` is for local use. In production run the processes of docs/deploy/ instead.")
    data = Path(env.text("MAILHUB_DATA", str(ROOT / "var"))).resolve()
    data.mkdir(parents=True, exist_ok=True, mode=0o700)
    os.environ["MAILHUB_DATA"] = str(data)
    port = env.number("MAILHUB_PORT", 8000, least=1)
    os.environ["MAILHUB_PORT"] = str(port)
    url = os.environ.setdefault("MAILHUB_BASE_URL", f"http://localhost:{port}")
    held = lock(data)
    check_port(port)
    commands = read_procfile(ROOT / "Procfile")
    if "REDIS_URL" in os.environ:
        del commands["redis"]
    if not env.switch("MAILHUB_SANDBOX", True):
        del commands["sandbox"]
    manage("prepare")
    supervisor = Supervisor(commands, data / "logs", say)
    stopping = supervisor.stopping.is_set
    endpoints = data / "sandbox" / "endpoints.json"
    began = time.time()
    demo = Demo()
    if "sandbox" not in commands:
        demo.prepare()

    def sandbox_is_up() -> None:
        wait_for("The sandbox", lambda: endpoints.exists() and endpoints.stat().st_mtime >= began - 1, stopping)
        demo.prepare()  # beside the other processes' start

    code = supervisor.run(
        {
            "redis": lambda: wait_for("The queue's server", lambda: socket_answers(redis_socket.path(data)), stopping),
            "sandbox": sandbox_is_up,
            "web": lambda: wait_for("The web server", lambda: web_answers(port), stopping),
        },
        lambda: demo.show(url, data),
    )
    print("\n  Mailhub has stopped; your data stays in", data)  # noqa: T201
    del held
    return code


class Demo:
    """The demo organisation, its sandbox and its sign-in: prepared while the processes start, shown when they answer."""

    def prepare(self) -> None:
        self.running = subprocess.Popen(
            [sys.executable, str(ROOT / "manage.py"), "prepare", "--finish"], stdout=subprocess.PIPE, text=True
        )

    def show(self, url: str, data: Path) -> None:
        """The one block that says how to get in. Raises SystemExit when it could not be prepared."""
        said, _ = self.running.communicate()
        if self.running.returncode:
            raise SystemExit("The demo organisation could not be finished; see above.")
        demo = json.loads(said)
        password = demo["password"] or "the one you chose"
        print(BANNER.format(url=url, email=demo["email"], password=password, data=data), flush=True)  # noqa: T201


if __name__ == "__main__":
    sys.exit(main())
