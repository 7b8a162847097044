from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from accounts.roles import Role
from tests.api.house import House, Program, make_house


@pytest.fixture(autouse=True)
def packs_of_the_test(settings: Any, tmp_path: Path) -> None:
    settings.MAILHUB_SANDBOX = False
    settings.STORAGES = settings.STORAGES | {
        "packs": {**settings.STORAGES["packs"], "OPTIONS": {"location": tmp_path / "packs"}}
    }


@pytest.fixture
def house(db: None) -> House:
    return make_house()


@pytest.fixture
def admin(house: House) -> Program:
    """An administrator's key that reads mail."""
    return house.program(Role.ADMIN, reads=True)


@pytest.fixture
def stranger(house: House) -> Program:
    """The same in another organisation."""
    return make_house("Fabrikam", "frank@fabrikam.test").program(Role.ADMIN, reads=True)
