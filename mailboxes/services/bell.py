"""Redis as a bell: connections with time-outs, jobs with ids alone, and how long the queues are."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import redis
from django.conf import settings
from rq import Queue, Worker

JOB_SECONDS = 900
KEPT_SECONDS = 3600  # of a failed job, for the operator to look at

Pairs = list[tuple[str, str]]


@lru_cache(maxsize=1)
def connection() -> redis.Redis:
    """One pool a process. django-rq's own connections have no time-outs when the server is named by URL."""
    return redis.Redis.from_url(settings.REDIS_URL, socket_connect_timeout=2, socket_timeout=5)


def queue(name: str) -> Queue:
    return Queue(name, connection=connection(), default_timeout=JOB_SECONDS)


def ring(name: str, function: str, *arguments: Any) -> None:
    """Enqueues a job at once, by the dotted name of its function. Raises redis.RedisError.

    What it is about stands in the database; a job that is lost is rung for again.
    """
    queue(name).enqueue(function, *arguments, result_ttl=0, failure_ttl=KEPT_SECONDS)


def waiting(name: str) -> int:
    """Jobs that no worker has begun. Raises redis.RedisError."""
    return int(queue(name).count)


def state(name: str) -> tuple[int, int]:
    """Workers of the queue, jobs that wait. Raises redis.RedisError."""
    return Worker.count(queue=queue(name)), waiting(name)
