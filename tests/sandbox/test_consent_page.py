from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, Route, sync_playwright

from tests.servers.sandbox import Sandbox

ALICE, BOB = "alice@sandbox.test", "bob@sandbox.test"


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def phone(chromium: Browser) -> Iterator[Page]:
    """390 px wide, without JavaScript; a stand-in answers for Mailhub."""
    context = chromium.new_context(viewport={"width": 390, "height": 844}, java_script_enabled=False)
    yield _with_mailhub(context.new_page())
    context.close()


def _with_mailhub(page: Page) -> Page:
    def answer(route: Route) -> None:
        route.fulfill(status=200, content_type="text/html", body="<title>Mailhub</title>")

    page.route("http://localhost:8000/**", answer)
    return page


@pytest.mark.browser
def test_a_person_without_javascript_chooses_another_account_and_grants_less(sandbox: Sandbox, phone: Page) -> None:
    asked, verifier = sandbox.ask(ALICE)
    phone.goto(asked)

    assert phone.get_by_text("Sandbox: a pretend provider on this machine").is_visible()
    assert phone.get_by_label("Alice Archer").is_checked()
    phone.get_by_label("Bob Baker").check()
    phone.get_by_label("Send mail as this person").uncheck()
    phone.get_by_role("button", name="Allow").click()
    phone.wait_for_url(re.compile("/connect/callback/.*code="))

    tokens = sandbox.redeem(asked, verifier, phone.url).json()
    assert tokens["scope"] == "openid email profile offline_access mail.imap mail.pop"


@pytest.mark.browser
def test_deny_needs_no_account(sandbox: Sandbox, phone: Page) -> None:
    asked, _ = sandbox.ask()
    phone.goto(asked)
    phone.get_by_role("button", name="Deny").click()

    phone.wait_for_url(re.compile("error=access_denied"))


@pytest.mark.browser
@pytest.mark.parametrize(("width", "scheme"), [(390, "light"), (1280, "dark")])
def test_the_pages_are_accessible_fit_and_make_no_noise(
    sandbox: Sandbox, chromium: Browser, width: int, scheme: Any
) -> None:
    context = chromium.new_context(viewport={"width": width, "height": 844}, color_scheme=scheme)
    page, noise = context.new_page(), []
    page.on("console", lambda message: noise.append(message.text))
    page.on("pageerror", lambda error: noise.append(str(error)))
    for url in (sandbox.ask(ALICE)[0], sandbox.ask("stranger@sandbox.test")[0], sandbox.ask(redirect_uri="x")[0]):
        page.goto(url)
        result = Axe().run(page)
        assert result.violations_count == 0, result.generate_report()
        assert page.evaluate("document.documentElement.scrollWidth") <= width
    context.close()
    assert [line for line in noise if "400" not in line] == []  # the refused request's own status


def test_a_login_hint_without_a_mailbox_is_said_and_nobody_is_preselected(sandbox: Sandbox) -> None:
    page = sandbox.session().get(sandbox.ask("stranger@sandbox.test")[0], timeout=10).text

    assert "stranger@sandbox.test has no mailbox in the sandbox" in page
    assert not re.search(r'type="radio"[^>]* checked', page)


def test_what_the_request_says_is_escaped(sandbox: Sandbox) -> None:
    page = sandbox.session().get(sandbox.ask("<script>alert(1)</script>")[0], timeout=10).text

    assert "<script>" not in page


def test_allow_without_an_account_asks_again(sandbox: Sandbox) -> None:
    browser = sandbox.session()
    asked, _ = sandbox.ask()
    seal = re.search(r'name="seal" value="([^"]*)"', browser.get(asked, timeout=10).text)[1]  # type: ignore[index]
    page = browser.post(asked, data={"seal": seal, "answer": "allow", "scope": "mail.imap"}, timeout=10)

    assert page.status_code == 200
    assert "Choose an account first." in page.text
    assert re.findall(r'value="(mail\.[^"]*)" checked', page.text) == ["mail.imap"]


def test_a_post_from_another_page_is_refused(sandbox: Sandbox) -> None:
    asked, _ = sandbox.ask(ALICE)
    for seal in ("", "guessed"):
        page = sandbox.session().post(asked, data={"seal": seal, "user": ALICE, "answer": "allow"}, timeout=10)
        assert page.status_code == 400


def test_the_page_allows_no_script_and_no_frame(sandbox: Sandbox) -> None:
    policy = sandbox.session().get(sandbox.ask(ALICE)[0], timeout=10).headers["Content-Security-Policy"]

    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy


def test_cookies_have_a_name_of_their_own(sandbox: Sandbox) -> None:
    browser = sandbox.session()
    answer = browser.get(sandbox.ask(ALICE)[0], timeout=10)

    assert [cookie.name for cookie in browser.cookies] == ["mailhub_sandbox_consent"]
    assert {"HttpOnly", "SameSite=Lax"} <= set(answer.headers["Set-Cookie"].split("; "))
