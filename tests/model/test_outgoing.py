"""Properties of messages to publish."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from dulse import errors
from dulse.model.entities import QueueDescription
from dulse.model.outgoing import OF_TRANSPORTS, compose, snapshot


def test_absent_properties_are_left_out() -> None:
    assert compose({"delivery_mode": 2, "reply_to": None}, None, None, None, {}) == {"delivery_mode": 2}


def test_what_is_given_is_put_together() -> None:
    assert compose({"message_id": "m"}, 3, "text/plain", "utf-8", {"a": 1}) == {
        "message_id": "m",
        "priority": 3,
        "content_type": "text/plain",
        "content_encoding": "utf-8",
        "headers": {"a": 1},
    }


def test_the_caller_can_change_nothing_afterwards() -> None:
    headers: dict[str, Any] = {"list": [1, {"deep": [2]}], "tuple": ([3],), "table": {"a": 1}}
    composed = compose({}, headers=headers)
    headers["list"][1]["deep"].append(9)
    headers["tuple"][0].append(9)
    headers["table"]["a"] = 9
    assert composed["headers"] == {"list": [1, {"deep": [2]}], "tuple": [[3]], "table": {"a": 1}}


def test_a_queue_to_reply_to_becomes_its_name() -> None:
    assert compose({"reply_to": QueueDescription("answers")}) == {"reply_to": "answers"}


@pytest.mark.parametrize("priority", [-1, 256, "high", 1.0, True])
def test_a_priority_out_of_range_is_refused(priority: object) -> None:
    with pytest.raises(errors.InvalidArgument, match="from 0 to 255"):
        compose({}, priority)  # type: ignore[arg-type]


MINUTE = datetime(1970, 1, 1, 0, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    "timestamp",
    [60, 60.9, MINUTE.replace(tzinfo=None, microsecond=999_999), MINUTE.astimezone(timezone(timedelta(hours=1)))],
)
def test_a_timestamp_is_the_whole_second_in_utc(timestamp: object) -> None:
    found = compose({"timestamp": timestamp})["timestamp"]
    assert (found, found.tzinfo) == (MINUTE, UTC)


@pytest.mark.parametrize(
    "timestamp", ["60", [60], True, -1, 2**64, float("nan"), float("inf"), datetime.min.replace(tzinfo=UTC)]
)
def test_what_is_no_time_from_1970_on_is_refused(timestamp: object) -> None:
    with pytest.raises(errors.InvalidArgument, match="timestamp must be a datetime from 1970 on"):
        compose({"timestamp": timestamp})


def test_a_header_that_no_broker_carries_is_refused_with_its_path() -> None:
    with pytest.raises(errors.EncodeError, match=r"headers\.a\.b"):
        compose({}, headers={"a": {"b": object()}})


def test_a_snapshot_is_another_table() -> None:
    table = {"a": 1}
    assert snapshot(table) == table
    assert snapshot(table) is not table


def test_an_unknown_property_is_refused_with_the_nearest_that_there_is() -> None:
    with pytest.raises(errors.InvalidArgument, match=r"no property 'correlationid': did you mean 'correlation_id'\?"):
        compose({"correlationid": "1"})


def test_an_unknown_property_like_no_other_is_refused_with_all_that_there_are() -> None:
    with pytest.raises(errors.InvalidArgument, match=r"no property 'zzz': there are .*app_id.* goes into headers"):
        compose({"zzz": None})


@pytest.mark.parametrize("name", sorted(OF_TRANSPORTS))
def test_properties_that_mean_something_to_a_transport_are_carried(name: str) -> None:
    assert compose({name: "x"}) == {name: "x"}
