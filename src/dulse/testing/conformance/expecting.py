"""Saying in a case that an error must come."""

from __future__ import annotations

from types import TracebackType
from typing import Generic, TypeVar

E = TypeVar("E", bound=BaseException)


class expected(Generic[E]):  # noqa: N801 - it reads as a word: with expected(errors.NotFound):
    """A block that must end by one of these errors, which is `value` from then on."""

    value: E

    def __init__(self, *kinds: type[E]) -> None:
        self._kinds = kinds

    def __enter__(self) -> expected[E]:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> bool:
        if error is None:
            names = " or ".join(kind.__name__ for kind in self._kinds)
            text = f"no {names} was raised"
            raise AssertionError(text)
        if not isinstance(error, self._kinds):
            return False
        self.value = error
        return True
