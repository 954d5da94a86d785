"""The filesystem transport keeps what the conformance suite asks of it, through both APIs."""

from __future__ import annotations

from pathlib import Path

import pytest

from dulse.testing.conformance.suite import ConformanceSuite


class TestFilesystem(ConformanceSuite):
    is_short = True

    @pytest.fixture
    def broker_url(self, tmp_path: Path) -> str:
        return f"filesystem://{tmp_path}/broker"
