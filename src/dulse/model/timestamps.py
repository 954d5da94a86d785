"""The times that messages bear: whole seconds in UTC, as AMQP has them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Final

from dulse import errors

LAST_SECOND: Final = int(datetime.max.replace(tzinfo=UTC).timestamp())
"""The last one of the year 9999, in seconds since 1970: a datetime holds no more."""


def whole_second(timestamp: Any) -> datetime:
    """Give a time as every broker delivers it; one without a zone is UTC already (AMQP 0-9-1 §4.2.5.4).

    Raises InvalidArgument for what is neither a datetime nor a number of seconds, from 1970 on.
    """
    seconds = timestamp
    if isinstance(timestamp, datetime):
        seconds = (timestamp if timestamp.tzinfo else timestamp.replace(tzinfo=UTC)).timestamp()
    if isinstance(seconds, int | float) and not isinstance(seconds, bool) and 0 <= seconds <= LAST_SECOND:
        return datetime.fromtimestamp(int(seconds), UTC)
    text = f"timestamp must be a datetime from 1970 on, or seconds since then, not {timestamp!r:.60}"
    raise errors.make(errors.InvalidArgument, text)
