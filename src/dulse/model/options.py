"""Transport options: declared as a frozen dataclass, checked when they are given.

A transport's options are a subclass of `SharedOptions` or `VirtualOptions`:

    @dataclass(frozen=True, slots=True, kw_only=True)
    class SqliteOptions(VirtualOptions):
        durability: Literal["full", "normal"] = "full"
        busy_timeout: float = option(30.0, seconds=True, minimum=0)

`build` makes an instance of what a user gave: values of the declared types, or texts as they stand in a URL's query.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field, fields
from functools import cache
from typing import Any, Literal, TypeVar, cast, get_type_hints

from dulse import errors
from dulse.model.conversion import Expectation, expectation

T = TypeVar("T")

_LONGEST = 1e9
"""Seconds: in milliseconds and microseconds it still fits the 64 bits of every store."""


def option(
    default: Any,
    *,
    aliases: tuple[str, ...] = (),
    minimum: float | None = None,
    maximum: float | None = None,
    seconds: bool = False,
) -> Any:
    """Declare one option with more than a type and a default.

    `minimum` and `maximum` belong to the range. With `seconds`, a timedelta and texts such as `500ms`, `20s`, `5m` and
    `1h` are taken as well as numbers, and without a maximum of its own it has one of 1,000,000,000.
    """
    if seconds and maximum is None:
        maximum = _LONGEST
    return field(
        default=default,
        metadata={"aliases": aliases, "minimum": minimum, "maximum": maximum, "seconds": seconds},
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class SharedOptions:
    """What every transport takes: how to keep trying to connect. None leaves a choice to the call."""

    max_retries: int | None = option(None, minimum=0)
    interval_start: float | None = option(None, seconds=True, minimum=0)
    interval_step: float | None = option(None, seconds=True, minimum=0)
    interval_max: float | None = option(None, seconds=True, minimum=0)
    connect_retries_timeout: float | None = option(None, seconds=True, minimum=0)
    errback: Callable[..., Any] | None = None
    callback: Callable[..., Any] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class VirtualOptions(SharedOptions):
    """What every virtual transport takes besides."""

    lease: float = option(20.0, aliases=("visibility_timeout",), seconds=True, minimum=1)
    """Seconds after which the messages of a dead process are given to others."""
    max_hold: float | None = option(None, seconds=True, minimum=1)
    """Seconds after which a message is taken from a living handler; None: never."""
    polling_interval: float | None = option(None, seconds=True, minimum=0)
    """Seconds between two looks at a store that cannot wake its clients; None: the store's own pace."""
    body_encoding: Literal["base64"] | None = "base64"
    """How bytes stand in an envelope that is text; None: as they are."""
    confirm_publish: Literal[False, True, "off", "false", "true"] = False
    """True: each publish waits until its message is stored, also where the store answers later; see `flush`."""
    on_unconfirmed: Callable[..., Any] | None = None
    """Called with a message that the store did not take and the error, on whichever thread learns of it."""
    deadletter_queue: str | None = None
    """Where messages go that no queue wanted; None: nowhere."""


def build(options_class: type[T], given: Mapping[str, Any], *, of: str) -> T:
    """Check what was given and make the options of it.

    `of` says in error texts whose options they are ("the sqlite transport"). Raises UnknownOption with the nearest
    name, or InvalidArgument with the option, the value and what it may be. Defaults are not checked.
    """
    names, expected = _declared(cast("Hashable", options_class))
    values: dict[str, Any] = {}
    for key, value in given.items():
        name = names.get(key)
        if name is None:
            raise _unknown(key, names, of)
        if name in values:
            others = " and ".join(repr(other) for other in given if names.get(other) == name)
            raise errors.make(errors.InvalidArgument, f"{others} are one option of {of}: give only one of them")
        values[name] = expected[name].convert(value, f"Option {key!r} of {of}")
    return options_class(**values)


@cache
def _declared(options_class: Any) -> tuple[dict[str, str], dict[str, Expectation]]:
    """Give the option each name or alias stands for, and what each option may be."""
    hints = get_type_hints(options_class)
    names: dict[str, str] = {}
    expected: dict[str, Expectation] = {}
    for declared in fields(options_class):
        rules = dict(declared.metadata)
        for name in (declared.name, *rules.pop("aliases", ())):
            names[name] = declared.name
        expected[declared.name] = expectation(hints[declared.name], **rules)
    return names, expected


def _unknown(key: object, names: Mapping[str, str], of: str) -> Exception:
    from difflib import get_close_matches  # only an error needs it

    nearest = get_close_matches(str(key), names, n=1)
    advice = f"did you mean {nearest[0]!r}?" if nearest else f"it has {', '.join(sorted(names))}."
    return errors.make(errors.UnknownOption, f"{of[:1].upper()}{of[1:]} has no option {key!r}; {advice}")
