"""python -m sandbox: one event loop for the mail servers, threads for HTTP, one folder for what stays."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sqlite3
import ssl
import sys
import threading
from datetime import UTC, datetime, timedelta
from typing import Any

from sandbox import endpoints, environment, oidc, ports, samples, tls, web
from sandbox.client import Client
from sandbox.consent import ConsentPage
from sandbox.control import Control
from sandbox.environment import Environment
from sandbox.faults import Faults
from sandbox.imap import ImapServer
from sandbox.oauth import Server
from sandbox.persist import Snapshot
from sandbox.pop3 import Pop3Server
from sandbox.post_office import PostOffice
from sandbox.provider import Provider
from sandbox.refused import Refused
from sandbox.smtp import SmtpServer
from sandbox.store import Grants

SAVE_EVERY = 1.0  # seconds
LAST_WORD = 0.5  # seconds for open sessions to end once everything is saved

log = logging.getLogger("sandbox")


async def run(settings: Environment) -> None:
    """Serve until SIGTERM or SIGINT. Raises Refused."""
    loop, stop = asyncio.get_running_loop(), asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    loop.set_exception_handler(_quietly)
    folder = settings.folder
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    kept = endpoints.read(folder / "endpoints.json")
    sockets = ports.listen(kept.ports)
    numbers = {name: listener.getsockname()[1] for name, listener in sockets.items()}
    described = endpoints.describe(folder, numbers, kept.client_secret)
    context = tls.ensure(folder)

    snapshot, faults, office = Snapshot(folder / "state.sqlite3"), Faults(), PostOffice()
    grants = Grants(snapshot.keep_tokens)
    grants.restore(snapshot.tokens())
    mail = snapshot.folders()
    await office.open(mail)
    if not mail:
        yesterday = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=1)
        await samples.seed(office, yesterday)
    snapshot.save(office)

    imap = ImapServer(office, grants, faults, context)
    servers: dict[str, ImapServer | Pop3Server | SmtpServer] = {
        "imap": imap,
        "pop3": Pop3Server(office, grants, faults, context),
        "smtp": SmtpServer(office, grants, faults, context),
    }
    for name, server in servers.items():
        await server.start(sockets[name], implicit_tls=True)
        await server.start(sockets[f"{name}_starttls"], implicit_tls=False)
    key = oidc.load_key(folder / "signing.key")
    issuer = oidc.Issuer(described["issuer"], f"http://localhost:{numbers['browser']}", faults)
    client = Client(described["client_id"], kept.client_secret, settings.base_url)
    oauth = Server(client, issuer, key, grants, faults)
    provider = Provider(oauth, key, ConsentPage(oauth))
    control = Control(loop, office, grants, faults, imap)
    web.serve(sockets["issuer"], provider.tls_routes(), context=context)
    web.serve(sockets["browser"], provider.browser_routes() | control.routes())
    endpoints.write(folder / "endpoints.json", described)
    log.info("sandbox ready: %s, mail for %s", described["issuer"], ", ".join(described["users"]))

    while not stop.is_set():
        try:
            await asyncio.wait_for(stop.wait(), SAVE_EVERY)
        except TimeoutError:
            snapshot.save(office)
    snapshot.save(office)
    snapshot.close()
    _end_soon()


def _end_soon() -> None:
    """All is saved: a client that doesn't read its last line must not hold the process."""
    watchdog = threading.Timer(LAST_WORD, os._exit, (0,))
    watchdog.daemon = True
    watchdog.start()


def _quietly(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Clients that go away or don't trust our CA are no news."""
    if not isinstance(context.get("exception"), ConnectionError | ssl.SSLError | TimeoutError):
        loop.default_exception_handler(context)


def main() -> int:
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    log.setLevel(logging.INFO)
    try:
        asyncio.run(run(environment.read()))
    except Refused as error:
        sys.stderr.write(f"The sandbox does not start: {error}\n")
        return 1
    except sqlite3.DatabaseError as error:
        sys.stderr.write(
            f"The sandbox can't use state.sqlite3 ({error}). Delete it to begin with the sample mail again.\n"
        )
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
