"""What the tests of faults have in common."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.programs import Program


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    """Name a broker in a file of its own, with the shortest lease."""
    return f"sqlite:///{tmp_path}/broker.sqlite?durability=normal&lease=1"


@pytest.fixture
def programs() -> Iterator[list[Program]]:
    """Give a list: what is put in it is ended after the test."""
    started: list[Program] = []
    yield started
    for program in started:
        program.end()
