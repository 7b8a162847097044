"""HTTPS through the one door of network.py: for discovery, JWKS, tokens, revocation, webhooks.

What it raises are requests' own exceptions, because allauth and Authlib expect them; `mail_error` translates them.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextvars import ContextVar
from typing import Any, TypeVar

import requests
import urllib3
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPSConnection
from urllib3.connectionpool import HTTPSConnectionPool

from mailboxes.errors import ConnectionLost, MailError, ProtocolFault, TlsRefused, Unreachable
from mailboxes.protocols.deadline import Deadline
from mailboxes.protocols.egress import Egress
from mailboxes.protocols.network import open_connection

MAX_BODY = 512 * 1024  # bytes, after decompression
TOTAL = 20.0  # seconds for everything: name, connection, TLS, header and body

Session = TypeVar("Session", bound=requests.Session)

_deadline: ContextVar[Deadline] = ContextVar("_deadline")


def guarded_session(egress: Egress, *, timeout: float = TOTAL) -> requests.Session:
    """A session whose every request passes the egress rules; `timeout` is seconds in total for each request."""
    return guard(requests.Session(), egress, timeout=timeout)


def guard(session: Session, egress: Egress, *, timeout: float = TOTAL) -> Session:
    """Puts the guard on a session made elsewhere (Authlib's is a subclass of requests')."""
    session.trust_env = False
    session.proxies.clear()
    session.adapters.clear()
    session.mount("https://", _GuardedAdapter(egress, timeout))
    return session


def mail_error(error: requests.RequestException) -> MailError:
    """What a request that had no answer means, in words without addresses and URLs."""
    cause = error.__cause__
    if isinstance(cause, MailError):
        return cause
    private = type(error).__name__
    if isinstance(error, requests.exceptions.ConnectTimeout):
        return Unreachable(private=private)
    if isinstance(error, requests.exceptions.SSLError):
        return TlsRefused("the provider's certificate is not acceptable", private=private)
    if isinstance(error, requests.exceptions.Timeout):
        return ConnectionLost("the provider did not answer in time", private=private)
    if isinstance(error, requests.exceptions.ConnectionError):
        return ConnectionLost("the connection to the provider ended", private=private)
    if isinstance(error, requests.exceptions.TooManyRedirects):
        return ProtocolFault("the provider answers with a redirect", private=private)
    return ProtocolFault("the provider's answer cannot be read", private=private)


class _GuardedAdapter(HTTPAdapter):
    def __init__(self, egress: Egress, timeout: float) -> None:
        self._egress, self._timeout = egress, timeout
        super().__init__(max_retries=0)

    def init_poolmanager(self, connections: int, maxsize: int, block: bool = False, **pool_kwargs: Any) -> None:
        egress = self._egress

        class Connection(_CheckedConnection):
            allowed = egress

        class Pool(HTTPSConnectionPool):
            ConnectionCls = Connection

        super().init_poolmanager(connections, maxsize, block, **pool_kwargs)
        self.poolmanager.pool_classes_by_scheme = {"https": Pool}

    def proxy_manager_for(self, proxy: str, **proxy_kwargs: Any) -> Any:
        raise requests.exceptions.ProxyError("no proxies: the connection must be checked here")

    def send(
        self,
        request: requests.PreparedRequest,
        stream: bool = False,
        timeout: Any = None,
        verify: bool | str = True,
        cert: Any = None,
        proxies: Mapping[str, str] | None = None,
    ) -> requests.Response:
        """`timeout` and `verify` of the caller count for nothing: time is bounded in total, verification is always on.

        Raises requests' ConnectionError, SSLError, Timeout, TooManyRedirects, ContentDecodingError.
        """
        # A kept connection may die under the next request, and then nobody knows whether a refresh token was spent.
        request.headers["Connection"] = "close"
        token = _deadline.set(Deadline(self._timeout))
        try:
            response = super().send(request, stream=True, timeout=self._timeout, proxies=proxies)
            return _complete(response)
        except Unreachable as error:
            raise requests.exceptions.ConnectionError("unreachable", request=request) from error
        except TlsRefused as error:
            raise requests.exceptions.SSLError(error.detail, request=request) from error
        except MailError as error:
            raise requests.exceptions.ConnectionError(error.detail, request=request) from error
        finally:
            _deadline.reset(token)


class _CheckedConnection(HTTPSConnection):
    """Dials through the one door, whatever urllib3 was told of contexts and certificates."""

    allowed: Egress

    def connect(self) -> None:
        self.sock = open_connection(
            self.host, self.port or 443, security="tls", egress=self.allowed, deadline=_deadline.get()
        )
        self.is_verified = True


def _complete(response: requests.Response) -> requests.Response:
    """Reads the body within its limits, so that no caller meets a slow or endless one later."""
    body = bytearray()
    try:
        if response.is_redirect:  # a 307 would carry code and secret elsewhere
            raise requests.exceptions.TooManyRedirects("redirects are not followed", response=response)
        while piece := response.raw.read1(16384, decode_content=True):
            body += piece
            if len(body) > MAX_BODY:
                raise requests.exceptions.ContentDecodingError(f"an answer of more than {MAX_BODY} bytes")
    except requests.RequestException:  # they are OSErrors too
        raise
    except (urllib3.exceptions.ReadTimeoutError, TimeoutError) as error:
        raise requests.exceptions.ReadTimeout("the answer took too long") from error
    except urllib3.exceptions.DecodeError as error:
        raise requests.exceptions.ContentDecodingError("an answer that cannot be decompressed") from error
    except (urllib3.exceptions.HTTPError, OSError) as error:
        raise requests.exceptions.ConnectionError(type(error).__name__) from error
    finally:
        response.close()
    response._content, response._content_consumed = bytes(body), True  # type: ignore[attr-defined]
    response.headers.setdefault("content-type", "")  # allauth indexes it
    return response
