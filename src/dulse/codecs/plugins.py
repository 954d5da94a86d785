"""Serializers that installed packages offer by entry point."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from dulse.codecs.offender import reason

__all__ = ["GROUPS", "Offer", "find"]

GROUPS = ("dulse.serializers", "kombu.serializers")
"""An entry point's object is a tuple: encoder, decoder, content type and, where it is not utf-8, content encoding."""


class Offer(NamedTuple):
    """What an entry point's tuple holds, in its order."""

    encoder: Callable[[Any], bytes | str] | None
    decoder: Callable[[Any], Any] | None
    content_type: str
    content_encoding: str = "utf-8"


def find() -> tuple[dict[str, Offer], dict[str, str]]:
    """Load every entry point: the offers by name, and by name why others could not be loaded.

    Of two by one name the one made for dulse wins.
    """
    from importlib.metadata import entry_points

    offers: dict[str, Offer] = {}
    failures: dict[str, str] = {}
    for entry in (entry for group in GROUPS for entry in entry_points(group=group)):
        try:
            offers.setdefault(entry.name, Offer(*entry.load()))
        except Exception as error:  # noqa: BLE001 - foreign code; told when that name is asked for
            failures[entry.name] = f"the entry point {entry.value} of {entry.group} failed: {reason(error)}"
    return offers, failures
