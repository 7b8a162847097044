"""Sign-ins of the standard library's mail clients with a bearer token."""

from __future__ import annotations

import base64
import imaplib
import poplib
import smtplib
import ssl

from tests.servers.sandbox import Sandbox


def trust(sandbox: Sandbox) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=sandbox.endpoints["ca"])


def message(mechanism: str, user: str, token: str) -> str:
    if mechanism == "XOAUTH2":
        return f"user={user}\x01auth=Bearer {token}\x01\x01"
    return f"n,a={user},\x01host=localhost\x01port=1\x01auth=Bearer {token}\x01\x01"


def imap(
    sandbox: Sandbox, user: str, token: str, *, mechanism: str = "XOAUTH2", starttls: bool = False
) -> imaplib.IMAP4:
    port = sandbox.endpoints["imap_starttls" if starttls else "imap"]["port"]
    client: imaplib.IMAP4
    if starttls:
        client = imaplib.IMAP4("localhost", port, timeout=10)
        client.starttls(trust(sandbox))
    else:
        client = imaplib.IMAP4_SSL("localhost", port, ssl_context=trust(sandbox), timeout=10)
    try:
        sent = iter([message(mechanism, user, token).encode(), b""])
        client.authenticate(mechanism, lambda _: next(sent))
    except imaplib.IMAP4.error:
        client.shutdown()
        raise
    return client


def pop3(
    sandbox: Sandbox,
    user: str,
    token: str,
    *,
    mechanism: str = "XOAUTH2",
    starttls: bool = False,
    initial: bool = False,
) -> poplib.POP3:
    port = sandbox.endpoints["pop3_starttls" if starttls else "pop3"]["port"]
    client: poplib.POP3
    if starttls:
        client = poplib.POP3("localhost", port, timeout=10)
        client.stls(trust(sandbox))
    else:
        client = poplib.POP3_SSL("localhost", port, context=trust(sandbox), timeout=10)
    blob = base64.b64encode(message(mechanism, user, token).encode()).decode()
    try:
        if initial:
            answer = client._shortcmd(f"AUTH {mechanism} {blob}")
        else:
            client._shortcmd(f"AUTH {mechanism}")
            answer = client._shortcmd(blob)
        if not answer.startswith(b"+OK"):  # the challenge that says why
            client._shortcmd("")
    except poplib.error_proto:
        client.close()
        raise
    return client


def smtp(
    sandbox: Sandbox,
    user: str,
    token: str,
    *,
    mechanism: str = "XOAUTH2",
    starttls: bool = False,
    initial: bool = False,
) -> smtplib.SMTP:
    port = sandbox.endpoints["smtp_starttls" if starttls else "smtp"]["port"]
    client: smtplib.SMTP
    if starttls:
        client = smtplib.SMTP("localhost", port, timeout=10)
        client.starttls(context=trust(sandbox))
    else:
        client = smtplib.SMTP_SSL("localhost", port, context=trust(sandbox), timeout=10)
    client.ehlo()
    try:
        client.auth(
            mechanism,
            lambda challenge=None: "" if challenge else message(mechanism, user, token),
            initial_response_ok=initial,
        )
    except smtplib.SMTPException:
        client.close()
        raise
    return client
