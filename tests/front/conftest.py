"""What the tests of both front ends have in common."""

from __future__ import annotations

from uuid import uuid4

import pytest


@pytest.fixture
def url() -> str:
    """Name a broker in memory that no other test has."""
    return f"memory://{uuid4().hex}"
