"""What scripts answer, as values of the contract."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from struct import Struct
from typing import Any, Final

from dulse.model.records import Depth, Group, Leased, Parts, Peeked, Problem, Revision, Swept
from dulse.transports.redis.words import RedisToken, Targets

__all__ = ["dead", "depths", "group_list", "groups", "held", "lost", "peeked", "problems", "revision", "swept", "taken"]

HEAD: Final = Struct(">BBIIddd")
"""As in lua/parts/elements.lua: mark, priority, size, deliveries, order, since (ms), time to live (ms; -1: none)."""

_LENGTH: Final = HEAD.size
_read = HEAD.unpack_from
_new = tuple.__new__  # half the cost of calling the class, on the path of every delivery


def _pairs(flat: Sequence[Any]) -> Iterator[tuple[Any, Any]]:
    return zip(flat[::2], flat[1::2], strict=True)


def taken(answer: Sequence[Any], queues: Sequence[str], mark: bytes, first_time: int) -> list[Leased]:
    """Give what was taken; `first_time` is 1 if a taking counts as a delivery."""
    now = answer[0]
    found: list[Leased] = []
    for index, number, elements in answer[3:]:
        queue = queues[index]
        for element in elements:
            number += 1  # noqa: PLW2901 - of the token
            _, _, _, deliveries, _, since, ttl = _read(element)
            token = (queue, b"%b%d" % (mark, number))
            age = now - int(since)
            ttl_ms = None if ttl < 0 else int(ttl)
            found.append(_new(Leased, (token, queue, element[_LENGTH:], deliveries + first_time, max(0, age), ttl_ms)))
    return found


def lost(flat: Sequence[bytes]) -> list[RedisToken]:
    """Give the tokens that a script names."""
    return [(queue.decode(), number) for queue, number in _pairs(flat)]


def problems(answer: Any, targets: Targets) -> list[Problem]:
    """Give what a put tells of limits."""
    if isinstance(answer, int):
        return []
    return [Problem(put, targets.queue(index), count, size) for put, index, count, size in answer]


def peeked(answer: Sequence[Any]) -> list[Peeked]:
    """Give what was looked at."""
    now, elements = answer
    found = []
    for element in elements:
        _, _, _, deliveries, _, since, ttl = _read(element)
        found.append(Peeked(element[_LENGTH:], deliveries, max(0, now - int(since)), None if ttl < 0 else int(ttl)))
    return found


def held(flat: Sequence[Any]) -> list[RedisToken]:
    """Give the tokens of what an owner holds."""
    return [(queue.decode(), number) for queue, numbers in _pairs(flat) for number in numbers]


def dead(answer: Sequence[Any]) -> tuple[Mapping[str, float], float | None]:
    """Give the owners past their time with the seconds since, and those until the next one is."""
    now, past, coming = answer
    owners = {owner.decode(): (now - float(expires)) / 1000 for owner, expires in _pairs(past)}
    return owners, (float(coming[1]) - now) / 1000 if coming else None


def swept(answer: Sequence[Any]) -> Swept:
    """Give what a sweep found."""
    promoted, expired, due_ms = answer
    names = [[name.decode() for name in each] for each in (promoted, expired)]
    return Swept(names[0], names[1], None if due_ms < 0 else due_ms / 1000)


def depths(flat: Sequence[int]) -> list[Depth]:
    """Give the depths of queues."""
    return [Depth(*flat[index : index + 4]) for index in range(0, len(flat), 4)]


def revision(word: bytes) -> Revision:
    """Give a revision as the contract has it."""
    return 0 if word == b"0" else word


def _age(word: bytes, now: int) -> int:
    return 0 if word == b"0" else max(0, now - int(word.partition(b":")[2]))


def groups(answer: Sequence[Any], whole: Sequence[str], parts: Parts) -> dict[str, Group]:
    """Give groups as they were read."""
    now = answer[0]
    found = {}
    for name, (word, flat) in zip([*whole, *parts], _pairs(answer[1:]), strict=True):
        values = {field[1:].decode(): value.decode() for field, value in _pairs(flat) if field[:1] == b"="}
        found[name] = Group(revision(word), _age(word, now), values)
    return found


def group_list(answer: Sequence[Any]) -> dict[str, tuple[Revision, int]]:
    """Give revision and age of groups."""
    now = answer[0]
    return {name.decode(): (word, _age(word, now)) for name, word in _pairs(answer[1:])}
