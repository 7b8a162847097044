"""Whose mailbox holds what on the first day. The same day gives the same bytes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from email.utils import format_datetime

from sandbox import attachments
from sandbox.conversations import turns
from sandbox.letters import Sample, letter, message_id
from sandbox.oddities import oddities
from sandbox.post_office import PostOffice

ALICE, BOB, CAROL = "alice@sandbox.test", "bob@sandbox.test", "carol@sandbox.test"
NEWSLETTER = """<!DOCTYPE html><html><body style="font-family: sans-serif">
<img src="https://images.fabrikam.example/open.gif?reader={number}" width="1" height="1" alt="">
<h1>Fabrikam Weekly, issue {number}</h1><img src="https://images.fabrikam.example/cover-{number}.jpg" alt="Cover picture">
<p>This week: <b>three</b> ways to label a box, and why the fourth is wrong.</p>
<p><a href="https://fabrikam.example/weekly/{number}">Read it in the browser</a></p>
<script>document.title = "a script that must never run"</script></body></html>"""


async def seed(office: PostOffice, today: datetime) -> None:
    """Fill the mailboxes, oldest message first."""
    for person in (ALICE, BOB, CAROL):
        for sample in sorted(mailbox(person, today), key=lambda sample: sample.date):
            await office.deliver(person, sample.raw, sample.folder, sample.flags, sample.date)


def mailbox(person: str, today: datetime) -> Iterator[Sample]:
    yield from _talk(person, today)
    if person == CAROL:
        return
    alice = person == ALICE
    series: tuple[tuple[Callable[[str, int, datetime], bytes], int, int], ...] = (
        (_newsletter, 9 if alice else 3, 7),
        (_build, 33 if alice else 6, 2),
        (_invoice, 8 if alice else 2, 14),
        (_shipping, 5 if alice else 2, 9),
        (_expenses, 5 if alice else 1, 12),
    )
    for offset, (make, count, every) in enumerate(series):
        for number in range(count):
            date = today - timedelta(days=1 + number * every, hours=offset, minutes=7 * number)
            folder = "Archive" if date < today - timedelta(days=70) else "INBOX"
            yield Sample(make(person, 100 - number, date), date, folder, () if number == 0 else ("\\Seen",))
    yield from _invitations(person, today, 3 if alice else 1)
    if alice:
        yield from oddities(person, today)
        yield from _elsewhere(person, today)


def bulk(person: str, count: int) -> Iterator[bytes]:
    """Any number of plain messages, for load; made without the email package, which is slow."""
    start = datetime.fromisoformat("2026-01-01T08:00:00+00:00")
    for number in range(count):
        date = start + timedelta(minutes=number)
        yield (
            f"From: load@fabrikam.example\r\nTo: {person}\r\nSubject: Load {number}\r\n"
            f"Date: {format_datetime(date)}\r\nMessage-ID: {message_id('load', person, number, count)}\r\n\r\n"
            f"Message {number} of {count}.\r\n" + ".a line that begins with a dot\r\n" * (number % 20)
        ).encode()


def _talk(person: str, today: datetime) -> Iterator[Sample]:
    for turn in turns(today):
        old = turn.date < today - timedelta(days=30)
        if turn.sender == person:
            yield Sample(turn.raw, turn.date, "Sent")
        elif person in turn.to:
            flags: tuple[str, ...] = ("\\Seen", "\\Answered") if old else ("\\Seen",)
            recent = turn.date > today - timedelta(days=3)
            yield Sample(turn.raw, turn.date, "Archive" if old else "INBOX", () if recent else flags)


def _newsletter(person: str, number: int, date: datetime) -> bytes:
    return letter(
        "Fabrikam Weekly <weekly@fabrikam.example>", [person], f"Fabrikam Weekly #{number}: label your boxes",
        "Fabrikam Weekly: this issue is better in HTML.\n", date, html=NEWSLETTER.format(number=number),
        headers=[("List-Id", "<weekly.fabrikam.example>"), ("List-Unsubscribe", "<https://fabrikam.example/unsubscribe>")],
    )  # fmt: skip


def _build(person: str, number: int, date: datetime) -> bytes:
    bad = number % 6 == 0
    text = f"Build {4200 + number} {'failed in step test_mail (exit 1)' if bad else 'passed in 4 min 12 s'}.\n"
    subject = f"[ci] {'FAILED' if bad else 'passed'}: main #{4200 + number}"
    return letter(
        "Build server <ci@fabrikam.example>",
        [person],
        subject,
        text,
        date,
        headers=[("Auto-Submitted", "auto-generated")],
    )


def _invoice(person: str, number: int, date: datetime) -> bytes:
    paper = attachments.pdf(f"invoice-{3000 + number}.pdf", f"Invoice {3000 + number}: 12 boxes, EUR {number * 7}.40")
    text = f"Dear customer,\n\nplease find invoice {3000 + number} attached. Payable within 14 days.\n\nContoso\n"
    return letter(
        "Contoso billing <billing@contoso.example>",
        [person],
        f"Invoice {3000 + number}",
        text,
        date,
        attachments=[paper],
    )


def _shipping(person: str, number: int, date: datetime) -> bytes:
    picture = attachments.png(f"label-{number}.png")
    text = f"Your parcel {81000 + number} is on its way and arrives tomorrow.\n"
    return letter(
        "Parcels <track@northwind.example>",
        [person],
        f"Parcel {81000 + number} is on its way 📦",
        text,
        date,
        attachments=[picture],
    )


def _expenses(person: str, number: int, date: datetime) -> bytes:
    table = attachments.csv(
        f"expenses-{number}.csv", [("date", "what", "eur"), (date.date(), "train", 48.5), (date.date(), "hotel", 92)]
    )
    text = "Please check and approve the attached expenses.\n"
    return letter(
        BOB if person == ALICE else ALICE, [person], f"Expenses, sheet {number}", text, date, attachments=[table]
    )


def _invitations(person: str, today: datetime, count: int) -> Iterator[Sample]:
    for number in range(count):
        date = today - timedelta(days=2 + 10 * number, hours=3)
        start = date + timedelta(days=6, hours=2)
        invite = attachments.ics(
            message_id("meeting", number, today).strip("<>"), "Planning", start, CAROL, [ALICE, BOB]
        )
        text = f"Planning, {start:%A %d %B, %H:%M} UTC. Please answer.\n"
        yield Sample(
            letter(CAROL, [ALICE, BOB], f"Invitation: Planning ({start:%d %b})", text, date, attachments=[invite]), date
        )


def _elsewhere(person: str, today: datetime) -> Iterator[Sample]:
    """Drafts, junk, what was thrown away."""
    for number, (folder, subject) in enumerate((
        ("Drafts", "Unfinished: plan for spring"), ("Drafts", ""), ("Junk", "You have WON a bag of nothing"),
        ("Junk", "Re: your account is suspended!!!"), ("Junk", "Cheap watches"), ("Trash", "Yesterday's canteen menu"),
        ("Trash", "Test, please ignore"),
    )):  # fmt: skip
        date = today - timedelta(days=1 + number, hours=5)
        sender, to = (person, BOB) if folder == "Drafts" else (f"someone{number}@fabrikam.example", person)
        flags = ("\\Draft", "\\Seen") if folder == "Drafts" else ()
        yield Sample(letter(sender, [to], subject, f"{subject}\n", date), date, folder, flags)
