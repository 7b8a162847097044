from __future__ import annotations

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest
import time_machine
from django.http import QueryDict
from django.template import Context, Template
from django.test import RequestFactory

from theme.charts import Ending, Series
from theme.looks import Look
from theme.parts import Banner, Check, Empty, Entry, Fact, Tab, steps
from theme.templatetags import mailhub as tags

NOON = datetime(2030, 1, 1, 12, tzinfo=UTC)
EVIL = "<script>alert(1)</script>"
EVIL_LOOK = Look(EVIL, "bad", "alert")


def render(source: str, **context: object) -> str:
    return Template("{% load mailhub %}" + source).render(Context(context))


def test_a_pill_has_a_word_beside_its_icon() -> None:
    html = tags.pill(Look("Active", "ok", "check"))

    assert html.startswith('<span class="pill t-ok"><svg class="i" aria-hidden="true">')
    assert "icons.svg#check" in html
    assert html.endswith("Active</span>")


@pytest.mark.parametrize(
    ("source", "context"),
    [
        ("{% icon name %}", {"name": '"><script>alert(1)</script>'}),
        ("{% pill look %}", {"look": EVIL_LOOK}),
        ("{% pill look word %}", {"look": EVIL_LOOK, "word": EVIL}),
        ("{% state_timeline title changes end %}", {"title": EVIL, "changes": [(NOON, EVIL_LOOK)], "end": NOON}),
        (
            "{% stacked_area title series ticks %}",
            {"title": EVIL, "series": [Series(EVIL, "s1", [1])], "ticks": [EVIL]},
        ),
        (
            "{% expiry_strip title endings today %}",
            {"title": EVIL, "endings": [Ending(NOON.date(), EVIL, "secret", EVIL)], "today": NOON.date()},
        ),
        (
            '{% include "parts/_banner.html" %}',
            {"banner": Banner(EVIL_LOOK, EVIL, EVIL, EVIL, EVIL, details_title=EVIL, details=EVIL)},
        ),
        ('{% include "parts/_facts.html" %}', {"facts": [Fact(EVIL, EVIL, EVIL), Fact("a", EVIL_LOOK)]}),
        ('{% include "parts/_tabs.html" %}', {"tabs": [Tab(EVIL, EVIL)]}),
        ('{% include "parts/_stepper.html" %}', {"steps": steps([EVIL, EVIL], 1)}),
        ('{% include "parts/_checks.html" %}', {"checks": [Check(EVIL_LOOK, EVIL, EVIL, 3, EVIL, EVIL, EVIL, EVIL)]}),
        ('{% include "parts/_timeline.html" %}', {"entries": [Entry(EVIL_LOOK, EVIL, NOON, EVIL, EVIL)]}),
        ('{% include "parts/_empty.html" %}', {"empty": Empty(EVIL, EVIL, EVIL, EVIL)}),
        ('{% include "parts/_pager.html" %}', {"newer": EVIL, "older": EVIL}),
        ('{% include "parts/_copy.html" %}', {"text": EVIL}),
    ],
)
def test_what_others_wrote_is_escaped(source: str, context: dict[str, object]) -> None:
    html = render(source, **context)

    assert "<script" not in html
    assert "&lt;script" in html


@time_machine.travel(NOON, tick=False)
@pytest.mark.parametrize(
    ("gap", "words"),
    [
        (timedelta(seconds=12), "12 s ago"),
        (timedelta(minutes=1), "1 min ago"),
        (timedelta(minutes=13), "13 min ago"),
        (timedelta(hours=5), "5 h ago"),
        (timedelta(days=2), "2 days ago"),
        (-timedelta(minutes=3), "in 3 min"),
    ],
)
def test_times_are_short_words_with_the_exact_time_on_hover(gap: timedelta, words: str) -> None:
    moment = NOON - gap

    html = tags.ago(moment)

    assert f">{words}</time>" in html
    assert f'datetime="{moment.isoformat()}"' in html
    assert f'title="{moment:%a %-d %b %Y, %H:%M:%S} UTC"' in html


def test_a_moment_that_never_came_is_a_dash() -> None:
    assert tags.ago(None) == tags.at(None) == "–"


@pytest.mark.parametrize(
    ("octets", "words"),
    [
        (None, "–"),
        (0, "0 B"),
        (1023, "1,023 B"),
        (1024, "1.0 KiB"),
        (84_213, "82 KiB"),
        (1_048_000, "1,023 KiB"),
        (1_048_576, "1.0 MiB"),
        (5 * 1024**4, "5.0 TiB"),
        (5000 * 1024**4, "5,000 TiB"),
    ],
)
def test_sizes_read_in_the_unit_that_fits(octets: int | None, words: str) -> None:
    assert tags.size(octets) == words


@pytest.mark.parametrize(
    ("name", "email", "letters"),
    [("Mira Hoffmann", "m@x", "MH"), ("Mira", "m@x", "M"), ("", "mira@contoso.com", "MC"), ("", "", "")],
)
def test_the_account_button_shows_initials(name: str, email: str, letters: str) -> None:
    assert tags.initials(SimpleNamespace(name=name, email=email)) == letters


def test_a_link_keeps_the_query_that_it_does_not_change() -> None:
    request = RequestFactory().get("/", {"q": "anna keller", "tab": "log", "after": "x"})

    query = QueryDict(tags.here_with({"request": request}, tab="runs", after="").removeprefix("?"))

    assert query.dict() == {"q": "anna keller", "tab": "runs"}


def test_coordinates_have_no_thousands_separator() -> None:
    html = render(
        "{% stacked_area 'Mail' series ticks %}", series=[Series("Received", "s1", [1000, 2000])], ticks=["a", "b"]
    )

    assert 'width="360.0"' in html
    assert "<b>3,000</b>" in html


def test_charts_without_values_still_render() -> None:
    html = render(
        "{% stacked_area 'a' none none %}{% sparkline none %}{% state_timeline 'a' none now %}{% expiry_strip 'a' none now %}",
        none=[],
        now=NOON,
    )

    assert "Nothing has happened yet." in html
    assert "nothing yet" in html
