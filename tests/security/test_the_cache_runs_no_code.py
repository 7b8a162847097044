"""Whoever can write to the database, or to Redis, must not run code in our processes."""

from __future__ import annotations

import base64
import json
import pickle
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as project
from django.core.cache import BaseCache, caches
from django.core.exceptions import ImproperlyConfigured
from django.core.management import call_command
from django.db import connection
from django.urls import reverse
from django.utils import timezone

from mailhub import production
from mailhub.json_cache import JsonDatabaseCache
from tests.accounts.people import PASSWORD, browser, make_member, make_tenant

pytestmark = pytest.mark.django_db


@pytest.fixture
def stored() -> BaseCache:
    """The cache of the installation, its table included."""
    call_command("createcachetable", verbosity=0)
    cache = caches["default"]
    assert isinstance(cache, JsonDatabaseCache)
    cache.clear()
    return cache


class Bomb:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return (Path.touch, (self.path,))


def plant(key: str, text: str) -> None:
    until = connection.ops.adapt_datetimefield_value(timezone.now() + timedelta(days=1))
    with connection.cursor() as cursor:
        cursor.execute("INSERT INTO mailhub_cache (cache_key, value, expires) VALUES (%s, %s, %s)", [key, text, until])


def test_a_pickled_row_is_not_loaded(stored: BaseCache, tmp_path: Path) -> None:
    fired = tmp_path / "fired"
    plant(stored.make_key("mailhub.dispatcher"), base64.b64encode(pickle.dumps(Bomb(fired))).decode())

    assert stored.get("mailhub.dispatcher") is None
    assert not fired.exists()

    stored.set("mailhub.dispatcher", "now")
    assert stored.get("mailhub.dispatcher") == "now"


def test_a_row_is_written_as_json_that_people_can_read(stored: BaseCache) -> None:
    stored.set("told", {"at": "2026-01-01", "broken": ["Contoso"], "checked": 3})

    with connection.cursor() as cursor:
        cursor.execute("SELECT value FROM mailhub_cache")
        assert json.loads(cursor.fetchone()[0]) == {"at": "2026-01-01", "broken": ["Contoso"], "checked": 3}


def test_what_json_cannot_hold_is_refused_when_it_is_written(stored: BaseCache) -> None:
    with pytest.raises(TypeError):
        stored.set("moment", timezone.now())


def test_add_takes_a_free_or_an_expired_key_and_no_other(stored: BaseCache) -> None:
    assert stored.add("turn", "first", timeout=60)
    assert not stored.add("turn", "second", timeout=60)
    assert stored.get("turn") == "first"

    stored.set("turn", "late", timeout=-1)
    assert stored.get("turn") is None
    assert stored.add("turn", "third", timeout=60)
    assert stored.get("turn") == "third"


def test_touch_prolongs_what_is_there(stored: BaseCache) -> None:
    stored.set("kept", [1.5, 2.5], timeout=60)

    assert stored.touch("kept", timeout=None)
    assert stored.get_many(["kept", "missing"]) == {"kept": [1.5, 2.5]}
    assert not stored.touch("missing", timeout=60)
    assert stored.delete("kept") and "kept" not in stored


def test_expired_rows_go_when_there_are_too_many_and_living_ones_stay(
    stored: BaseCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stored, "_max_entries", 3)
    stored.set("kept", 1, timeout=None)
    for number in range(5):
        stored.set(f"late-{number}", number, timeout=-1)
    for number in range(5):
        stored.set(f"new-{number}", number, timeout=60)

    with connection.cursor() as cursor:
        cursor.execute("SELECT COUNT(*) FROM mailhub_cache")
        assert cursor.fetchone()[0] == 6
    assert stored.get_many(["kept", "new-0"]) == {"kept": 1, "new-0": 0}


def test_the_rate_limits_of_the_sign_in_count_in_it(stored: BaseCache) -> None:
    person = make_member(make_tenant())

    def try_with(password: str) -> int:
        return browser().post(reverse("account_login"), {"login": person.email, "password": password}).status_code

    assert [try_with("a wrong password") for _ in range(10)] == [200] * 10
    assert try_with(PASSWORD) != 302, "the right password must not help before the pause is over"


def weaknesses(url: str) -> str:
    """What production says of this REDIS_URL beside all the rest."""
    values = {name: getattr(project, name) for name in dir(project) if name.isupper()}
    with pytest.raises(ImproperlyConfigured) as refused:
        production.refuse_weak_settings({**values, "HTTPS": False, "REDIS_URL": url})
    return str(refused.value)


@pytest.mark.parametrize(
    "url",
    [
        "redis://queue.example.org:6379/0",
        "redis://mailhub@10.0.0.7/0",
        "redis://:@queue/0",
        "redis://queue/0?password=",
    ],
)
def test_production_refuses_a_redis_elsewhere_that_anybody_may_write_to(url: str) -> None:
    assert "REDIS_URL" in weaknesses(url)


@pytest.mark.parametrize(
    "url",
    [
        "redis://:secret@queue.example.org:6379/0",
        "redis://queue/0?password=secret",
        "rediss://queue.example.org:6379/0",
        "redis://localhost:6379/0",
        "redis://127.0.0.1/0",
        "redis://[::1]:6379/0",
        "unix:///run/redis/redis.sock?db=0",
    ],
)
def test_production_takes_a_redis_with_password_or_tls_or_on_this_machine(url: str) -> None:
    assert "REDIS_URL" not in weaknesses(url)
