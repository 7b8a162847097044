"""RQ's worker, as TRAPS.md found it must be: its horse hears SIGTERM, dies with it, and logs are quiet.

RQ 2.12 lets its horse run on when the worker is asked to end, or is killed: Ctrl-C would wait for the whole job. Ours
passes SIGTERM on; the horse then ends after its chunk. Run by `manage.py rqworker QUEUE` (settings.RQ, WORKER_CLASS).
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import sys
from importlib import import_module
from typing import Any

from rq import Worker as RqWorker
from rq.job import Job
from rq.queue import Queue

from mailboxes import faults
from mailboxes.jobs import collector, horse

HEARTBEAT_SECONDS = 60  # an idle worker tells that it lives; one that was killed is forgotten soon after
LONGEST_WAIT_FOR_REDIS = 5.0  # seconds between two tries
PR_SET_PDEATHSIG = 1  # prctl(2)
ENDINGS = (signal.SIGTERM, signal.SIGINT)


class Worker(RqWorker):
    max_connection_wait_time = LONGEST_WAIT_FOR_REDIS

    def __init__(self, queues: Any, *args: Any, **kwargs: Any) -> None:
        kwargs["worker_ttl"] = HEARTBEAT_SECONDS
        kwargs["log_job_description"] = False
        super().__init__(queues, *args, **kwargs)
        if len(self.queues) != 1:
            raise ValueError("one queue a worker: RQ may lose the job of a worker on several")
        import_module(f"mailboxes.jobs.{self.queues[0].name}")  # here once, not in each horse anew

    def work(self, *args: Any, **kwargs: Any) -> bool:
        kwargs["logging_level"] = "WARNING"
        collector.spare_what_stays()
        return bool(super().work(*args, **kwargs))

    def subscribe(self) -> None:
        """No thread for commands over Redis: there shall be none when the horse is forked, and no deed comes that way."""

    def fork_work_horse(self, job: Job, queue: Queue) -> None:
        """Signals wait until both sides are ready: ours knows the horse's pid, the horse has handlers of its own."""
        signal.pthread_sigmask(signal.SIG_BLOCK, ENDINGS)
        try:
            super().fork_work_horse(job, queue)  # the horse does not come back from here
            with contextlib.suppress(OSError):
                os.setpgid(self.horse_pid, self.horse_pid)  # before a signal to its group could reach ours
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, ENDINGS)

    def setup_work_horse_signals(self) -> None:
        """In the horse, before its job."""
        if sys.platform == "linux":
            ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != self.pid:
            os._exit(1)  # the worker died before we could ask to die with it
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal sends it to the horse too; the worker decides
        signal.signal(signal.SIGTERM, horse.asked_to_stop)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, ENDINGS)

    def handle_exception(self, job: Job, *exc_info: Any) -> None:
        """RQ's would log the exception's text and the job's arguments."""
        self.log.error("job %s in queue %s failed: %s", job.id, job.origin, faults.told(exc_info[1]))

    def handle_job_failure(
        self, job: Job, queue: Queue, started_job_registry: Any = None, exc_string: str = ""
    ) -> None:
        """What Redis keeps of it; without an exception (a horse that died) the words are RQ's own."""
        if (error := sys.exception()) is not None:
            exc_string = faults.told(error)
        super().handle_job_failure(job, queue, started_job_registry, exc_string)

    def handle_warm_shutdown_request(self) -> None:
        if self.horse_pid:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.horse_pid, signal.SIGTERM)
