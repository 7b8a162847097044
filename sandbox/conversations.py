"""What people write to each other in the sandbox."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from sandbox.letters import letter, message_id

A, B, C = "alice@sandbox.test", "bob@sandbox.test", "carol@sandbox.test"
ANNA, MARCO = "anna.keller@contoso.example", "m.rossi@fabrikam.example"
HELP, YUKI = "support@northwind.example", "yuki.tanaka@adatum.example"

# Days before today, subject, who takes part, then (who writes, what) in turn.
Conversation = tuple[int, str, tuple[str, ...], tuple[tuple[str, str], ...]]
CONVERSATIONS: tuple[Conversation, ...] = (
    (2, "Lunch on Thursday?", (A, B), (
        (B, "Hi Alice,\n\nthe new place by the canal has opened. Lunch on Thursday, 12:30?\n\nBob\n"),
        (A, "Thursday is fine, but 13:00 is better: I have the review until then.\n"),
        (B, "13:00 it is. I'll book a table for two.\n"),
        (A, "Make it three, Carol wants to come along.\n"),
    )),
    (4, "Q4 numbers for the board", (A, B, C), (
        (C, "Dear both,\n\nthe board meets in ten days. Can I have the Q4 numbers by Friday?\n\nThank you\nCarol\n"),
        (B, "Sales are ready; I only wait for two late orders.\n"),
        (A, "Costs are in the shared sheet. Please check line 14: travel looks too low.\n"),
        (C, "Line 14 lacked October. Corrected, thank you.\n"),
        (B, "Both orders are in: 418,200 in total, 6.1 % above plan.\n"),
    )),
    (7, "Angebot 2207 – Rückfrage", (A, ANNA), (
        (ANNA, "Guten Tag Frau Archer,\n\nkönnten Sie uns für die größere Stückzahl (1.500) einen neuen Preis nennen?\n\n"
               "Mit freundlichen Grüßen\nAnna Keller\n"),
        (A, "Guten Tag Frau Keller,\n\nab 1.500 Stück sind es 3,85 € je Stück, frei Haus.\n\nViele Grüße\nAlice Archer\n"),
        (ANNA, "Vielen Dank, das passt. Die Bestellung folgt bis Freitag.\n"),
    )),
    (9, "Printer on the second floor", (A, HELP), (
        (A, "Hello,\n\nthe printer on the second floor prints only every other page. Serial number NW-20931.\n\nAlice Archer\n"),
        (HELP, "Dear customer,\n\nwe have opened ticket #48213 and will answer within one working day.\n"),
        (HELP, "A technician will come tomorrow between 9 and 11. Please keep the printer switched on.\n"),
        (A, "He was here, it works. You may close the ticket.\n"),
    )),
    (12, "Re-write of the onboarding guide", (A, B), (
        (A, "Bob, I have rewritten chapter 2. Can you read it as if you were new here?\n"),
        (B, "Read it. Three remarks:\n\n1. The VPN step comes too late.\n2. \"Just\" appears eleven times.\n"
            "3. The picture of the kitchen is great.\n"),
        (A, "All three are right. Done.\n\n> 2. \"Just\" appears eleven times.\n\nIt just happened.\n"),
    )),
    (15, "Contract renewal", (A, MARCO), (
        (MARCO, "Dear Alice,\n\nour contract ends on the 31st. Shall we renew on the same terms?\n\nBest regards\nMarco\n"),
        (A, "Dear Marco,\n\nyes, with one change: payment within 30 days. Our lawyer has no other remark.\n\nAlice\n"),
        (MARCO, "Agreed. I'll send the signed copy tomorrow.\n"),
        (A, "Received, thank you.\n"),
    )),
    (18, "会議の議題 / Agenda", (A, YUKI), (
        (YUKI, "アリス様\n\n来週の会議の議題をお送りします。ご確認をお願いいたします。\n\n"
               "(Agenda for next week's meeting, please check.)\n\n田中\n"),
        (A, "田中様\n\nありがとうございます。問題ありません。\n\nAlice\n"),
    )),
    (21, "Server room temperature", (A, B), (
        (B, "The sensor says 31 °C again. Did anybody touch the air conditioning?\n"),
        (A, "It was in night mode. Back to 22 °C.\n"),
        (B, "24 °C and falling. Thanks!\n"),
    )),
    (25, "Team day: ideas", (A, B, C), (
        (C, "We have a budget of 60 a head. Ideas?\n"),
        (B, "Climbing hall, then pizza 🍕\n"),
        (A, "A boat trip, and somebody else cooks. ⛵\n"),
        (C, "The boat wins. 14:00 at the pier.\n"),
    )),
    (33, "Parcel for the archive", (B, C), (
        (B, "Carol, two boxes for the archive stand at my desk.\n"),
        (C, "I'll have them collected on Monday.\n"),
    )),
    (41, "Holiday cover", (A, B), (
        (A, "I'm away from the 3rd to the 14th. Can you take the support inbox?\n"),
        (B, "Sure. Leave me the list of open cases.\n"),
        (A, "Here it is:\n\n- 48102 Northwind, waits for a part\n- 48110 Contoso, call back on Tuesday\n\nThank you!\n"),
    )),
    (56, "Welcome, Carol", (A, B, C), (
        (A, "Dear Carol,\n\nwelcome to the team! Your laptop is ready, your keys are at the front desk.\n\nAlice\n"),
        (C, "Thank you so much! See you on Monday.\n"),
    )),
)  # fmt: skip


@dataclass(frozen=True)
class Turn:
    sender: str
    to: tuple[str, ...]
    date: datetime
    raw: bytes


def turns(today: datetime) -> Iterator[Turn]:
    """Every message of every conversation, each reply naming those before it."""
    for days, subject, people, texts in CONVERSATIONS:
        start = today - timedelta(days=days) + timedelta(hours=8, minutes=13 * days % 180)
        before: list[str] = []
        quoted: list[str] = []
        for number, (sender, text) in enumerate(texts):
            date = start + timedelta(minutes=47 * number, seconds=len(text))
            title = f"Re: {subject}" if number else subject
            body = text + ("\n" + "\n".join(quoted) + "\n" if quoted else "")
            to = tuple(person for person in people if person != sender)
            yield Turn(sender, to, date, letter(sender, to, title, body, date, references=before))
            before.append(message_id(sender, title, date))
            quoted = [
                f"On {date:%d %b %Y, %H:%M}, {sender} wrote:",
                *(f"> {line}".rstrip() for line in text.splitlines()),
            ]
