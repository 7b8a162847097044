"""gunicorn's settings: threads, because a page may wait for a provider; no access log, because request_log.py redacts."""

import os

bind = f"127.0.0.1:{os.environ.get('MAILHUB_PORT', '8000')}"
workers = int(os.environ.get("MAILHUB_WEB_PROCESSES", "2"))
worker_class = "gthread"
threads = 8
timeout = 60  # seconds; a consent's callback may take 15 for the live sign-in
graceful_timeout = 8
keepalive = 5
preload_app = False
control_socket_disable = True
worker_tmp_dir = "/dev/shm" if os.path.isdir("/dev/shm") else None  # noqa: PTH112, S108 - heartbeats don't touch the disk
