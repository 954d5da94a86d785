"""Values that JSON carries, and how Kombu writes them."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from typing import Any
from uuid import UUID

from hypothesis import strategies as st

# Written by Kombu 5.7.0.
GOLDEN: list[tuple[Any, str]] = [
    (
        datetime(2026, 11, 22, 18, 43, 3, 120000, tzinfo=UTC),
        '{"__type__": "datetime", "__value__": "2026-11-22T18:43:03.120000+00:00"}',
    ),
    (datetime(2026, 11, 22, 18, 43), '{"__type__": "datetime", "__value__": "2026-11-22T18:43:00"}'),  # noqa: DTZ001 - naive ones travel too
    (
        datetime(2026, 11, 22, 18, 43, tzinfo=timezone(timedelta(hours=5, minutes=30))),
        '{"__type__": "datetime", "__value__": "2026-11-22T18:43:00+05:30"}',
    ),
    (date(2026, 11, 22), '{"__type__": "date", "__value__": "2026-11-22"}'),
    (time(18, 43, 3, 120000), '{"__type__": "time", "__value__": "18:43:03.120000"}'),
    (Decimal("12.50"), '{"__type__": "decimal", "__value__": "12.50"}'),
    (
        UUID("12345678-1234-5678-1234-567812345678"),
        '{"__type__": "uuid", "__value__": {"hex": "12345678123456781234567812345678"}}',
    ),
    ("grün".encode(), '{"__type__": "bytes", "__value__": "gr\\u00fcn"}'),
    (b"\xff\x00\x01", '{"__type__": "base64", "__value__": "/wAB"}'),
    ({"a": [1, "b", None, True, 1.5]}, '{"a": [1, "b", null, true, 1.5]}'),
    ("grün \ud800", '"gr\\u00fcn \\ud800"'),
]

PLAIN = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()
SPECIAL = (
    st.datetimes(timezones=st.none() | st.timezones().map(lambda _: UTC))
    | st.dates()
    | st.times()
    | st.decimals(allow_nan=False)
    | st.uuids()
    | st.binary()
)
payloads = st.recursive(
    PLAIN | SPECIAL,
    lambda inner: st.lists(inner) | st.dictionaries(st.text().filter(lambda key: key != "__type__"), inner),
    max_leaves=20,
)
