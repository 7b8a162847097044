"""What the fragments in templates/parts/ draw: views build these, templates include the fragment of the same name."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from theme.looks import Look


class Banner(NamedTuple):
    """What happened, who can fix it, the button. `url` leads there; with `post` the button posts to it instead."""

    look: Look
    title: str
    text: str = ""
    button: str = ""
    url: str = ""
    post: bool = False
    details_title: str = ""
    details: str = ""  # the provider's own words, shown on request


class Fact(NamedTuple):
    term: str
    value: object  # text, SafeString, a Look (drawn as a pill) or a datetime (drawn as "3 min ago")
    note: str = ""
    code: bool = False


@dataclass(frozen=True)
class Tab:
    word: str
    url: str
    current: bool = False
    count: int | None = None


class Step(NamedTuple):
    """One step of a wizard."""

    word: str
    done: bool = False
    current: bool = False


class Check(NamedTuple):
    """One line of a live test."""

    look: Look
    name: str
    text: str
    milliseconds: int | None = None
    who: str = ""  # who can fix it
    fix: str = ""  # the exact step
    details_title: str = ""
    details: str = ""


class Entry(NamedTuple):
    """One line of a timeline."""

    look: Look
    text: str
    at: datetime
    figure: str = ""  # "812 ms"
    code: str = ""  # a server's reply
    strong: bool = False


@dataclass(frozen=True)
class Option:
    """A radio button's label with a line below it; not a tuple, which Django's choices would take for a group."""

    title: str
    text: str = ""

    def __str__(self) -> str:
        return self.title


class Empty(NamedTuple):
    """What stands where a list would be."""

    title: str
    text: str = ""
    button: str = ""
    url: str = ""


def steps(words: list[str], current: int) -> list[Step]:
    """The stepper of a wizard whose step number `current` (from 0) is open."""
    return [Step(word, done=number < current, current=number == current) for number, word in enumerate(words)]
