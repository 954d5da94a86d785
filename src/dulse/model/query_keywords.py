"""What of a URL's query is the Connection's own, and what of the options says how to keep trying to connect."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from dulse.model.options import SharedOptions, build, option

_OF = "the connection"


@dataclass(frozen=True, slots=True, kw_only=True)
class QueryKeywords:
    """The keywords of a Connection that a URL's query may hold; what else is there are options of the transport."""

    connect_timeout: float | None = option(None, seconds=True, minimum=0)
    heartbeat: float | None = option(None, seconds=True, minimum=0)
    insist: bool | None = None
    login_method: str | None = None
    ssl: bool | None = None


def checked_times(connect_timeout: float | None, heartbeat: float | None) -> tuple[float | None, float | None]:
    """Check two keywords of a Connection that are times."""
    times = build(QueryKeywords, {"connect_timeout": connect_timeout, "heartbeat": heartbeat}, of=_OF)
    return times.connect_timeout, times.heartbeat


def split_query(query: Mapping[str, str]) -> tuple[dict[str, Any], dict[str, str]]:
    """Give the keywords that a query sets, checked, and the options of the transport in it."""
    names = {declared.name for declared in fields(QueryKeywords)}
    own = build(QueryKeywords, {name: value for name, value in query.items() if name in names}, of=_OF)
    keywords = {name: value for name, value in asdict(own).items() if value is not None}
    return keywords, {name: value for name, value in query.items() if name not in names}


def retry_options(options: Mapping[str, Any]) -> SharedOptions:
    """Give those of a transport's options that say how to keep trying to connect."""
    names = {declared.name for declared in fields(SharedOptions)}
    return build(SharedOptions, {name: value for name, value in options.items() if name in names}, of=_OF)
