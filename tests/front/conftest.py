"""What the tests of both front ends have in common."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any
from uuid import uuid4

import pytest


@pytest.fixture
def url() -> str:
    """Name a broker in memory that no other test has."""
    return f"memory://{uuid4().hex}"


@pytest.fixture
def frames() -> Any:
    """Give a context in which the names of dulse's functions are listed as they are called."""
    return _listed()


@contextmanager
def _listed() -> Iterator[list[str]]:
    names: list[str] = []

    def note(frame: FrameType, event: str, _: Any) -> None:
        if event == "call" and "/dulse/" in frame.f_code.co_filename:
            names.append(frame.f_code.co_qualname)

    sys.setprofile(note)
    try:
        yield names
    finally:
        sys.setprofile(None)
