"""A person's browser: what it complained about, and whether a page fits a phone and reads well to a screen reader."""

from __future__ import annotations

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, Response, WebError

PHONE = {"width": 390, "height": 844}
_REPORT_VIOLATIONS = """
addEventListener("securitypolicyviolation",
  (event) => console.error(`policy: ${event.violatedDirective} ${event.blockedURI} at ${event.documentURI}`))
"""


class Visitor:
    """`page` is where the person is. `complaints`: console errors and warnings, policy violations, pages not found."""

    def __init__(self, browser: Browser) -> None:
        self.context: BrowserContext = browser.new_context(viewport={"width": 1280, "height": 900})
        self.context.set_default_timeout(20_000)
        self.context.add_init_script(_REPORT_VIOLATIONS)
        self.complaints: list[str] = []
        self.context.on("console", self._console)
        self.context.on("weberror", self._error)
        self.context.on("response", self._response)
        self.page: Page = self.context.new_page()

    def __enter__(self) -> Visitor:
        return self

    def __exit__(self, *error: object) -> None:
        if error[0] is not None:
            print(f"at {self.page.url}:\n{self.page.locator('body').inner_text()}\n{self.complaints}")
        self.context.close()

    def _console(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning", "assert"):
            self.complaints.append(f"{self.page.url}: {message.type}: {message.text}")

    def _error(self, error: WebError) -> None:
        self.complaints.append(f"{self.page.url}: {error.error}")

    def _response(self, response: Response) -> None:
        if response.status >= 400:
            self.complaints.append(f"{response.status} {response.url}")


def faults_on_a_phone(browser: Browser, signed_in: BrowserContext | None, urls: list[str]) -> list[str]:
    """What is wider than the screen, and what axe finds, on each of these pages; with the cookies of `signed_in`."""
    state = signed_in.storage_state() if signed_in else None
    context = browser.new_context(viewport=PHONE, storage_state=state, bypass_csp=True)  # axe brings styles of its own
    faults = []
    page = context.new_page()
    for url in urls:
        page.goto(url)
        faults += [f"{url}: {what} reaches beyond the screen" for what in page.evaluate(_TOO_WIDE)]
        results = Axe().run(page)
        faults += [f"{url}: {each['id']}: {each['nodes'][0]['html'][:200]}" for each in results.response["violations"]]
    context.close()
    return faults


_TOO_WIDE = """() => document.documentElement.scrollWidth <= innerWidth ? [] :
  [...document.querySelectorAll("body *")].filter((each) => each.getBoundingClientRect().right > innerWidth + 1)
    .slice(0, 5).map((each) => each.outerHTML.slice(0, 120))"""
