from __future__ import annotations

from collections.abc import Iterator

import pytest

from dulse.links.keeper import Keeper
from tests.links.rig import LONG


@pytest.fixture
def keeper() -> Iterator[Keeper]:
    keeper = Keeper()
    yield keeper
    keeper.stop(LONG)
