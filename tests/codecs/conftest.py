"""A registry that a test may change, and the process-wide one with everything enabled."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from dulse.codecs import SerializerRegistry, json, pickle, registry


@pytest.fixture
def fresh() -> SerializerRegistry:
    """Give a registry of its own with json (the default) and a pickle that is disabled."""
    made = SerializerRegistry()
    made.register("json", json.dumps, json.loads, "application/json")
    made.register("pickle", pickle.dumps, pickle.loads, pickle.CONTENT_TYPE, "binary")
    made.disable("pickle")
    made._set_default_serializer("json")
    return made


@pytest.fixture
def everything_enabled() -> Iterator[None]:
    """Enable every built-in serializer of the process for one test."""
    names = ("pickle", "yaml", "msgpack")
    for name in names:
        registry.enable(name)
    yield
    for name in names:
        registry.disable(name)
