from __future__ import annotations

import enum
import hashlib
import json
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audit.canonical import GENESIS, GREATEST_INTEGER, NotCanonicalError, canonical, chained_hash, rfc3339

TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-GREATEST_INTEGER, GREATEST_INTEGER) | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=12,
)


class Colour(enum.StrEnum):
    RED = "red"


class Shade(str, enum.Enum):  # noqa: UP042  # its str() names the member, unlike a StrEnum's
    DARK = "dark"


@given(VALUES)
def test_what_was_written_reads_back_as_the_same_bytes(value: object) -> None:
    written = canonical(value)

    assert json.loads(written) == value
    assert canonical(json.loads(written)) == written


def test_keys_are_sorted_by_utf16_code_units_as_rfc_8785_says() -> None:
    keys = {"\u20ac": 1, "\r": 2, "\ufb33": 3, "1": 4, "\U0001f600": 5, "\u0080": 6, "\u00f6": 7}

    assert list(json.loads(canonical(keys)).values()) == [2, 4, 6, 7, 1, 5, 3]


def test_strings_are_escaped_as_rfc_8785_says() -> None:
    assert canonical('\u20ac$\u000f\u000aA\'B"\\\\"/\u007f') == '"€$\\u000f\\nA\'B\\"\\\\\\\\\\"/\u007f"'.encode()


def test_choices_become_their_values() -> None:
    assert canonical([Colour.RED, Shade.DARK, True]) == b'["red","dark",true]'


@pytest.mark.parametrize(
    "value",
    [1.0, float("nan"), 2**53, -(2**53), b"x", {1: "a"}, {"a": {1, 2}}, "\0", "\ud800", {"\ud800": 1}, object()],
    ids=lambda value: repr(value).partition(" at ")[0],  # no address: the same in every process
)
def test_what_a_round_trip_could_change_is_refused(value: object) -> None:
    with pytest.raises(NotCanonicalError):
        canonical(value)


def test_deep_nesting_is_refused_before_the_stack_ends() -> None:
    deep: list[object] = []
    for _ in range(100_000):
        deep = [deep]

    with pytest.raises(NotCanonicalError, match="nested"):
        canonical(deep)


def test_a_refusal_never_says_the_value() -> None:
    with pytest.raises(NotCanonicalError) as refusal:
        canonical({"token": b"hunter2"})

    assert "hunter2" not in str(refusal.value)


def test_times_are_utc_with_microseconds_also_at_whole_seconds() -> None:
    east = timezone(timedelta(hours=2))

    assert rfc3339(datetime(2026, 11, 21, 14, 0, tzinfo=east)) == "2026-11-21T12:00:00.000000Z"
    assert rfc3339(datetime(2026, 11, 21, 12, 0, 0, 7, tzinfo=UTC)) == "2026-11-21T12:00:00.000007Z"
    with pytest.raises(NotCanonicalError):
        rfc3339(datetime(2026, 11, 21))


def test_the_hash_can_be_computed_by_anybody_with_a_json_library() -> None:
    fields = {"b": "é", "a": [1, None, True]}
    by_hand = hashlib.sha256(bytes(32) + '{"a":[1,null,true],"b":"é"}'.encode()).hexdigest()

    assert chained_hash(GENESIS, fields) == by_hand
