"""The tables of a link's life and a channel's are whole, and lead where they should, whatever happens in what order."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dulse import errors
from dulse.amqp.life import (
    CHANNEL,
    LINK,
    Action,
    Deed,
    Happening,
    Standing,
    Status,
    Turn,
    after_round,
    closing,
    cutting,
    is_hopeless,
)

HAPPENINGS = st.lists(st.sampled_from(Happening), max_size=60)
TURNS = st.lists(st.sampled_from(Turn), max_size=60)
LOST, REFUSED = errors.ConnectionLost("reset"), errors.AuthenticationFailed("password")


def walk(happenings: list[Happening]) -> list[tuple[Happening, Status, Status, tuple[Action, ...]]]:
    status, seen = Status.NEW, []
    for each in happenings:
        after, actions = LINK[each, status]
        seen.append((each, status, after, actions))
        status = after
    return seen


def test_every_event_means_something_in_every_state() -> None:
    assert set(LINK) == {(happening, status) for happening in Happening for status in Status}
    assert set(CHANNEL) == {(turn, standing) for turn in Turn for standing in Standing}


@given(HAPPENINGS)
def test_a_link_that_is_closed_or_lost_for_good_never_opens_again_by_itself(happenings: list[Happening]) -> None:
    for happening, before, after, _ in walk(happenings):
        if before in {Status.LOST, Status.CLOSED} and happening is not Happening.FORKED:
            assert after in {Status.LOST, Status.CLOSED}


@given(HAPPENINGS)
def test_a_connection_that_nobody_waits_for_is_left(happenings: list[Happening]) -> None:
    for happening, before, after, actions in walk(happenings):
        if happening in {Happening.OPENED, Happening.REPLACED}:
            wanted = before is (Status.NEW if happening is Happening.OPENED else Status.BROKEN)
            assert (Action.LEAVE in actions) is not wanted
            assert (after is Status.OPEN) is (wanted or before is Status.OPEN)


@given(HAPPENINGS)
def test_what_is_unconfirmed_is_sent_again_or_reported_once(happenings: list[Happening]) -> None:
    """After each loss comes one of the two, and neither without a loss or an end."""
    open_ends = 0
    for happening, before, after, actions in walk(happenings):
        if happening is Happening.LOST and before is Status.OPEN:
            assert actions == (Action.FORGET, Action.CONNECT)
            open_ends += 1
        if Action.RESUME in actions:
            assert open_ends == 1
            open_ends = 0
        if Action.REPORT in actions:
            assert after in {Status.LOST, Status.CLOSED}
            open_ends = 0
        if happening is Happening.FORKED:
            open_ends = 0
        assert (after is Status.BROKEN) is (open_ends == 1)


@pytest.mark.parametrize("status", Status)
def test_a_forked_child_starts_as_new_from_every_state(status: Status) -> None:
    assert LINK[Happening.FORKED, status] == (Status.NEW, (Action.RESET,))


@given(TURNS)
def test_a_channel_that_is_shut_stays_so(turns: list[Turn]) -> None:
    standing = Standing.IN_USE
    for each in turns:
        before = standing
        standing, deeds = CHANNEL[each, before]
        if before is Standing.SHUT:
            assert (standing, deeds) == (Standing.SHUT, ())
        if Deed.RESEND in deeds:
            assert before is Standing.IN_USE
            assert deeds.index(Deed.RENEW) < deeds.index(Deed.RESEND) < deeds.index(Deed.RELEASE)
        if standing is Standing.RECHECKING:
            assert Deed.RELEASE not in deeds


def test_a_message_that_closes_the_channel_again_fails_by_its_trial() -> None:
    standing, deeds = CHANNEL[Turn.BLAMED, Standing.IN_USE]
    assert (standing, deeds) == (Standing.RECHECKING, (Deed.RECHECK,))
    assert CHANNEL[Turn.BLAMED, standing] == (standing, (Deed.FAIL_TRIAL,))
    assert CHANNEL[Turn.CUT, standing] == (standing, (Deed.REPEAT_TRIAL,))
    assert CHANNEL[Turn.RESTORED, standing] == (standing, (Deed.GO_ON,))
    assert CHANNEL[Turn.RECHECKED, standing] == (Standing.IN_USE, (Deed.RELEASE,))


PUBLISHED = errors.NotFound("NOT_FOUND - no exchange", code=404, method="basic.publish")
ASKED = errors.NotFound("NOT_FOUND - no queue", code=404, method="queue.bind")


@pytest.mark.parametrize(
    ("error", "unconfirmed", "expected"),
    [(PUBLISHED, 3, Turn.BLAMED), (PUBLISHED, 0, Turn.REFUSED), (ASKED, 3, Turn.REFUSED)],
)
def test_the_end_of_a_channel_is_a_messages_fault_if_the_broker_says_so(
    error: Exception, unconfirmed: int, expected: Turn
) -> None:
    assert closing(error, unconfirmed) is expected


@pytest.mark.parametrize(
    ("error", "unconfirmed", "spoiled", "expected"),
    [
        (LOST, 5, False, Turn.CUT),
        (ConnectionResetError(), 5, False, Turn.CUT),
        (errors.ProtocolError("(501) FRAME_ERROR"), 5, False, Turn.SUSPECTED),
        (errors.NotAllowed("(530)", code=530), 1, False, Turn.SUSPECTED),
        (errors.NotAllowed("(530)", code=530), 0, False, Turn.CUT),
        (errors.ProtocolError("a frame of type 9"), 5, True, Turn.CUT),
    ],
)
def test_a_message_is_suspected_if_the_broker_itself_closed_the_connection(
    error: Exception, unconfirmed: int, spoiled: bool, expected: Turn
) -> None:
    assert cutting(error, unconfirmed, spoiled=spoiled) is expected


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (errors.ConnectionRefused("nobody"), False),
        (errors.DeadlineExceeded("slow"), False),
        (errors.ResourceLocked("held", code=405), False),
        (errors.AccessRefused("ACCESS_REFUSED - queue 'q' in exclusive use", code=403), False),
        (errors.ProtocolError("HTTP"), False),
        (errors.AccessRefused("ACCESS_REFUSED - access to vhost '/' refused", code=403), True),
        (errors.AuthenticationFailed("password"), True),
        (errors.VirtualHostRefused("no such vhost"), True),
    ],
)
def test_an_answer_that_will_not_change_ends_the_attempts(error: Exception, expected: bool) -> None:
    assert is_hopeless(error) is expected


@pytest.mark.parametrize(
    ("failures", "spent", "limit", "expected"),
    [
        ([LOST], 1.0, 60.0, None),
        ([LOST], 60.0, 60.0, Happening.GAVE_UP),
        ([LOST], 1e9, None, None),
        ([REFUSED, LOST], 1.0, 60.0, None),
        ([REFUSED, REFUSED], 1.0, None, Happening.GAVE_UP),
    ],
)
def test_a_lost_link_is_given_up_when_no_place_will_have_it_or_the_time_is_over(
    failures: list[Exception], spent: float, limit: float | None, expected: Happening | None
) -> None:
    assert after_round(failures, spent, limit) is expected
