"""What cases ask of a transport, by name, in terms of the capabilities that it declares."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from dulse.model.capabilities import Capabilities


@dataclass(frozen=True, slots=True)
class Requirement:
    """One thing that a transport may be able to do."""

    meaning: str
    is_met: Callable[[Capabilities], bool]
    refusal: str | None = None
    """The function of the module `refusals` which uses it; None: it cannot be asked for in so many words."""


def _exchange_type(name: str) -> Requirement:
    return Requirement(
        f"exchanges of type {name}", lambda capabilities: name in capabilities.exchange_types, f"{name}_exchange"
    )


REQUIREMENTS: Mapping[str, Requirement] = {
    "topic": _exchange_type("topic"),
    "fanout": _exchange_type("fanout"),
    "headers": _exchange_type("headers"),
    "priorities": Requirement("priorities", lambda capabilities: capabilities.priorities > 0, "priority"),
    "delay": Requirement("delays", lambda capabilities: capabilities.max_delay != 0, "delay"),
    "expiring delays": Requirement(
        "a time to live of delayed messages",
        lambda capabilities: capabilities.delayed_expiration,
        "delayed_expiration",
    ),
    "counted delays": Requirement(
        "counts of the delayed messages of a queue",
        lambda capabilities: capabilities.counts_delayed,
    ),
    "order": Requirement("first in, first out", lambda capabilities: capabilities.ordered),
    "exact limits": Requirement("limits that hold exactly", lambda capabilities: capabilities.exact_limits),
    "exact depth": Requirement("exact counts", lambda capabilities: capabilities.exact_depth),
    "peek": Requirement("looking into queues", lambda capabilities: capabilities.peek, "peek"),
    "processes": Requirement("several processes on one broker", lambda capabilities: capabilities.shared),
    "outlives processes": Requirement(
        "messages that survive the end of every process", lambda capabilities: capabilities.durable != "nothing"
    ),
    "timed leases": Requirement(
        "leases that end by time", lambda capabilities: capabilities.leases in {"owner", "record"}
    ),
    "fork": Requirement("a system with fork", lambda _capabilities: hasattr(os, "fork")),
    "signals": Requirement("a system with SIGSTOP", lambda _capabilities: os.name == "posix"),
}
"""By the names that cases ask for."""


def missing(names: tuple[str, ...], capabilities: Capabilities) -> Requirement | None:
    """Give the first of these requirements that a transport does not meet."""
    return next((REQUIREMENTS[name] for name in names if not REQUIREMENTS[name].is_met(capabilities)), None)
