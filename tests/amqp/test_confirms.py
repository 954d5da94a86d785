"""The window of confirms counts what waits, by messages and by bytes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dulse import errors
from dulse.amqp.confirms import Window


def full(messages: int) -> Window:
    window = Window(messages)
    for _ in range(messages):
        window.add(10)
    return window


def test_messages_are_numbered_from_1() -> None:
    window = Window()
    assert [window.add(1), window.add(1)] == [1, 2]


def test_multiple_settles_all_up_to_the_tag() -> None:
    window = full(5)
    assert (window.settle(3, multiple=True), window.unsettled(), window.held) == ([1, 2, 3], [4, 5], 20)


def test_multiple_of_tag_0_settles_all() -> None:
    assert full(3).settle(0, multiple=True) == [1, 2, 3]


def test_single_tags_may_come_in_any_order_and_multiple_skips_them() -> None:
    window = full(4)
    assert (window.settle(2, multiple=False), window.settle(4, multiple=True)) == ([2], [1, 3, 4])


def test_a_tag_settled_before_gives_nothing() -> None:
    window = full(2)
    window.settle(1, multiple=False)
    assert window.settle(1, multiple=False) == []


def test_a_tag_never_published_is_a_protocol_error() -> None:
    with pytest.raises(errors.ProtocolError, match="confirms message 3 and 2"):
        full(2).settle(3, multiple=True)


def test_the_window_is_full_by_messages_or_by_bytes() -> None:
    by_bytes = Window(10, 100)
    by_bytes.add(90)
    assert (full(2).has_room(0), by_bytes.has_room(10), by_bytes.has_room(11)) == (False, True, False)


def test_an_empty_window_takes_a_message_of_any_size() -> None:
    assert Window(1, 1).has_room(10**9)


def test_a_window_that_takes_nothing_is_refused() -> None:
    with pytest.raises(errors.InvalidArgument, match="takes nothing"):
        Window(0)


@given(st.lists(st.tuples(st.integers(0, 50), st.booleans()), max_size=40))
def test_every_message_is_settled_once_and_the_bytes_add_up(settlements: list[tuple[int, bool]]) -> None:
    window = full(50)
    found = [tag for each, multiple in settlements for tag in window.settle(each, multiple)]
    assert sorted(found + window.unsettled()) == list(range(1, 51))
    assert window.held == 10 * len(window)
