"""Ctrl-C ends everything, also what ignores signals, in the right order; nothing survives the supervisor."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from mailhub.supervisor import descendants

RUN = """
import sys, pathlib
from mailhub.supervisor import Supervisor, read_procfile
folder = pathlib.Path(sys.argv[1])
show = lambda name, line: print(f"{name}: {line}", flush=True)
sys.exit(Supervisor(read_procfile(folder / "Procfile"), folder / "logs", show).run({}, lambda: show("all", "ready")))
"""
POLITE = """
import signal, sys, time, pathlib
def stop(*_):
    with open("{stops}", "a") as file: file.write("{name}\\n")
    sys.exit(0)
signal.signal(signal.SIGTERM, stop)
print("up", flush=True)
while True: time.sleep(0.05)
"""
STUBBORN = """
import os, signal, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN); signal.signal(signal.SIGINT, signal.SIG_IGN)
if os.fork() == 0:
    os.setsid()
print("up", flush=True)
while True: time.sleep(0.05)
"""


def eventually(condition: Callable[[], bool], seconds: float = 10) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.02)
    return False


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def start(folder: Path, scripts: dict[str, str]) -> subprocess.Popen[bytes]:
    lines = []
    for name, script in scripts.items():
        (folder / f"{name}.py").write_text(script.replace("{stops}", str(folder / "stops")).replace("{name}", name))
        lines.append(f"{name}: python {folder / name}.py")
    (folder / "Procfile").write_text("\n".join(lines))
    return subprocess.Popen(
        [sys.executable, "-c", RUN, str(folder)], stdout=subprocess.DEVNULL, cwd=Path(__file__).parents[2]
    )


def up(folder: Path, name: str) -> bool:
    log = folder / "logs" / f"{name}.log"
    return log.exists() and "up" in log.read_text()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path


def test_ctrl_c_stops_what_leans_on_others_first(folder: Path) -> None:
    supervisor = start(folder, {"redis": POLITE, "sync": POLITE, "web": POLITE})
    assert eventually(lambda: all(up(folder, name) for name in ("redis", "sync", "web")))

    supervisor.send_signal(signal.SIGINT)

    assert supervisor.wait(15) == 0
    stops = (folder / "stops").read_text().split()
    assert sorted(stops) == ["redis", "sync", "web"]
    assert stops[-1] == "redis"


def test_ctrl_c_ends_a_process_that_ignores_signals_and_its_children(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    supervisor = start(folder, {"sync": STUBBORN})
    assert eventually(lambda: up(folder, "sync") and len(descendants(supervisor.pid)) == 2)
    family = descendants(supervisor.pid)

    supervisor.send_signal(signal.SIGINT)

    assert supervisor.wait(20) == 0
    assert not [pid for pid in family if alive(pid)]


def test_a_process_that_ends_is_started_again(folder: Path) -> None:
    supervisor = start(folder, {"sync": "print('up', flush=True)"})
    log = folder / "logs" / "sync.log"
    try:
        assert eventually(lambda: log.exists() and log.read_text().count("up") >= 2, 15)
    finally:
        supervisor.send_signal(signal.SIGTERM)
        supervisor.wait(15)


def test_a_killed_supervisor_leaves_nobody(folder: Path) -> None:
    supervisor = start(folder, {"redis": POLITE, "web": POLITE})
    assert eventually(lambda: up(folder, "redis") and up(folder, "web"))
    family = descendants(supervisor.pid)
    assert len(family) == 2

    os.kill(supervisor.pid, signal.SIGKILL)
    supervisor.wait(5)

    assert eventually(lambda: not [pid for pid in family if alive(pid)])
