"""Which of several brokers to try next."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import cycle
from typing import Any, TypeVar

from dulse import errors

T = TypeVar("T")
Random = Callable[[], float]


def round_robin(addresses: Iterable[T], random: Random) -> Iterator[T]:  # noqa: ARG001 - all strategies are called alike
    """Give the addresses in their order, over and over."""
    return cycle(addresses)


def shuffle(addresses: Iterable[T], random: Random) -> Iterator[T]:
    """Give the addresses in rounds: all of them in each, every round in an order of its own."""
    remaining = list(addresses)
    while remaining:
        for last in range(len(remaining) - 1, 0, -1):
            other = int(random() * (last + 1))
            remaining[last], remaining[other] = remaining[other], remaining[last]
        yield from tuple(remaining)


strategies: Mapping[str, Callable[[Iterable[Any], Random], Iterator[Any]]] = {
    "round-robin": round_robin,
    "shuffle": shuffle,
}


def failover(strategy: str | Callable[[list[T]], Iterable[T]], addresses: Iterable[T], random: Random) -> Iterator[T]:
    """Give without end the address to try next, the first one being the one to begin with.

    `strategy` is a name in `strategies` or a function from the list of addresses to the addresses in the order to try
    them; when that ends, the function is asked again. `random` gives 0 <= x < 1. Raises InvalidArgument for an unknown
    name, for no addresses, and when the function gives none.
    """
    known = list(addresses)
    if not known:
        raise errors.make(errors.InvalidArgument, "There is no broker to choose from: give at least one address")
    if callable(strategy):
        return _asked(strategy, known)
    if strategy not in strategies:
        names = ", ".join(repr(name) for name in strategies)
        raise errors.make(
            errors.InvalidArgument, f"Fail-over strategy {strategy!r} is unknown: it is one of {names}, or a function"
        )
    return strategies[strategy](known, random)


def _asked(strategy: Callable[[list[T]], Iterable[T]], addresses: list[T]) -> Iterator[T]:
    while True:
        address = None
        for address in strategy(list(addresses)):
            yield address
        if address is None:
            raise errors.make(errors.InvalidArgument, "The fail-over function gave no address to try")
