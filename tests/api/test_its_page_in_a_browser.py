"""The API's own page, as a person opens it: nothing from strangers, nothing that our policy forbids."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, sync_playwright

from tests.servers.installation import Installation
from tests.stories.visitor import Visitor

pytestmark = pytest.mark.browser


@pytest.fixture
def chromium() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
        yield browser
        browser.close()


def test_every_call_is_shown_and_the_browser_complains_of_nothing(chromium: Browser) -> None:
    with Installation(MAILHUB_SANDBOX="off") as mailhub, Visitor(chromium) as person:
        asked: list[str] = []
        person.page.on("request", lambda request: asked.append(request.url))

        person.page.goto(f"{mailhub.url}/api/v1/docs")
        person.page.locator(".opblock").nth(23).wait_for()
        person.page.locator("#operations-Outbox-send_message").click()
        person.page.get_by_text("Idempotency-Key", exact=True).wait_for()
        person.page.get_by_role("button", name="Authorize").first.click()

        assert person.page.locator(".opblock").count() == 24
        assert [url for url in asked if not url.startswith((mailhub.url, "data:"))] == []
        assert person.complaints == []
