"""A broker in a folder for each test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from dulse.transports.filesystem import FilesystemStorage


@pytest.fixture
def storage(tmp_path: Path) -> Iterator[FilesystemStorage]:
    storage = FilesystemStorage(tmp_path / "broker", durability="normal")
    storage.open(10)
    yield storage
    storage.close(5)
