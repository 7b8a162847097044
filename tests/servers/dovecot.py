"""Debian's own Dovecot 2.3 in a temporary folder: IMAP, POP3 and submission with OAuth 2, ended by its pid."""

from __future__ import annotations

import contextlib
import itertools
import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote, urlsplit

import trustme
from imapclient import imap_utf7

PACKAGES = ("dovecot-core", "dovecot-imapd", "dovecot-pop3d", "dovecot-submissiond")
BINARY = "/usr/sbin/dovecot"
SPECIAL_USE = {"Sent": "\\Sent", "Drafts": "\\Drafts", "Junk": "\\Junk", "Trash": "\\Trash", "Archive": "\\Archive"}
_numbers = itertools.count()


class ServerMissing(Exception):
    """Not installed and not to be installed here; the text says what to install."""


def ensure_installed() -> None:
    """Installs Debian's packages when that is possible, without letting the package start its service.

    Raises ServerMissing without root, or when the packages cannot be had.
    """
    if Path(BINARY).exists() and Path("/usr/lib/dovecot/submission").exists():
        return
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        raise ServerMissing(f"needs Debian's packages {' '.join(PACKAGES)}")
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    policy = Path("/usr/sbin/policy-rc.d")  # Debian asks it before a package may start a service
    ours = not policy.exists()
    if ours:
        policy.write_text("#!/bin/sh\nexit 101\n")
        policy.chmod(0o755)
    try:
        for command in (("update",), ("install", "-y", "--no-install-recommends", *PACKAGES)):
            subprocess.run(("apt-get", "-qq", *command), env=environment, check=True, capture_output=True, timeout=300)
    except subprocess.SubprocessError as error:
        raise ServerMissing(f"Debian's packages {' '.join(PACKAGES)} cannot be installed") from error
    finally:
        if ours:
            policy.unlink()


def free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(count)]
        for sock in sockets:
            sock.bind(("127.0.0.1", 0))
        return [int(sock.getsockname()[1]) for sock in sockets]


@dataclass
class Dovecot:
    """`start()` … `stop()`, or a context manager. Any user name exists; its mail lies in `home(user)`.

    introspection_url, client_id, client_secret: the OAuth provider's introspection endpoint (RFC 7662) and the
    client that may ask it; introspection_ca: a PEM file when it is https. `scopes` may demand a scope for a protocol:
    {"imap": "mail.imap", …}. `relay`: where submission hands mail on. `password` also opens PLAIN and LOGIN, for peers
    that know no OAuth; None: bearer tokens alone. `settings` is appended to the configuration.
    """

    introspection_url: str
    client_id: str = ""
    client_secret: str = ""
    introspection_ca: Path | None = None
    username_attribute: str = "username"
    scopes: dict[str, str] = field(default_factory=dict)
    relay: tuple[str, int] | None = None
    password: str | None = None
    settings: str = ""
    names: tuple[str, ...] = ("localhost", "127.0.0.1")
    ca: trustme.CA = field(default_factory=trustme.CA)

    def __post_init__(self) -> None:
        self.host = "localhost"
        self.imap, self.imaps, self.pop3, self.pop3s, self.submission = free_ports(5)
        self._process: subprocess.Popen[bytes] | None = None
        self._folder = Path(tempfile.mkdtemp(prefix="mhd", dir="/tmp"))  # short: unix sockets have 107 bytes
        root = os.geteuid() == 0
        me = pwd.getpwuid(os.geteuid()).pw_name
        self._internal, self._login = ("dovecot", "dovenull") if root else (me, me)
        self._owner = pwd.getpwnam("nobody") if root else pwd.getpwuid(os.geteuid())

    def __enter__(self) -> Dovecot:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def ca_path(self) -> Path:
        return self._folder / "ca.pem"

    @property
    def log(self) -> str:
        return (self._folder / "log").read_text() if (self._folder / "log").exists() else ""

    def home(self, user: str) -> Path:
        return self._folder / "mail" / user.lower()

    def start(self) -> None:
        ensure_installed()
        self._folder.chmod(0o755)
        (self._folder / "mail").mkdir()
        os.chown(self._folder / "mail", self._owner.pw_uid, self._owner.pw_gid)
        self.ca.cert_pem.write_to_path(self.ca_path)
        certificate = self.ca.issue_cert(*self.names)
        certificate.private_key_pem.write_to_path(self._folder / "key.pem")
        for number, blob in enumerate(certificate.cert_chain_pems):
            blob.write_to_path(self._folder / "cert.pem", append=number > 0)
        for protocol in ("imap", "pop3", "submission"):
            (self._folder / f"oauth-{protocol}.conf").write_text(self._oauth(protocol))
        (self._folder / "dovecot.conf").write_text(self._configuration())
        with (self._folder / "stderr").open("wb") as errors:
            self._process = subprocess.Popen([BINARY, "-F", "-c", str(self._folder / "dovecot.conf")], stderr=errors)
        try:
            self._wait()
        except BaseException:
            self.stop()
            raise

    def _wait(self) -> None:
        limit = time.monotonic() + 15
        while time.monotonic() < limit:
            if self._process is None or self._process.poll() is not None:
                raise RuntimeError(f"Dovecot ended: {(self._folder / 'stderr').read_text()} {self.log}")
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.imap), 1) as probe:
                probe.settimeout(5)
                if probe.recv(4) == b"* OK":
                    return
            time.sleep(0.02)
        raise RuntimeError(f"Dovecot does not answer: {self.log}")

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            try:
                self._process.wait(10)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            self._process = None
        shutil.rmtree(self._folder, ignore_errors=True)

    def doveadm(self, *arguments: str, stdin: bytes = b"") -> str:
        command = ["doveadm", "-c", str(self._folder / "dovecot.conf"), *arguments]
        return subprocess.run(command, input=stdin, capture_output=True, check=True, timeout=30).stdout.decode()

    def deliver(self, user: str, raw: bytes, folder: str = "INBOX") -> None:
        """Drops a message into the Maildir as it is; the server gives it a UID at its next look."""
        home = self.home(user)
        maildir = home / "Maildir"
        if folder != "INBOX":
            maildir /= imap_utf7.encode(folder).decode()
        if not (maildir / "tmp").exists():
            self.doveadm("mailbox", "create", "-u", user, folder) if folder != "INBOX" else self._maildir(home)
        name = f"{time.time_ns() // 10**9}.M{next(_numbers):09d}P{os.getpid()}.localhost,S={len(raw)}"
        (maildir / "tmp" / name).write_bytes(raw)
        os.chown(maildir / "tmp" / name, self._owner.pw_uid, self._owner.pw_gid)
        (maildir / "tmp" / name).rename(maildir / "new" / name)

    def _maildir(self, home: Path) -> None:
        for part in (home, *(home / "Maildir" / name for name in ("", "tmp", "new", "cur"))):
            part.mkdir(exist_ok=True)
            os.chown(part, self._owner.pw_uid, self._owner.pw_gid)

    def _oauth(self, protocol: str) -> str:
        parts = urlsplit(self.introspection_url)
        who = f"{quote(self.client_id, safe='')}:{quote(self.client_secret, safe='')}@" if self.client_id else ""
        lines = [
            "introspection_mode = post",
            f"introspection_url = {parts._replace(netloc=who + parts.netloc).geturl()}",
            f"username_attribute = {self.username_attribute}",
            "active_attribute = active",
            "active_value = true",
            "force_introspection = yes",
            "timeout_msecs = 5000",
            "max_parallel_connections = 10",
        ]
        if self.introspection_ca:
            lines += [f"tls_ca_cert_file = {self.introspection_ca}", "tls_allow_invalid_cert = no"]
        if scope := self.scopes.get(protocol):
            lines.append(f"scope = {scope}")
        return "\n".join(lines) + "\n"

    def _configuration(self) -> str:
        folder = self._folder
        plain = (
            f"passdb {{\n driver = static\n mechanisms = plain login\n args = password={self.password}\n}}\n"
            if self.password
            else ""
        )
        bearer = "".join(
            f"protocol {protocol} {{\n passdb {{\n driver = oauth2\n mechanisms = xoauth2 oauthbearer\n"
            f" args = {folder}/oauth-{protocol}.conf\n }}\n}}\n"
            for protocol in ("imap", "pop3", "submission")
        )
        mailboxes = "".join(
            f" mailbox {name} {{\n auto = create\n special_use = {use}\n }}\n" for name, use in SPECIAL_USE.items()
        )
        listeners = "".join(
            f"service {service}-login {{\n chroot =\n service_count = 0\n process_min_avail = 1\n"
            + "".join(
                f" inet_listener {name} {{\n port = {port}\n ssl = {'yes' if name.endswith('s') else 'no'}\n }}\n"
                for name, port in ports.items()
            )
            + "}\n"
            for service, ports in {
                "imap": {"imap": self.imap, "imaps": self.imaps},
                "pop3": {"pop3": self.pop3, "pop3s": self.pop3s},
                "submission": {"submission": self.submission},
            }.items()
        )
        relay = (
            f"submission_relay_host = {self.relay[0]}\nsubmission_relay_port = {self.relay[1]}\n" if self.relay else ""
        )
        return f"""
base_dir = {folder}/base
state_dir = {folder}/state
log_path = {folder}/log
protocols = imap pop3 submission
listen = 127.0.0.1
instance_name = {folder.name}
hostname = localhost
ssl = yes
ssl_cert = <{folder}/cert.pem
ssl_key = <{folder}/key.pem
ssl_min_protocol = TLSv1.2
disable_plaintext_auth = yes
auth_mechanisms = {"plain login " if self.password else ""}xoauth2 oauthbearer
auth_username_format = %Lu
auth_failure_delay = 0
auth_cache_size = 0
default_internal_user = {self._internal}
default_login_user = {self._login}
first_valid_uid = 1
first_valid_gid = 1
mail_location = maildir:~/Maildir:LAYOUT=fs
mail_max_userip_connections = 100
userdb {{
  driver = static
  args = uid={self._owner.pw_uid} gid={self._owner.pw_gid} home={folder}/mail/%Lu allow_all_users=yes
}}
namespace inbox {{
  inbox = yes
  separator = /
{mailboxes}}}
service stats {{
  unix_listener stats-writer {{
    mode = 0666
  }}
}}
service imap {{
  service_count = 100
}}
service auth {{
  client_limit = 5000
}}
service anvil {{
  unix_listener anvil-auth-penalty {{
    mode = 0
  }}
}}
{listeners}{plain}{bearer}{relay}{self.settings}
"""
