"""Records in Kombu's envelope, and back."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dulse.broker.envelope import pack, unpack
from dulse.model.message import Record
from dulse.virtual.kombu_envelope import to_kombu, to_record


@given(st.binary())
def test_any_body_comes_back_as_it_was(body: bytes) -> None:
    record = Record("shop", "new", {"content_type": "application/json", "priority": 3, "delivery_mode": 2}, body)
    assert unpack(to_record(to_kombu(pack(record)))) == record


@pytest.mark.parametrize("value", [b"\xff", datetime(2026, 1, 2, tzinfo=UTC), {"deep": [b"\x00"]}, "text", 1, None])
def test_any_header_comes_back_as_it_was(value: Any) -> None:
    record = Record("shop", "new", {"headers": {"name": value}}, b"")
    assert unpack(to_record(to_kombu(pack(record)))) == record


def test_what_json_lacks_is_text_for_kombu() -> None:
    record = Record("", "", {"headers": {"raw": b"\xe9", "at": datetime(2026, 1, 2, tzinfo=UTC)}}, b"")
    found = json.loads(to_kombu(pack(record)))
    assert found["headers"] == {"raw": "é", "at": "2026-01-02T00:00:00+00:00"}


def test_a_timestamp_is_a_number_for_kombu_and_a_time_for_ours() -> None:
    record = Record("", "", {"timestamp": datetime(1970, 1, 1, 0, 1, tzinfo=UTC)}, b"")
    written = to_kombu(pack(record))
    assert json.loads(written)["properties"]["timestamp"] == 60
    assert unpack(to_record(written)) == record


def test_a_timestamp_of_kombu_that_no_calendar_holds_is_left_out() -> None:
    written = json.loads(to_kombu(pack(Record("", "", {"priority": 1}, b"body"))))
    written["properties"]["timestamp"] = 1_795_443_555_262
    assert unpack(to_record(json.dumps(written).encode())) == Record("", "", {"priority": 1}, b"body")


def test_each_message_has_a_tag_of_its_own() -> None:
    payload = pack(Record("", "", {}, b""))
    tags = {json.loads(to_kombu(payload))["properties"]["delivery_tag"] for _ in range(3)}
    assert len(tags) == 3


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"no JSON",
        b"[]",
        b"{}",
        b'{"properties":null}',
        b'{"properties":{"body_encoding":"base64"},"body":"no base64!"}',
        b'{"properties":{"priority":"x","delivery_info":7}}',
        b"[" * 100_000,
    ],
    ids=range(8),
)
def test_what_is_no_envelope_comes_back_as_it_is(data: bytes) -> None:
    assert to_record(data) == data


def test_what_kombu_wrote_is_read() -> None:
    written = {
        "body": "eyJhIjogMX0=",
        "content-encoding": "utf-8",
        "content-type": "application/json",
        "headers": {"redelivered": True, "own": 1},
        "properties": {
            "body_encoding": "base64",
            "correlation_id": "c",
            "delivery_info": {"exchange": "shop", "routing_key": "new", "redelivered": True},
            "delivery_mode": 2,
            "delivery_tag": "t",
            "priority": 0,
        },
    }
    assert unpack(to_record(json.dumps(written).encode())) == Record(
        "shop",
        "new",
        {
            "content_type": "application/json",
            "content_encoding": "utf-8",
            "headers": {"own": 1},
            "correlation_id": "c",
            "delivery_mode": 2,
            "priority": 0,
        },
        b'{"a": 1}',
    )


def test_a_body_that_is_plain_text_is_read() -> None:
    data = json.dumps({"body": "é", "content-encoding": "utf-8", "properties": {}}).encode()
    assert unpack(to_record(data)).body == "é".encode()
