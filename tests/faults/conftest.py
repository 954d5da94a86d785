"""What the tests of faults have in common."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.brokers import LEASE, broker_url
from tests.faults.programs import Program

DJANGO = pytest.param("django", marks=pytest.mark.slow)


@pytest.fixture(params=["sqlite", "filesystem", DJANGO])
def shared_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Name a broker of its own that processes can share, with the shortest lease."""
    return url_of(request, tmp_path)


@pytest.fixture(params=["memory", "sqlite", "filesystem", DJANGO])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Name a broker of its own."""
    return f"memory://{uuid.uuid4().hex}" if request.param == "memory" else url_of(request, tmp_path)


def url_of(request: pytest.FixtureRequest, folder: Path) -> str:
    if request.param == "django":
        return f"django://{request.getfixturevalue('django_sqlite')}?lease={LEASE}"
    return broker_url(request.param, folder)


@pytest.fixture
def programs() -> Iterator[list[Program]]:
    """Give a list: what is put in it is ended after the test."""
    started: list[Program] = []
    yield started
    for program in started:
        program.end()
