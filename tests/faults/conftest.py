"""What the tests of faults have in common."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.brokers import broker_url
from tests.faults.programs import Program


@pytest.fixture(params=["sqlite", "filesystem"])
def shared_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Name a broker of its own that processes can share, with the shortest lease."""
    return broker_url(request.param, tmp_path)


@pytest.fixture(params=["memory", "sqlite", "filesystem"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Name a broker of its own."""
    return f"memory://{uuid.uuid4().hex}" if request.param == "memory" else broker_url(request.param, tmp_path)


@pytest.fixture
def programs() -> Iterator[list[Program]]:
    """Give a list: what is put in it is ended after the test."""
    started: list[Program] = []
    yield started
    for program in started:
        program.end()
