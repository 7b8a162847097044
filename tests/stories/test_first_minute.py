"""A stranger's first minute: from the block that `make run` prints to the first mail received and sent, in a browser."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.servers.installation import Installation, until
from tests.stories.visitor import Visitor, faults_on_a_phone

ALICE, BOB, CAROL = "alice@sandbox.test", "bob@sandbox.test", "carol@sandbox.test"
SUBJECT = "First words from Mailhub"


@pytest.mark.browser
def test_the_first_minute(chromium: Browser) -> None:
    with Installation(MAILHUB_POLL_INTERVAL_SECONDS="2") as mailhub:
        with Visitor(chromium) as admin, Visitor(chromium) as owner:
            sign_in(admin.page, mailhub)
            connect_alice_here(admin.page)
            read_a_message(admin.page)
            write_to_bob(admin.page)
            connect_bob_by_a_link(admin.page, owner.page)
            see_it_arrive(admin.page)
            see_who_did_it(admin.page, mailhub.email)
            assert admin.complaints == [] and owner.complaints == []
            good_on_a_phone(chromium, admin, mailhub)
        ctrl_c_and_again(mailhub)


def sign_in(page: Page, mailhub: Installation) -> None:
    page.goto(mailhub.url)
    page.get_by_label("E-mail").fill(mailhub.email)
    page.get_by_label("Password").fill(mailhub.password)
    page.get_by_role("button", name="Sign in").click()
    page.get_by_role("button", name="Not now").click()
    expect(page.get_by_role("heading", name="Four steps to the first mail")).to_be_visible()
    expect(page.get_by_text("1 of 4 done")).to_be_visible()


def connect_alice_here(page: Page) -> None:
    page.get_by_role("link", name="Connect a mailbox").click()
    page.get_by_label("Address", exact=True).fill(ALICE)
    page.get_by_label("Me, here and now").check()
    page.get_by_role("button", name="Next: permissions").click()
    page.get_by_role("button", name="Go on to Sandbox").click()
    expect(page.get_by_text("Sandbox: a pretend provider on this machine")).to_be_visible()
    expect(page.get_by_label("Alice Archer")).to_be_checked()
    page.get_by_role("button", name="Allow").click()
    expect(page.get_by_role("heading", name=f"Live test of {ALICE}")).to_be_visible()
    expect(page.get_by_text("3 of 3 passed")).to_be_visible()
    expect(page.get_by_text(re.compile(r"^\d+ messages from \d+ folders\.$"))).to_be_visible(timeout=60_000)


def read_a_message(page: Page) -> None:
    """A newsletter with a script and remote pictures: the page shows its text, and the browser has nothing to complain of."""
    page.get_by_role("link", name="To the mailbox").click()
    expect(page.get_by_text("Active. Mail comes in and goes out.")).to_be_visible()
    page.get_by_role("link", name="Messages").click()
    page.get_by_role("link", name=re.compile("^Fabrikam Weekly")).first.click()
    expect(page.get_by_text(f"You opened mail of {ALICE}.")).to_be_visible()
    expect(page.frame_locator("iframe.letter").get_by_text("three ways to label a box")).to_be_visible()


def write_to_bob(page: Page) -> None:
    page.get_by_role("link", name="Mailhub").click()
    expect(page.get_by_text("3 of 4 done")).to_be_visible()
    page.get_by_role("link", name="Write a message").click()
    page.get_by_label("To", exact=True).fill(BOB)
    page.get_by_label("Subject").fill(SUBJECT)
    page.get_by_label("Message").fill("Good morning, Bob.\n\nDoes it work?\n.\nAlice")
    page.get_by_role("button", name="Send").click()
    expect(page.get_by_role("heading", name=SUBJECT)).to_be_visible()
    expect(page.get_by_text("Sent. The mail server accepted it.")).to_be_visible(timeout=30_000)
    page.get_by_role("link", name="Mailhub").click()
    expect(page.get_by_role("heading", name="Four steps to the first mail")).to_be_hidden()


def connect_bob_by_a_link(page: Page, owner: Page) -> None:
    page.get_by_role("link", name="Connect a mailbox").click()
    page.get_by_label("Address", exact=True).fill(BOB)
    page.get_by_label("The owner, from a link").check()
    page.get_by_role("button", name="Next: permissions").click()
    page.get_by_label("What it is for").fill("so that orders are archived in one place")
    page.get_by_role("button", name="Make the link").click()
    link = page.get_by_text("/connect/").inner_text()

    owner.goto(link)
    expect(owner.get_by_role("heading", name="Sandbox Ltd asks for access to your mailbox")).to_be_visible()
    expect(owner.get_by_text("so that orders are archived in one place")).to_be_visible()
    owner.get_by_role("button", name="Go on to Sandbox").click()
    expect(owner.get_by_label("Bob Baker")).to_be_checked()
    owner.get_by_role("button", name="Allow").click()
    expect(owner.get_by_role("heading", name="Connected. Thank you.")).to_be_visible()

    page.get_by_role("link", name="To the mailbox").click()
    expect(page.get_by_text("Active. Mail comes in and goes out.")).to_be_visible()


def see_it_arrive(page: Page) -> None:
    """The message from Alice, in Bob's mailbox."""
    page.get_by_role("link", name="Messages").click()

    def arrived() -> bool:
        page.reload()
        return page.get_by_role("link", name=SUBJECT).is_visible()

    until("the message is in Bob's mailbox", arrived)
    page.get_by_role("link", name=SUBJECT).click()
    expect(page.frame_locator("iframe.letter").get_by_text("Does it work?")).to_be_visible()


def see_who_did_it(page: Page, person: str) -> None:
    page.get_by_role("navigation", name="Main").get_by_role("link", name="Audit").click()
    events = page.locator("ol.events").get_by_role("listitem")
    for sentence in (
        f"{person} connected {ALICE}",
        f"{person} opened a message of {ALICE}",
        f"{person} queued a message from {ALICE}",
        f"Mailhub sent a message from {ALICE}",
        f"{person} made a connect link for {BOB}",
        f"{BOB} connected {BOB}",
    ):
        expect(events.filter(has_text=sentence)).to_have_count(1)
    page.get_by_role("button", name="Verify now").click()
    expect(page.get_by_text(re.compile(r"The chain of Sandbox Ltd is whole: [\d,]+ events"))).to_be_visible()


def good_on_a_phone(chromium: Browser, admin: Visitor, mailhub: Installation) -> None:
    page = admin.page
    page.goto(f"{mailhub.url}/admin/mailboxes/mailbox/connect/?address={CAROL}&back=1")
    page.get_by_label("Address", exact=True).fill(CAROL)
    page.get_by_role("button", name="Next: permissions").click()
    page.get_by_role("button", name="Make the link").click()
    link_page, link = page.url, page.get_by_text("/connect/").inner_text()
    (mailbox_id,) = mailhub.rows("select id from mailboxes_mailbox where address = ?", ALICE)[0]
    (message_id,) = mailhub.rows("select id from mailboxes_message where subject like 'Fabrikam Weekly%' limit 1")[0]
    (outbox_id,) = mailhub.rows("select id from mailboxes_outboxmessage")[0]
    site = f"{mailhub.url}/admin/mailboxes"
    pages = [
        mailhub.url,
        f"{site}/mailbox/",
        f"{site}/mailbox/{mailbox_id}/change/",
        f"{site}/mailbox/{mailbox_id}/connected/",
        f"{site}/message/?mailbox__id__exact={mailbox_id}",
        f"{site}/message/{message_id}/change/",
        f"{site}/outboxmessage/",
        f"{site}/outboxmessage/{outbox_id}/change/",
        f"{site}/outboxmessage/compose/",
        f"{mailhub.url}/admin/audit/auditevent/",
        link_page,
    ]

    assert faults_on_a_phone(chromium, admin.context, pages) == []
    assert faults_on_a_phone(chromium, None, [link, f"{mailhub.url}/accounts/login/"]) == []


def ctrl_c_and_again(mailhub: Installation) -> None:
    def mail() -> list[tuple[str]]:
        return mailhub.rows("select sha256 from mailboxes_message order by id")

    before, password = mail(), mailhub.password
    first = mailhub.answered_in
    stopped_in = mailhub.stop()  # asserts that no process is left
    kept = mail()

    mailhub.start()

    second = mailhub.answered_in
    print(f"first answer after {first:.1f} s, Ctrl-C took {stopped_in:.1f} s, the second start {second:.1f} s")
    assert kept[: len(before)] == before and mail()[: len(before)] == before
    assert mailhub.password == password
