"""The memory transport keeps what the conformance suite asks of it, through both APIs."""

from __future__ import annotations

from collections.abc import Iterator
from uuid import uuid4

import pytest

from dulse.testing.conformance.suite import ConformanceSuite
from dulse.transports.memory import forget_store


class TestMemory(ConformanceSuite):
    @pytest.fixture
    def broker_url(self) -> Iterator[str]:
        name = uuid4().hex
        yield f"memory://{name}"
        forget_store(name)
