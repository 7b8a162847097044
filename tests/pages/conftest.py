from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.accounts.people import make_tenant
from tests.pages.house import House, build


@pytest.fixture(autouse=True)
def quiet_outside(settings: Any, tmp_path: Path) -> None:
    """No sandbox, no way out; packs lie in a folder of the test."""
    settings.MAILHUB_SANDBOX = False
    settings.MAILHUB_ALLOWED_NETWORKS = []
    settings.STORAGES = settings.STORAGES | {
        "packs": {**settings.STORAGES["packs"], "OPTIONS": {"location": tmp_path / "packs"}}
    }


@pytest.fixture
def house(db: None) -> House:
    return build(make_tenant("Contoso"))


@pytest.fixture
def neighbour(db: None) -> House:
    """Another organisation, with the same things."""
    return build(make_tenant("Fabrikam"))
