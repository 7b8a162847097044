"""Starts the processes of the Procfile in their order, keeps them up, and stops them in the reverse order.

Each has a session of its own, so that Ctrl-C in the terminal reaches the supervisor alone and the queue's server does
not die under a worker. What a killed process leaves behind becomes our child (PR_SET_CHILD_SUBREAPER) and is ended too.
"""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TextIO

PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36  # linux/prctl.h
PATIENCE = 10.0  # seconds between SIGTERM and SIGKILL: a worker ends after its chunk, within 8
CALM = 30.0  # seconds: who ran longer than this is restarted at once


def _prctl(option: int, value: int) -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(option, value, 0, 0, 0)


def read_procfile(path: Path) -> dict[str, list[str]]:
    """Name → command, in the file's order; `python` and our tools mean those of this virtual environment."""
    tools = Path(sys.executable).parent
    found = {}
    for line in path.read_text().splitlines():
        name, separator, command = line.partition(":")
        if separator and not line.startswith("#"):
            words = command.split()
            if (tools / words[0]).exists():
                words[0] = str(tools / words[0])
            found[name.strip()] = words
    return found


class Child:
    """One process of the Procfile; its output goes line by line to its log file and to `show`."""

    def __init__(self, name: str, command: list[str], log: Path, show: Callable[[str, str], None]) -> None:
        self.name, self.command, self.show = name, command, show
        self.log: TextIO = log.open("a", buffering=1, encoding="utf-8", errors="replace")
        self.process: subprocess.Popen[str] | None = None
        self.started = self.not_before = 0.0
        self.failures = 0

    def start(self) -> None:
        parent = os.getpid()

        def in_child() -> None:
            _prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
            if os.getppid() != parent:  # the supervisor died in between
                os._exit(1)

        self.started = time.monotonic()
        self.process = subprocess.Popen(
            self.command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,
            preexec_fn=in_child,
        )
        threading.Thread(target=self._copy, args=(self.process,), daemon=True).start()

    def _copy(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        for line in process.stdout:
            self.log.write(line)
            self.show(self.name, line.rstrip("\n"))

    @property
    def ended(self) -> bool:
        return self.process is not None and self.process.poll() is not None

    def signal(self, number: signal.Signals) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(number)

    def kill_group(self) -> None:
        """The process and whatever of its session is left."""
        if self.process is not None:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self.process.pid, signal.SIGKILL)


class Supervisor:
    """Runs until SIGINT or SIGTERM, or until `stop()`."""

    def __init__(self, commands: dict[str, list[str]], logs: Path, show: Callable[[str, str], None]) -> None:
        logs.mkdir(parents=True, exist_ok=True)
        self.show = show
        self.children = [Child(name, command, logs / f"{name}.log", show) for name, command in commands.items()]
        self.stopping = threading.Event()

    def run(self, after_start: dict[str, Callable[[], None]], ready: Callable[[], None]) -> int:
        """Starts all (`after_start[name]` may wait until that one answers), calls `ready`, watches; 0 after a stop."""
        _prctl(PR_SET_CHILD_SUBREAPER, 1)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, lambda *_: self.stopping.set())
        try:
            for child in self.children:
                if self.stopping.is_set():
                    return 0
                child.start()
                if wait := after_start.get(child.name):
                    wait()
            if not self.stopping.is_set():
                ready()
            while not self.stopping.wait(0.5):
                self._restart_ended()
            return 0
        finally:
            self._stop_all()

    def _restart_ended(self) -> None:
        now = time.monotonic()
        for child in self.children:
            if child.ended and child.not_before <= child.started:
                assert child.process is not None
                child.failures = 0 if now - child.started > CALM else child.failures + 1
                pause = min(30.0, 2.0 ** (child.failures - 1)) if child.failures else 0.0
                child.not_before = now + pause
                self.show(child.name, f"ended with {child.process.returncode}; starts again in {pause:.0f} s")
            elif child.ended and now >= child.not_before:
                child.start()

    def _stop_all(self) -> None:
        """Reverse order of the Procfile; workers, dispatcher and web end together, what they lean on afterwards."""
        late = {"redis", "sandbox"}
        self._stop([c for c in reversed(self.children) if c.name not in late])
        self._stop([c for c in reversed(self.children) if c.name in late])
        self._end_orphans()

    def _stop(self, children: list[Child]) -> None:
        running = [c for c in children if c.process is not None]
        for child in running:
            child.signal(signal.SIGTERM)
        deadline = time.monotonic() + PATIENCE
        for child in running:
            assert child.process is not None
            try:
                child.process.wait(max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                self.show(child.name, f"did not end within {PATIENCE:.0f} s and is killed")
        for child in running:
            child.kill_group()
            assert child.process is not None
            child.process.wait()

    def _end_orphans(self) -> None:
        """Grandchildren (a horse whose worker was killed) are ours by now; none may stay behind."""
        for pid in descendants(os.getpid()):
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        while True:
            try:
                os.waitpid(-1, 0)
            except ChildProcessError:
                return


def descendants(pid: int) -> list[int]:
    """All living processes below `pid`, by /proc (Linux); empty elsewhere."""
    parents: dict[int, list[int]] = {}
    for entry in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = entry.read_text().rsplit(")", 1)[1].split()
        except (OSError, IndexError):
            continue
        if fields[0] != "Z":
            parents.setdefault(int(fields[1]), []).append(int(entry.parent.name))
    found, look = [], [pid]
    while look:
        children = parents.get(look.pop(), [])
        found += children
        look += children
    return found
