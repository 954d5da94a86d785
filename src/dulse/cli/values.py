"""Values on the command line: durations, and names with a value."""

from __future__ import annotations

import json
from typing import Any

import click

from dulse import errors
from dulse.model.conversion import expectation

_SECONDS = expectation(float, seconds=True, minimum=0, maximum=1e9)


class Duration(click.ParamType):  # type: ignore[type-arg] # only the newest click has one
    """Seconds, written as a number or as 500ms, 20s, 5m, 1h, 2d."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Give the seconds."""
        try:
            return float(_SECONDS.convert(value, "it"))
        except errors.InvalidArgument:
            self.fail(f"{value!r} is no duration: write seconds, or 500ms, 20s, 5m, 1h", param, ctx)


class Setting(click.ParamType):  # type: ignore[type-arg] # likewise
    """A name and a text: NAME=TEXT."""

    name = "name=text"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, str]:
        """Give name and text."""
        if isinstance(value, tuple):
            return value
        name, equals, text = value.partition("=")
        if not (name and equals):
            self.fail(f"{value!r} is not written as NAME=VALUE", param, ctx)
        return name, text


class Field(click.ParamType):  # type: ignore[type-arg] # likewise
    """A name and a value: NAME=TEXT, or NAME:=JSON for numbers, truth values, lists and tables."""

    name = "name=text or name:=json"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, Any]:
        """Give name and value."""
        if isinstance(value, tuple):
            return value
        name, equals, text = value.partition("=")
        if not (name.rstrip(":") and equals):
            self.fail(f"{value!r} is not written as NAME=TEXT or NAME:=JSON", param, ctx)
        if not name.endswith(":"):
            return name, text
        try:
            return name[:-1], json.loads(text)
        except ValueError:
            self.fail(f"{text!r} is not JSON: write {name[:-1]}={text} if it is meant as text", param, ctx)


DURATION = Duration()
OPTION = Setting()
FIELD = Field()
