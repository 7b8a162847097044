"""Looks for what must lie nowhere in clear: tokens, codes, keys and the text of mail, also in the usual disguises."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from urllib.parse import quote

import requests

from tests.servers.installation import Installation

MADE_TO_BE_READ = (
    "secrets.env",
    "demo-password",
    "run.log",
)  # by the operator alone; run.log is what the terminal showed


def found(secrets: Iterable[str], places: Iterable[tuple[str, bytes]]) -> list[str]:
    """ "place: which secret", for each that shows."""
    wanted = {secret: list(disguises(secret)) for secret in secrets}
    assert all(len(secret) >= 12 for secret in wanted), "a short one would be found anywhere"
    return [
        f"{place}: {secret[:6]}…"
        for place, content in places
        for secret, masks in wanted.items()
        if any(mask in content for mask in masks)
    ]


def disguises(secret: str) -> Iterator[bytes]:
    """Itself, percent-encoded, hexadecimal, and inside a longer text in base64 wherever it begins there."""
    raw = secret.encode()
    yield raw
    yield quote(secret, safe="").encode()
    yield raw.hex().encode()
    for before in range(3):
        whole = base64.b64encode(b"\0" * before + raw)
        yield whole[4 if before else 0 : -4]  # the ends depend on the neighbours


def files(folder: Path) -> Iterator[tuple[str, bytes]]:
    """Everything that the installation has written: database, queue, logs, packs."""
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.name not in MADE_TO_BE_READ and "static" not in path.parts:
            yield str(path.relative_to(folder)), path.read_bytes()


def pages(mailhub: Installation) -> Iterator[tuple[str, bytes]]:
    """What a signed-in owner of the organisation can open, reading mail aside; by the links that the pages hold."""
    browser = requests.Session()
    browser.trust_env = False
    _post(browser, f"{mailhub.url}/accounts/login/", login=mailhub.email, password=mailhub.password)
    _post(browser, f"{mailhub.url}/", "/accounts/second-factor/not-now/")
    waiting, seen = ["/"], {"/"}
    while waiting:
        path = waiting.pop()
        answer = browser.get(mailhub.url + path, timeout=20)
        assert answer.status_code == 200, f"{path}: {answer.status_code}"
        yield path, answer.content
        if "text/html" not in answer.headers["Content-Type"]:
            continue
        for link in re.findall(r'href="([^"#]+)"', answer.text):
            target = requests.compat.urljoin(answer.url, link.replace("&amp;", "&")).removeprefix(mailhub.url)
            if "?" in target and "?tab=" not in target:  # sorted and filtered: the same rows
                target = target.partition("?")[0]
            shape = re.sub(r"[0-9a-f-]{32,36}|/\d+/", "", target)  # one page of a kind is enough
            if target.startswith("/") and shape not in seen and not _LEFT_OUT.search(target):
                seen.add(shape)
                waiting.append(target)


_LEFT_OUT = re.compile(r"^/static/|^/connect/|^/accounts/|/message/")


def _post(browser: requests.Session, page: str, action: str = "", **form: str) -> None:
    shown = browser.get(page, timeout=20)
    sealed = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', shown.text)
    assert sealed, shown.text
    target = requests.compat.urljoin(shown.url, action or shown.url)
    answer = browser.post(target, data={"csrfmiddlewaretoken": sealed[1], **form}, timeout=20)
    assert answer.status_code == 200, f"{target}: {answer.status_code}"
