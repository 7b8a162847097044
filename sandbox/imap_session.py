"""What a signed-in IMAP client meets: pymap's session over our folders, opened by a bearer token alone."""

from __future__ import annotations

import binascii
import ssl
from argparse import Namespace
from base64 import b64decode
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from typing import NoReturn

from pymap.backend.dict import Config as DictConfig
from pymap.backend.dict import Login as DictLogin
from pymap.backend.dict import Session
from pymap.backend.dict.filter import FilterSet
from pymap.exceptions import InvalidAuth
from pymap.interfaces.login import IdentityInterface
from pymap.parsing import Params
from pymap.parsing.command.nonauth import AuthenticateCommand
from pymap.parsing.commands import Commands
from pymap.parsing.exceptions import NotParseable
from pymap.selected import SelectedMailbox
from pymap.user import UserMetadata
from pysasl import SASLAuth
from pysasl.creds.server import ServerCredentials

from sandbox.folders import SPECIAL_USE
from sandbox.post_office import PostOffice
from sandbox.sasl import PATTERNS, BearerCredentials, BearerMechanism
from sandbox.store import Grants

SCOPE = "mail.imap"


class Authenticate(AuthenticateCommand):
    """AUTHENTICATE with an initial response (SASL-IR, RFC 4959), which pymap answers BAD."""

    initial: bytes | None = None

    @classmethod
    def parse(cls, buf: memoryview, params: Params) -> tuple[AuthenticateCommand, memoryview]:
        mechanism, _, rest = bytes(buf).rstrip(b"\r\n").lstrip().partition(b" ")
        command, after = super().parse(memoryview(b" " + mechanism + b"\r\n"), params)
        if rest and isinstance(command, Authenticate):
            try:
                command.initial = b"" if rest == b"=" else b64decode(rest, validate=True)
            except binascii.Error as error:
                raise NotParseable(buf) from error
        return command, after


class Config(DictConfig):
    def __init__(self, grants: Grants, context: ssl.SSLContext, *, implicit_tls: bool) -> None:
        super().__init__(
            Namespace(passlib_cfg=None, proxy_protocol=None),
            host=None,
            port=0,
            ssl_context=context,
            tls_enabled=not implicit_tls,
            reject_dnsbl=False,
            demo_data=False,
            demo_user="",
            demo_password="",
        )
        self._mechanisms = [BearerMechanism(grants, name, SCOPE) for name in PATTERNS]

    @property
    def tls_auth(self) -> SASLAuth:
        return SASLAuth(self._mechanisms)

    @property
    def initial_capability(self) -> Sequence[bytes]:
        return [*super().initial_capability, b"SASL-IR", b"SPECIAL-USE"]

    @property
    def greeting(self) -> bytes:  # pymap's own looks the host's name up
        return b"Mailhub sandbox ready."

    @property
    def commands(self) -> Commands:
        commands = Commands()
        commands.register(Authenticate)
        return commands


class SpecialUseSession(Session):
    async def list_mailboxes(
        self, ref_name: str, filter_: str, subscribed: bool = False, selected: SelectedMailbox | None = None
    ) -> tuple[Iterable[tuple[str, str | None, Sequence[bytes]]], SelectedMailbox | None]:
        rows, updates = await super().list_mailboxes(ref_name, filter_, subscribed, selected)
        marked = [
            (name, delimiter, [*attributes, *([name.encode()] if name in SPECIAL_USE else [])])
            for name, delimiter, attributes in rows
        ]
        return marked, updates


class Identity(IdentityInterface):
    def __init__(self, name: str, config: DictConfig, office: PostOffice) -> None:
        self._name, self._config, self._office = name, config, office

    @property
    def name(self) -> str:
        return self._name

    @property
    def roles(self) -> frozenset[str]:
        return frozenset()

    @asynccontextmanager
    async def new_session(self) -> AsyncIterator[Session]:
        yield SpecialUseSession(self._name, self._config, self._office.mailboxes[self._name], FilterSet())

    async def new_token(self, *, expiration: datetime | None = None) -> None:
        return None

    # pymap's administration of users, which no IMAP command reaches.
    async def get(self) -> NoReturn:
        raise NotImplementedError

    async def set(self, metadata: UserMetadata) -> NoReturn:
        raise NotImplementedError

    async def delete(self) -> NoReturn:
        raise NotImplementedError


class Login(DictLogin):
    def __init__(self, config: DictConfig, office: PostOffice) -> None:
        super().__init__(config)
        self._office = office

    async def authenticate(self, credentials: ServerCredentials) -> IdentityInterface:  # type: ignore[override]
        if not isinstance(credentials, BearerCredentials) or not credentials.accepted:
            raise InvalidAuth
        return Identity(credentials.authzid, self.config, self._office)

    async def authorize(self, authenticated: IdentityInterface, authzid: str) -> IdentityInterface:  # type: ignore[override]
        return authenticated
