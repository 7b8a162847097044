"""One command as a process of its own: how long, how much CPU, how much memory, and what others took meanwhile."""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

_TICK = os.sysconf("SC_CLK_TCK")
READY = "BENCH_READY"  # environment: the descriptor on which a process says "ready" and its CPU seconds so far


class BenchFailed(Exception):
    """No figure: a program failed, took too long, or did not do the whole work. The text says which."""


@dataclass(frozen=True, slots=True)
class Measured:
    seconds: float
    """From the start of the process to its end."""
    cpu: float
    """Seconds, user and system, of the process and of its children."""
    rss: float | None
    """MiB at the peak, of its largest process; None: too little to be told from ours."""
    started: float
    """Of `seconds`: until it said that it was ready to work; 0 where nothing says so."""
    started_cpu: float
    others: float
    """Share of the machine, 0 to 1, that programs outside of this run took meanwhile."""


def run(command: Sequence[str], log: Path, *, limit: float, env: Mapping[str, str] | None = None) -> Measured:
    """Raises BenchFailed when it does not end well within `limit` seconds."""
    told, tell = os.pipe()
    environment = {**(os.environ if env is None else env), READY: str(tell)}
    busy, ours, start = _busy(), _ours(), time.perf_counter()
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, env=environment, stdout=output, stderr=output, pass_fds=(tell,), start_new_session=True
        )
    os.close(tell)
    timer = threading.Timer(limit, _end, (process.pid,))
    timer.start()
    try:
        with os.fdopen(told) as ready:  # ends with the process at the latest
            line = ready.readline()
            started = time.perf_counter() - start if line else 0.0
        _, status, used = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - start
    except BaseException:
        _end(process.pid)
        process.wait()
        raise
    finally:
        timer.cancel()
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        text = log.read_text(errors="replace")[-2000:]
        why = f"took longer than {limit:.0f} s" if seconds >= limit else f"ended with status {process.returncode}"
        raise BenchFailed(f"{command[0]} {why}: {text}")
    others = max(0.0, _busy() - busy - (_ours() - ours)) / seconds / (os.cpu_count() or 1)
    # Linux counts what the parent had at the fork as the child's peak
    own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    rss = used.ru_maxrss / 1024 if used.ru_maxrss > own else None
    return Measured(seconds, used.ru_utime + used.ru_stime, rss, started, float(line or 0), others)


def quiet(limit: float = 8.0, idle: float = 0.85) -> None:
    """Waits until the machine was idle for half a second, at most `limit` seconds: it may be shared."""
    end = time.monotonic() + limit
    while time.monotonic() < end:
        busy, start = _busy(), time.perf_counter()
        time.sleep(0.5)
        if (_busy() - busy) / (time.perf_counter() - start) / (os.cpu_count() or 1) < 1 - idle:
            return


def _end(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL)


def _busy() -> float:
    """CPU seconds that this machine was not idle since its start."""
    user, nice, system, _, _, irq, softirq, steal = map(int, Path("/proc/stat").read_text().split(None, 9)[1:9])
    return (user + nice + system + irq + softirq + steal) / _TICK


def _ours() -> float:
    """CPU seconds of this process and all below it, ended children included."""
    children: dict[int, list[int]] = {}
    cpu: dict[int, float] = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            with contextlib.suppress(OSError):
                fields = (folder / "stat").read_text().rpartition(")")[2].split()
                children.setdefault(int(fields[1]), []).append(int(folder.name))
                cpu[int(folder.name)] = sum(map(int, fields[11:15])) / _TICK
    total, left = 0.0, [os.getpid()]
    while left:
        pid = left.pop()
        total += cpu.get(pid, 0.0)
        left += children.get(pid, [])
    return total
