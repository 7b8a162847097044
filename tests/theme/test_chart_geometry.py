from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest

from theme import charts
from theme.charts import Ending, Series
from theme.looks import Look

ACTIVE = Look("Active", "ok", "check")
RECONNECT = Look("Reconnect", "bad", "plug")
NOON = datetime(2030, 1, 1, 12, tzinfo=UTC)
TODAY = date(2030, 1, 1)


@pytest.mark.parametrize(
    ("value", "top"), [(0, 10), (1, 10), (10, 10), (11, 15), (81, 100), (1324, 1500), (8001, 10_000)]
)
def test_the_scale_ends_on_a_round_number_whose_half_is_round_too(value: int, top: int) -> None:
    assert charts.nice_ceiling(value) == top


def test_no_series_and_no_values_draw_an_empty_chart() -> None:
    assert charts.stacked_area([]).layers == []
    assert charts.stacked_area([Series("Received", "s1", [])]).layers[0].line == ""


def test_a_day_without_mail_lies_on_the_floor() -> None:
    chart = charts.stacked_area([Series("Received", "s1", [0, 0, 0])])

    assert chart.layers[0].line == "0.0,160.0 360.0,160.0 720.0,160.0"
    assert chart.layers[0].total == 0


def test_one_value_alone_is_a_level_line_across_the_chart() -> None:
    assert charts.stacked_area([Series("Received", "s1", [5])]).layers[0].line == "0.0,80.0 720.0,80.0"


def test_the_second_series_stands_on_the_first() -> None:
    received, sent = charts.stacked_area([Series("Received", "s1", [5, 5]), Series("Sent", "s2", [5, 0])]).layers

    assert received.line == "0.0,80.0 720.0,80.0"
    assert sent.line == "0.0,0.0 720.0,80.0"
    assert sent.area == "0.0,0.0 720.0,80.0 720.0,80.0 0.0,80.0"


def test_series_of_unequal_length_are_refused() -> None:
    with pytest.raises(ValueError, match="shorter"):
        charts.stacked_area([Series("Received", "s1", [1, 2]), Series("Sent", "s2", [1])])


def test_a_sparkline_keeps_a_hairline_for_a_day_without_mail() -> None:
    empty, half, full = charts.sparkline([0, 4, 8])

    assert (empty.height, empty.none) == (1, True)
    assert (half.height, half.none) == (10, False)
    assert (full.y, full.height) == (0, 20)


@pytest.mark.parametrize("values", [[], [0], [7], [0, 0, 0, 0, 0, 0, 0]])
def test_a_sparkline_stays_in_its_box(values: list[int]) -> None:
    bars = charts.sparkline(values)

    assert len(bars) == len(values)
    assert all(bar.y >= 0 and bar.y + bar.height <= 20 and bar.x + bar.width <= 84 for bar in bars)


def test_no_state_changes_draw_no_lane() -> None:
    assert charts.lanes([], NOON) == {}


def test_each_state_has_one_lane_with_its_stretches() -> None:
    changes = [
        (NOON - timedelta(days=10), ACTIVE),
        (NOON - timedelta(days=5), RECONNECT),
        (NOON - timedelta(days=4), ACTIVE),
    ]

    lanes = charts.lanes(changes, NOON)

    assert list(lanes) == [ACTIVE, RECONNECT]
    assert [(part.x, part.width) for part in lanes[ACTIVE]] == [(0, 360), (432, 288)]
    assert [(part.x, part.width) for part in lanes[RECONNECT]] == [(360, 72)]


def test_a_change_at_this_very_moment_is_visible_and_inside() -> None:
    lanes = charts.lanes([(NOON - timedelta(days=30), ACTIVE), (NOON, RECONNECT)], NOON)

    assert [(part.x, part.width) for part in lanes[RECONNECT]] == [(717, 3)]
    assert [part.width for part in charts.lanes([(NOON, ACTIVE)], NOON)[ACTIVE]] == [3]


def test_ninety_days_are_three_strips_and_what_ends_outside_is_left_out() -> None:
    endings = [Ending(TODAY + timedelta(days=days), f"in {days}", "secret") for days in (-1, 0, 29, 30, 89, 90)]

    strips = charts.expiry_strip(endings, TODAY)

    assert [[dot.ending.label for dot in strip.dots] for strip in strips] == [["in 0", "in 29"], ["in 30"], ["in 89"]]
    assert (strips[0].starts, strips[2].ends) == (TODAY, TODAY + timedelta(days=89))


def test_nothing_that_ends_draws_three_empty_strips() -> None:
    assert [strip.dots for strip in charts.expiry_strip([], TODAY)] == [[], [], []]


def test_what_ends_within_a_fortnight_is_red() -> None:
    endings = [Ending(TODAY + timedelta(days=days), "", "secret") for days in (14, 15)]

    assert [dot.tone for dot in charts.expiry_strip(endings, TODAY)[0].dots] == ["bad", "info"]


@pytest.mark.parametrize("count", [1, 5, 400])
def test_a_pile_of_one_day_stays_inside_the_strip(count: int) -> None:
    endings = [Ending(TODAY, f"{number:03}", "permission") for number in range(count)]

    heights = [dot.y for dot in charts.expiry_strip(endings, TODAY)[0].dots]

    assert heights[0] == 44
    assert min(heights) >= 4
