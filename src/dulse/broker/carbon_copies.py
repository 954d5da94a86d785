"""Further routing keys that a message brings along in its headers CC and BCC, an extension of RabbitMQ's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dulse.broker import refusals
from dulse.model.message import Properties

_METHOD = "Basic.publish"


def has_further_keys(headers: Mapping[str, Any]) -> bool:
    """Tell whether a message with these headers cannot use a route that was kept for its routing key."""
    return "CC" in headers or "BCC" in headers


def further_keys(headers: Mapping[str, Any]) -> list[str]:
    """Give the further routing keys; anything but a list of text raises PreconditionFailed (406) naming it."""
    keys: list[str] = []
    for name in ("CC", "BCC"):
        value = headers.get(name)
        if value is None:
            continue
        if not isinstance(value, list | tuple) or not all(isinstance(key, str) for key in value):
            text = f"the header {name} must be a list of routing keys, not {value!r}"
            raise refusals.precondition_failed(text, _METHOD)
        keys += value
    return keys


def without_blind_copies(properties: Properties) -> Properties:
    """Give the properties to store: those without the header BCC, which no receiver may see."""
    headers = properties.get("headers")
    if not headers or "BCC" not in headers:
        return properties
    return {**properties, "headers": {name: value for name, value in headers.items() if name != "BCC"}}
