"""Slots of Redis Cluster, and who has them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dulse.links.addresses import Place
from dulse.links.redis.slots import SLOTS, master_of, moved_to, nodes_of, slot_of, tagged
from tests.links.redis.rig import settings

ASKED = Place("asked", 7000)
ANSWER = [
    [0, 5460, [b"10.0.0.1", 6379, b"id1", []], [b"10.0.0.4", 6379, b"id4", []]],
    [5461, 10922, [b"", 6380, b"id2", []]],
    [10923, 10923, [None, 6381, b"id3", []]],
]


@pytest.mark.parametrize(("key", "slot"), [(b"123456789", 0x31C3), (b"foo", 12182), (b"", 0)])
def test_the_slot_is_that_of_the_specification(key: bytes, slot: int) -> None:
    assert slot_of(key) == slot


@pytest.mark.parametrize("key", [b"{foo}bar", b"bar{foo}{zap}", b"{foo}"])
def test_what_stands_in_the_first_braces_decides(key: bytes) -> None:
    assert slot_of(key) == slot_of(b"foo")


@pytest.mark.parametrize("key", [b"foo{}bar", b"{foo", b"}foo{"])
def test_braces_without_content_or_end_are_letters(key: bytes) -> None:
    assert slot_of(key) not in {slot_of(b"foo"), slot_of(b"")}


@given(st.text(), st.text(), st.text())
def test_all_keys_behind_a_tagged_prefix_have_one_slot(prefix: str, one: str, other: str) -> None:
    begin = tagged(prefix)
    slots = {slot_of((begin + name).encode("utf-8", "surrogatepass")) for name in (one, other)}
    assert len(slots) == 1
    assert 0 <= slots.pop() < SLOTS


def test_a_prefix_with_braces_of_its_own_stays() -> None:
    assert tagged("{app}:") == "{app}:"
    assert tagged("app:") == "{app:}"
    assert tagged("") == "{dulse}"


def test_the_keys_that_are_declared_have_the_slot_of_the_others() -> None:
    found = settings("redis+cluster://host")
    assert {slot_of(key.encode()) for key in found.gate} == {found.slot}
    assert settings("redis://host").gate == ()


def test_a_redirection_names_a_node() -> None:
    assert moved_to("MOVED 3999 10.0.0.1:6381", ASKED) == Place("10.0.0.1", 6381)
    assert moved_to("MOVED 3999 ::1:6381", ASKED) == Place("::1", 6381)
    assert moved_to("MOVED 3999 :6381", ASKED) == Place("asked", 6381)


@pytest.mark.parametrize("text", ["ASK 3999 10.0.0.1:6381", "MOVED", "MOVED 1 here", "MOVED 1 here:port"])
def test_any_other_reply_names_none(text: str) -> None:
    assert moved_to(text, ASKED) is None


@pytest.mark.parametrize(
    ("slot", "place"),
    [
        (0, Place("10.0.0.1", 6379)),
        (5460, Place("10.0.0.1", 6379)),
        (5461, Place("asked", 6380)),
        (10923, Place("asked", 6381)),
        (10924, None),
    ],
)
def test_the_master_of_a_slot_is_found(slot: int, place: Place | None) -> None:
    assert master_of(slot, ANSWER, ASKED) == place


def test_all_nodes_are_found() -> None:
    assert nodes_of(ANSWER, "/a/socket") == [
        Place("10.0.0.1", 6379),
        Place("10.0.0.4", 6379),
        Place("localhost", 6380),
        Place("localhost", 6381),
    ]
