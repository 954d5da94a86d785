"""What is said of arguments that are of the wrong kind. Values stay out of it: some are secret, some are long."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from dulse import errors


def mistaken(name: str, given: object, wanted: str) -> Exception:
    """Make the InvalidArgument that says of what type an argument is, and what it must be."""
    return errors.make(errors.InvalidArgument, f"{name} must be {wanted}, not of type {type(given).__name__}")


def table(name: str, given: Any) -> dict[str, Any]:
    """Copy a mapping, or raise InvalidArgument; None is an empty one."""
    if given is not None and not isinstance(given, Mapping):
        raise mistaken(name, given, "a mapping of names to values")
    return dict(given or {})


def listed(name: str, given: Any, wanted: str) -> list[Any]:
    """List what a collection holds, or raise InvalidArgument; a text is none, though it holds letters."""
    if isinstance(given, str | bytes) or not isinstance(given, Iterable):
        raise mistaken(name, given, wanted)
    return list(given)


def check_callable(**given: Any) -> None:
    """Raise InvalidArgument for what is neither None nor callable."""
    for name, each in given.items():
        if each is not None and not callable(each):
            raise mistaken(name, each, "callable")


def check_timeout(timeout: Any, otherwise: str) -> None:
    """Raise InvalidArgument unless it is None or a number of seconds from 0 on; `otherwise` says what None means."""
    if timeout is not None and not (isinstance(timeout, int | float) and timeout >= 0):
        text = f"timeout is {timeout!r}: give 0 or more seconds, or None {otherwise}"
        raise errors.make(errors.InvalidArgument, text)
