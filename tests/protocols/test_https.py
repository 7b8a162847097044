"""http.guarded_session: https alone, checked addresses, no redirects, limits on size and time."""

from __future__ import annotations

import gzip
import ssl
import time
from collections.abc import Callable

import pytest
import requests
import trustme
from authlib.integrations.requests_client import OAuth2Session

from mailboxes.errors import ConnectionLost, MailError, ProtocolFault, TlsRefused, Unreachable
from mailboxes.protocols.egress import Egress
from mailboxes.protocols.http import MAX_BODY, guard, guarded_session, mail_error
from tests.protocols.conftest import context_for
from tests.servers.scripted import Line, Scripted


def serve(answer: bytes) -> Callable[[Line], None]:
    def script(line: Line) -> None:
        length = 0
        while (said := line.hear()) != b"":
            if said.lower().startswith(b"content-length:"):
                length = int(said.split(b":")[1])
        if length:
            line.heard.append(line.sock.recv(length) if len(line._rest) < length else line._rest)
        line.send(answer)

    return script


def http(body: bytes, *headers: bytes, status: bytes = b"200 OK") -> bytes:
    head = b"\r\n".join((b"HTTP/1.1 " + status, b"Content-Length: %d" % len(body), *headers))
    return head + b"\r\n\r\n" + body


def test_a_json_answer_comes_through_and_the_connection_is_not_kept(
    egress: Egress, server_context: ssl.SSLContext
) -> None:
    with Scripted(serve(http(b'{"a": 1}', b"Content-Type: application/json")), tls=server_context) as server:
        session = guarded_session(egress)
        for _ in range(2):
            response = session.post(f"https://localhost:{server.port}/token", data={"x": "y"})

            assert response.json() == {"a": 1}
        assert len(server.lines) == 2
        assert b"Connection: close" in server.heard


def test_authlibs_session_can_be_guarded(egress: Egress, server_context: ssl.SSLContext) -> None:
    answer = http(b'{"access_token": "t", "token_type": "bearer"}', b"Content-Type: application/json")
    with Scripted(serve(answer), tls=server_context) as server:
        session = guard(OAuth2Session("client", "secret"), egress)

        token = session.refresh_token(f"https://localhost:{server.port}/token", refresh_token="r")

        assert token["access_token"] == "t"


@pytest.mark.parametrize("url", ["http://localhost/", "ftp://localhost/", "file:///etc/passwd", "HTTP://LOCALHOST"])
def test_only_https_is_spoken(egress: Egress, url: str) -> None:
    with pytest.raises(requests.exceptions.InvalidSchema):
        guarded_session(egress).get(url)


def test_addresses_that_are_not_allowed_are_unreachable(server_context: ssl.SSLContext) -> None:
    with Scripted(serve(http(b"")), tls=server_context) as server:
        for url in (f"https://localhost:{server.port}/", "https://169.254.169.254/latest/", "https://[::1]/"):
            with pytest.raises(requests.exceptions.ConnectionError) as refused:
                guarded_session(Egress()).get(url)

            assert str(refused.value) == "unreachable"
            assert isinstance(mail_error(refused.value), Unreachable)
        assert server.lines == []


def test_a_redirect_is_not_followed(egress: Egress, server_context: ssl.SSLContext) -> None:
    answer = http(b"", b"Location: https://localhost/elsewhere", status=b"307 Temporary Redirect")
    with Scripted(serve(answer), tls=server_context) as server:
        with pytest.raises(requests.exceptions.TooManyRedirects) as refused:
            guarded_session(egress).post(f"https://localhost:{server.port}/token", data={"code": "canary"})

        assert len(server.lines) == 1
        assert isinstance(mail_error(refused.value), ProtocolFault)


def test_verification_cannot_be_switched_off(egress: Egress) -> None:
    with Scripted(serve(http(b"")), tls=context_for(trustme.CA(), "localhost")) as server:
        with pytest.raises(requests.exceptions.SSLError) as refused:
            guarded_session(egress).get(f"https://localhost:{server.port}/", verify=False)

        assert isinstance(mail_error(refused.value), TlsRefused)


def test_the_environment_and_proxies_count_for_nothing(
    egress: Egress, server_context: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/no/such/file")
    with Scripted(serve(http(b"ok")), tls=server_context) as server:
        session = guarded_session(egress)

        assert session.get(f"https://localhost:{server.port}/").text == "ok"
        with pytest.raises(requests.exceptions.ProxyError):
            session.get(f"https://localhost:{server.port}/", proxies={"https": "http://127.0.0.1:1"})


@pytest.mark.parametrize("compressed", [False, True])
def test_an_answer_over_the_limit_is_refused_also_when_it_is_small_on_the_wire(
    egress: Egress, server_context: ssl.SSLContext, compressed: bool
) -> None:
    body = b"x" * (MAX_BODY + 1)
    answer = http(gzip.compress(body), b"Content-Encoding: gzip") if compressed else http(body)
    with (
        Scripted(serve(answer), tls=server_context) as server,
        pytest.raises(requests.exceptions.ContentDecodingError) as refused,
    ):
        guarded_session(egress).get(f"https://localhost:{server.port}/")

    assert isinstance(mail_error(refused.value), ProtocolFault)


@pytest.mark.parametrize(
    "part", [b"", b"HTTP/1.1 200 OK\r\nX-Slow: ", b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n"]
)
def test_an_answer_that_drips_in_ends_with_the_total_deadline(
    egress: Egress, server_context: ssl.SSLContext, part: bytes
) -> None:
    def drip(line: Line) -> None:
        line.send(part)
        for _ in range(100):
            line.send(b"x")
            time.sleep(0.05)

    started = time.monotonic()
    with Scripted(drip, tls=server_context) as server, pytest.raises(requests.RequestException) as refused:
        guarded_session(egress, timeout=0.5).get(f"https://localhost:{server.port}/")

    assert time.monotonic() - started < 2
    assert isinstance(mail_error(refused.value), ConnectionLost)


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"nonsense\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nshort",
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\nno",
    ],
)
def test_an_answer_that_is_none_becomes_an_error_without_address_or_secret(
    egress: Egress, server_context: ssl.SSLContext, answer: bytes
) -> None:
    with Scripted(serve(answer), tls=server_context) as server, pytest.raises(requests.RequestException) as refused:
        guarded_session(egress).get(f"https://localhost:{server.port}/?code=canary")

    meant = mail_error(refused.value)
    assert isinstance(meant, MailError)
    assert meant.retryable
    assert "canary" not in meant.detail + meant.private + str(meant)
