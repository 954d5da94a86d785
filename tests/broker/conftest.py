"""What the tests of the broker's decisions share."""

from __future__ import annotations

import pytest

from tests.broker.catalogue_rig import Catalogue


@pytest.fixture
def catalogue() -> Catalogue:
    """Give an empty catalogue."""
    return Catalogue()
