"""The window of confirms keeps what waits, in order, and counts it by messages and by bytes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dulse import errors
from dulse.amqp.confirms import COST, Unconfirmed, Window


def full(messages: int) -> Window:
    window = Window(messages)
    window.entries.extend(bytes((65 + each,)) * (each + 1) for each in range(messages))
    window.sent.extend(map(len, window.entries))
    return window


def tags(window: Window) -> list[int]:
    return [each.tag for each in window.unconfirmed()]


def test_multiple_settles_all_up_to_the_tag() -> None:
    window = full(5)
    window.confirm(3, multiple=True)
    assert (tags(window), window.entries, window.base) == ([4, 5], [b"DDDD", b"EEEEE"], 4)


def test_multiple_of_tag_0_settles_all() -> None:
    window = full(3)
    window.confirm(0, multiple=True)
    assert (tags(window), window.entries, window.weigh()) == ([], [], 0)


def test_single_tags_may_come_in_any_order_and_multiple_skips_them() -> None:
    window = full(4)
    window.confirm(2, multiple=False)
    assert [each.tag for each in window.refuse(3, multiple=True)] == [1, 3]
    assert tags(window) == [4]


def test_what_was_confirmed_early_leaves_when_the_oldest_does() -> None:
    window = full(4)
    window.confirm(2, multiple=False)
    window.confirm(3, multiple=False)
    assert (window.entries[0], window.base, len(window)) == (b"A", 1, 2)
    window.confirm(1, multiple=False)
    assert (window.entries, window.base, window.singles) == ([b"DDDD"], 4, set())


def test_single_confirms_in_order_leave_before_they_fill_the_window() -> None:
    window = Window(80)
    window.entries.extend([b"x"] * 80)
    for tag in range(1, 81):
        window.confirm(tag, multiple=False)
        assert (window.is_settled(tag), window.is_settled(tag + 1), len(window)) == (True, False, 80 - tag)
        assert len(window.entries) <= (80 - tag) * 8 // 7 + 1
    assert (window.entries, window.base, window.singles, window.weigh()) == ([], 81, set(), 0)


def test_a_tag_settled_before_gives_nothing() -> None:
    window = full(2)
    window.tokens[1] = "one"
    assert window.confirm(1, multiple=False) == ["one"]
    assert (window.confirm(1, multiple=False), window.refuse(1, multiple=True)) == ([], [])


def test_a_tag_never_published_is_a_protocol_error() -> None:
    with pytest.raises(errors.ProtocolError, match="confirms message 3 and 2"):
        full(2).confirm(3, multiple=True)


def test_tokens_come_back_with_the_confirm_oldest_first() -> None:
    window = full(5)
    window.tokens.update({1: "one", 3: "three", 4: "four"})
    assert window.confirm(3, multiple=True) == ["one", "three"]
    assert window.tokens == {4: "four"}


def test_what_is_refused_is_given_with_its_bytes_and_token() -> None:
    window = full(3)
    window.tokens[2] = "two"
    assert window.refuse(2, multiple=False) == [Unconfirmed(2, b"BB", "two")]
    assert (tags(window), window.tokens, window.is_settled(2), window.is_settled(3)) == ([1, 3], {}, True, False)


def test_the_window_is_full_by_messages_or_by_bytes() -> None:
    by_bytes = Window(10, COST * 3)
    by_bytes.entries.append(b"x" * (COST - 10))
    assert (full(2).has_room(0), by_bytes.has_room(10), by_bytes.has_room(11)) == (False, True, False)
    assert (full(2).room(), by_bytes.room()) == (0, COST + 10)


def test_an_empty_window_takes_a_message_of_any_size() -> None:
    assert Window(1, 1).has_room(10**9)


def test_what_fits_into_the_room_keeps_both_bounds() -> None:
    window = Window(messages=4, size=100 * COST)
    assert window.room() == 4 * COST
    window.entries.extend([b"", b"", b""])
    assert window.room() == COST


def test_a_window_that_takes_nothing_is_refused() -> None:
    with pytest.raises(errors.InvalidArgument, match="takes nothing"):
        Window(0)


def test_a_message_sent_in_pieces_is_finished_before_the_next_begins() -> None:
    window = Window()
    window.entries.extend([b"abcdef", b"gh", b"ij"])
    window.sent.append(2)
    window.extra.append(1)
    assert window.remainder() == b"def"
    window.extra.append(3)
    assert (window.remainder(), window.begin_next(), window.sent, window.extra) == (b"", b"gh", [6], [])
    window.sent.append(0)
    assert window.remainder() == b"gh"


def test_what_was_sent_in_pieces_does_not_count_for_what_is_published_next() -> None:
    window = Window()
    window.entries.append(b"abcdef")
    window.sent.append(2)
    window.extra.append(4)
    assert (window.remainder(), window.begin_next()) == (b"", None)
    window.entries.append(b"ghijkl")  # by the short way
    window.sent.append(1)
    assert window.remainder() == b"hijkl"


def test_what_was_begun_is_sent_to_its_end_by_itself() -> None:
    window = Window()
    window.entries += [b"ab", b"cdef", b"gh"]
    window.sent += [2, 1]
    assert window.begun(tried=False) == (b"def", [2, 4])


def test_what_the_socket_has_refused_comes_again_as_it_was() -> None:
    window = Window()
    window.entries += [b"ab", b"cdef"]
    assert window.begun(tried=True) == (b"ab", [2])
    row = window.begin_row()
    assert window.begun(tried=True) == (row, [2, 4])
    assert window.begun(tried=False) == (b"", [])


@pytest.mark.parametrize(
    ("first", "later", "whole"), [(3, [], True), (1, [], False), (1, [1], False), (1, [1, 1], True)]
)
def test_an_entry_is_whole_when_the_pieces_sent_make_it_up(first: int, later: list[int], whole: bool) -> None:
    window = Window()
    window.entries.append(b"abc")
    window.sent.append(first)
    window.extra.extend(later)
    assert window.is_whole() is whole


def test_when_all_were_tried_there_is_no_next() -> None:
    assert (full(2).begin_next(), Window().begin_next(), Window().remainder()) == (None, None, b"")


def test_a_confirmed_message_takes_its_pieces_along() -> None:
    window = Window()
    window.entries.append(b"abc")
    window.sent.append(1)
    window.extra.append(2)
    window.confirm(1, multiple=False)
    window.entries.append(b"de")
    window.sent.append(1)
    assert window.remainder() == b"e"


def test_bytes_are_counted_in_and_out_whenever_they_are_asked_for() -> None:
    window = full(4)
    assert window.weigh() == 10 + 4 * COST
    window.confirm(3, multiple=True)
    window.entries.extend([b"x" * 50, b"y" * 60])
    assert window.weigh() == 4 + 50 + 60 + 3 * COST
    window.confirm(6, multiple=True)
    assert window.weigh() == 0


def test_after_a_restart_what_waits_is_numbered_anew_and_unsent() -> None:
    window = full(4)
    window.tokens.update({3: "three", 4: "four"})
    window.confirm(2, multiple=False)
    window.restart(window.unconfirmed())
    assert (window.entries, window.sent, window.base) == ([b"A", b"CCC", b"DDDD"], [], 1)
    assert (window.tokens, window.weigh()) == ({2: "three", 3: "four"}, 8 + 3 * COST)
    assert window.begin_next() == b"A"


@given(st.lists(st.tuples(st.integers(0, 50), st.booleans(), st.booleans()), max_size=40))
def test_every_message_is_settled_once_and_the_bytes_add_up(settlements: list[tuple[int, bool, bool]]) -> None:
    window = full(50)
    window.tokens.update({each: each for each in range(1, 51)})
    found: list[object] = []
    for tag, multiple, refused in settlements:
        if refused:
            found.extend(each.tag for each in window.refuse(tag, multiple))
        else:
            found.extend(window.confirm(tag, multiple))
    assert sorted(map(str, [*found, *tags(window)])) == sorted(map(str, range(1, 51)))
    assert window.weigh() == sum(map(len, window.entries)) + COST * len(window.entries)
    assert all(window.entries[tag - window.base] == bytes((64 + tag,)) * tag for tag in tags(window))
    assert len(window.sent) == len(window.entries)


# ----------------------------------------------------------------------------------------------------------- rows


def test_messages_that_wait_go_in_one_piece_and_are_counted_one_by_one() -> None:
    window = Window()
    window.entries.extend([b"ab", b"cde", b"f"])
    assert window.begin_row() == b"abcdef"
    window.given.append(4)
    window.take_row()
    assert (window.sent, window.remainder()) == ([2, 2], b"e")
    window.extra.append(1)
    assert (window.remainder(), window.begin_row(), window.begin_next()) == (b"", b"", b"f")


def test_a_row_that_nothing_took_comes_again_as_it_was() -> None:
    window = Window()
    window.entries.extend([b"ab", b"cd"])
    first = window.begin_row()
    window.take_row()
    window.entries.append(b"ef")
    assert window.begin_row() is first
    window.given.append(4)
    window.take_row()
    assert (window.sent, window.begin_row(), window.begin_next()) == ([2, 2], b"", b"ef")


def test_a_row_begins_behind_what_was_sent_in_two_parts() -> None:
    window = Window()
    window.entries.extend([b"abc", b"d", b"e"])
    window.sent.append(1)
    window.extra.append(2)
    assert window.begin_row() == b"de"
    window.given.append(2)
    window.take_row()
    assert (window.sent, window.extra) == ([3, 1, 1], [])


def test_a_confirm_counts_what_a_row_gave_before_an_exception_struck() -> None:
    window = Window()
    window.entries.extend([b"ab", b"cd", b"ef"])
    window.begin_row()
    window.given.append(6)
    window.confirm(2, multiple=True)
    assert (window.entries, window.sent, window.row) == ([b"ef"], [2], b"")


def test_what_begins_anew_has_no_row() -> None:
    window = Window()
    window.entries.extend([b"ab", b"cd"])
    window.begin_row()
    window.restart(window.unconfirmed())
    assert (window.row, window.begin_row()) == (b"", b"abcd")


def test_large_messages_are_not_copied_into_rows() -> None:
    window = Window()
    window.entries.extend([bytes(131073), b"a", b"b"])
    assert window.begin_row() == b""
    window.sent.append(131073)
    assert window.begin_row() == b"ab"
