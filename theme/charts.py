"""Geometry for the SVG charts: numbers in, coordinates out. No markup here, no style attribute anywhere.

Every chart fills its box (`preserveAspectRatio="none"`), strokes keep their width by `vector-effect`, and all
text stands outside the SVG as HTML, so that it never shrinks on a phone.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date, datetime, timedelta
from itertools import groupby, pairwise
from typing import NamedTuple

from theme.looks import Look, Tone

AREA_WIDTH, AREA_HEIGHT = 720, 160
LANES_WIDTH = 720
SPARK_WIDTH, SPARK_HEIGHT = 84, 20
SHORTEST_STRETCH = 3  # units of a lane's width: a short stretch must stay visible
STRIP_DAYS, STRIP_STEP = 30, 10
STRIP_FLOOR, STRIP_RISE, STRIP_PILE = 44, 9, 36  # where a mark stands, the step to the next one, the highest pile
URGENT_DAYS = 14


class Series(NamedTuple):
    name: str
    css: str  # s1, s2: the class that gives the colour
    values: Sequence[int]


class Layer(NamedTuple):
    name: str
    css: str
    area: str
    line: str
    total: int


class StackedArea(NamedTuple):
    layers: list[Layer]
    top: int
    slot_width: float


class Bar(NamedTuple):
    x: float
    y: float
    width: float
    height: float
    none: bool


class Stretch(NamedTuple):
    x: float
    width: float
    since: datetime
    until: datetime


class Ending(NamedTuple):
    """Something that ends on a day: a client secret (drawn as a diamond) or a permission (a circle)."""

    day: date
    label: str
    kind: str  # secret, permission
    url: str = ""


class Dot(NamedTuple):
    x: float
    y: float
    tone: Tone
    ending: Ending


class Strip(NamedTuple):
    starts: date
    ends: date
    dots: list[Dot]
    weeks: list[int]


def nice_ceiling(value: int) -> int:
    """A round number that holds the value, and whose half is round too."""
    step = 1
    while True:
        for factor in (10, 15, 20, 30, 40, 50, 60, 80):
            if factor * step >= value:
                return factor * step
        step *= 10


def stacked_area(series: Sequence[Series]) -> StackedArea:
    """Areas from the bottom up, and the scale's top. Series are equally long; one value alone is a level line."""
    count = len(series[0].values) if series else 0
    top = nice_ceiling(max((sum(column) for column in zip(*(each.values for each in series), strict=True)), default=0))
    floor = [0] * count
    layers = []
    for name, css, values in series:
        ceiling = [low + value for low, value in zip(floor, values, strict=True)]
        line, lower = _points(ceiling, top), _points(floor, top)
        layers.append(Layer(name, css, " ".join(line + lower[::-1]), " ".join(line), sum(values)))
        floor = ceiling
    return StackedArea(layers, top, round(AREA_WIDTH / count, 1) if count else AREA_WIDTH)


def _points(values: Sequence[int], top: int) -> list[str]:
    level = list(values) * 2 if len(values) == 1 else values
    gap = AREA_WIDTH / max(1, len(level) - 1)
    return [f"{i * gap:.1f},{AREA_HEIGHT - value * AREA_HEIGHT / top:.1f}" for i, value in enumerate(level)]


def sparkline(values: Sequence[int]) -> list[Bar]:
    """One bar a day; a day without mail keeps a hairline, so that a gap reads as a gap."""
    if not values:
        return []
    top, slot = max(values) or 1, SPARK_WIDTH / len(values)
    heights = [max(1.0, value * SPARK_HEIGHT / top) for value in values]
    return [
        Bar(round(i * slot, 1), round(SPARK_HEIGHT - height, 1), round(slot - 2, 1), round(height, 1), not value)
        for i, (value, height) in enumerate(zip(values, heights, strict=True))
    ]


def lanes(changes: Sequence[tuple[datetime, Look]], end: datetime) -> dict[Look, list[Stretch]]:
    """Changes, oldest first → one lane a look, in order of first appearance, with the stretches spent in it."""
    if not changes:
        return {}
    start = changes[0][0]
    span = (end - start).total_seconds() or 1.0
    rows: dict[Look, list[Stretch]] = {}
    ends = [moment for moment, _ in changes[1:]] + [end]
    for (since, look), until in zip(changes, ends, strict=True):
        width = max(SHORTEST_STRETCH, (until - since).total_seconds() / span * LANES_WIDTH)
        x = min((since - start).total_seconds() / span * LANES_WIDTH, LANES_WIDTH - SHORTEST_STRETCH)
        rows.setdefault(look, []).append(Stretch(round(x, 1), round(width, 1), since, until))
    return rows


def expiry_strip(endings: Iterable[Ending], today: date) -> list[Strip]:
    """Three strips of thirty days; marks of one day stand on each other, red within a fortnight.

    What has ended already, or ends after 90 days, is left out.
    """
    inside = sorted(each for each in endings if each.day >= today)
    bounds = [today + timedelta(days=STRIP_DAYS * month) for month in range(4)]
    weeks = list(range(0, STRIP_DAYS * STRIP_STEP + 1, 7 * STRIP_STEP))
    return [
        Strip(
            first,
            following - timedelta(days=1),
            _dots([e for e in inside if first <= e.day < following], first, today),
            weeks,
        )
        for first, following in pairwise(bounds)
    ]


def _dots(endings: list[Ending], first: date, today: date) -> list[Dot]:
    """Marks of one day stand on each other; many of them move together, so that the pile stays inside the strip."""
    dots = []
    for day, group in groupby(endings, key=lambda ending: ending.day):
        pile = list(group)
        rise = min(STRIP_RISE, STRIP_PILE / max(1, len(pile) - 1))
        tone: Tone = "bad" if (day - today).days <= URGENT_DAYS else "info"
        x = (day - first).days * STRIP_STEP + STRIP_STEP / 2
        dots += [Dot(x, round(STRIP_FLOOR - level * rise, 1), tone, ending) for level, ending in enumerate(pile)]
    return dots
