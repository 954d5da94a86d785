"""What scripts are told: calls of the contract as words of a command."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from dulse.links.redis.resp import Word
from dulse.model.records import Guard, Parts, Put, Revision, Target
from dulse.transports.redis.names import check

__all__ = [
    "RedisToken",
    "Targets",
    "change_words",
    "forward_words",
    "group_words",
    "guard_words",
    "put_one_words",
    "put_words",
    "range_words",
    "token_words",
]

RedisToken = tuple[str, bytes]
"""The queue, and the number of the taking; with a minus, one that is no delivery."""

_NONE = -1


def _or_none(value: int | None) -> int:
    return _NONE if value is None else value


def _parking(park: str | None) -> str:
    return "-" if park is None else f"+{park}"


def guard_words(guards: Sequence[Guard]) -> list[Word]:
    """Count, then group and revision of each."""
    words: list[Word] = [len(guards)]
    for group, revision in guards:
        words += (group, revision or b"0")
    return words


def put_one_words(
    put: Put,
    target: Target,
    guards: Sequence[Guard],
    publisher: tuple[str, int] | None,
    park: str | None,
    born: bytes,
) -> list[Word]:
    """Say one put of one target without limits or delay; `born`: since when there are keys."""
    name, number = publisher or ("", 0)
    words: list[Word] = [
        name,
        number,
        _parking(park),
        born,
        target.queue,
        target.priority,
        _or_none(target.ttl_ms),
        put.size,
        put.payload,
    ]
    for group, revision in guards:
        words += (group, revision or b"0")
    return words


class Targets:
    """Gives each target a number, the first 1."""

    def __init__(self) -> None:
        self._numbers: dict[Target, int] = {}
        self._said: dict[int, bytes] = {}
        self._kept: list[Sequence[Target]] = []

    def say(self, targets: Sequence[Target]) -> bytes:
        """Name targets by their numbers."""
        said = self._said.get(id(targets))
        if said is None:
            numbers = self._numbers
            said = b" ".join([b"%d" % numbers.setdefault(target, len(numbers) + 1) for target in targets])
            self._said[id(targets)] = said
            self._kept.append(targets)  # an id is good for as long as its object lives
        return said

    def words(self) -> list[Word]:
        """Count, then all of each."""
        words: list[Word] = [len(self._numbers)]
        for queue, priority, ttl_ms, delay_ms, max_count, max_bytes, refuse in self._numbers:
            check(queue)
            words += (queue, priority, _or_none(ttl_ms), delay_ms, _or_none(max_count), _or_none(max_bytes))
            words.append(b"1" if refuse else b"0")
        return words

    def queue(self, number: int) -> str:
        """Name the queue of a target."""
        return list(self._numbers)[number - 1].queue


def _said(puts: Sequence[Put], targets: Targets) -> list[Word]:
    words: list[Word] = [len(puts)]
    for put in puts:
        words += (put.payload, put.size, targets.say(put.targets))
    return words


def put_words(
    puts: Sequence[Put], guards: Sequence[Guard], publisher: tuple[str, int] | None, park: str | None, born: bytes
) -> tuple[list[Word], Targets]:
    """Say any puts; the second part names the queues that the answer tells of; `born`: since when there are keys."""
    targets = Targets()
    said = _said(puts, targets)
    name, number = publisher or ("", 0)
    return [name, number, _parking(park), born, *guard_words(guards), *targets.words(), *said], targets


def forward_words(moves: Iterable[tuple[RedisToken, Sequence[Put]]], owner: str, guards: Sequence[Guard]) -> list[Word]:
    """Say moves of taken records."""
    targets = Targets()
    said: list[Word] = []
    count = 0
    for token, puts in moves:
        said += (*token, *_said(puts, targets))
        count += 1
    return [owner, *guard_words(guards), *targets.words(), count, *said]


def token_words(tokens: Sequence[RedisToken]) -> list[Word]:
    """Count the queues; for each its name, a count and the numbers."""
    by_queue: dict[str, list[bytes]] = {}
    for queue, number in tokens:
        by_queue.setdefault(queue, []).append(number)
    words: list[Word] = [len(by_queue)]
    for queue, numbers in by_queue.items():
        words += (queue, len(numbers), *numbers)
    return words


def change_words(
    expect: Mapping[str, Revision],
    writes: Mapping[tuple[str, str], str | None],
    drop: Sequence[str],
    if_dead: str | None,
    *,
    only_empty: bool,
) -> list[Word]:
    """Say a change of the catalogue."""
    groups: dict[str, tuple[list[Any], list[str]]] = {}
    for (group, name), value in writes.items():
        sets, deletions = groups.setdefault(group, ([], []))
        if value is None:
            deletions.append(f"={name}")
        else:
            sets += (f"={name}", value)
    guards = [Guard(group, revision) for group, revision in expect.items()]
    words: list[Word] = [b"1" if only_empty else b"0", _parking(if_dead), *guard_words(guards)]
    words.append(len(groups))
    for group, (sets, deletions) in groups.items():
        check(group)
        words += (group, len(sets) // 2, *sets, len(deletions), *deletions)
    return [*words, len(drop), *drop]


def group_words(group_names: Sequence[str], parts: Parts) -> list[Word]:
    """Say what is to be read: whole groups, and fields of others."""
    words: list[Word] = [len(group_names), *group_names, len(parts)]
    for name, fields in parts.items():
        words += (name, len(fields), *(f"={field}" for field in fields))
    return words


def range_words(start: str) -> list[Word]:
    """Say which names begin so, as ZRANGEBYLEX wants it."""
    first = start.encode()
    if not first:
        return [b"-", b"+"]
    return [b"[" + first, b"(" + first[:-1] + bytes([first[-1] + 1])]
