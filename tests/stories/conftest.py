"""Debian's Chromium, and an eye on everything that it complains about."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, sync_playwright

QUIET = ("--disable-background-networking", "--disable-component-update", "--disable-sync")  # it talks to nobody else


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox", *QUIET])
        yield browser
        browser.close()
