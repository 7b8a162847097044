"""One sandbox for all tests of this folder; its faults are off again after each."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.servers.sandbox import Sandbox


@pytest.fixture
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="sbx-", dir="/tmp") as path:
        yield Path(path)


@pytest.fixture(scope="session")
def running() -> Iterator[Sandbox]:
    with tempfile.TemporaryDirectory(prefix="sbx-", dir="/tmp") as path, Sandbox().start(Path(path)) as sandbox:
        yield sandbox


@pytest.fixture
def sandbox(running: Sandbox) -> Iterator[Sandbox]:
    yield running
    running.clear_faults()
