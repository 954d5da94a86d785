"""Names of several addresses: tried by turns, and the one that answers first is taken."""

from __future__ import annotations

import asyncio
import socket

import pytest

from dulse import errors
from dulse.links.addresses import Address, Place
from dulse.links.asynchronous.dialing import dial, in_turns

FOUR = [Address(socket.AF_INET, ("10.0.0.1", 1)), Address(socket.AF_INET, ("10.0.0.2", 1))]
SIX = [Address(socket.AF_INET6, ("fd00::1", 1, 0, 0)), Address(socket.AF_INET6, ("fd00::2", 1, 0, 0))]


def test_families_take_turns_beginning_with_the_systems_first() -> None:
    assert in_turns([*SIX, *FOUR]) == [SIX[0], FOUR[0], SIX[1], FOUR[1]]


def test_one_family_keeps_its_order() -> None:
    assert in_turns(FOUR) == FOUR


def test_no_addresses_are_none() -> None:
    assert in_turns([]) == []


async def test_the_address_that_answers_is_taken_where_another_refuses(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as door, socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))  # and does not listen
        found = [
            (socket.AF_INET, socket.SOCK_STREAM, 0, "", each.getsockname()) for each in (silent, door)
        ]  # what the resolver of a machine with such a name would give

        async def getaddrinfo(*_: object, **__: object) -> list[object]:
            return list(found)

        monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", getaddrinfo)
        with await dial(Place("two.example", 1), None) as connected:
            assert connected.getpeername() == door.getsockname()


async def test_all_that_refuse_are_a_refusal_naming_the_place() -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        port = silent.getsockname()[1]
        with pytest.raises(errors.ConnectionRefused, match=rf"127\.0\.0\.1:{port}"):
            await dial(Place("127.0.0.1", port), None)
