"""The Lua scripts of this folder, each put together once from its file and the parts that it includes."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Final

from dulse.links.redis.scripts import Script
from dulse.transports.redis.priorities import Order

__all__ = [
    "APPLIED",
    "APPLY",
    "CHANGE",
    "CONDEMN",
    "DEAD",
    "DEPTH",
    "FORGET",
    "FORWARD",
    "GROUPS",
    "HELD",
    "MEND",
    "OPEN",
    "PEEK",
    "PURGE",
    "PUT",
    "PUT_ONE",
    "READ",
    "RELEASE",
    "RENEW",
    "RESERVE",
    "RESERVE_EXPIRED",
    "REVISIONS",
    "SEAL",
    "SETTLE",
    "SWEEP",
    "TRIM",
    "in_order",
]

_INCLUDE: Final = re.compile("--#include ([a-z ]+)\n")
_COMMENT: Final = re.compile(" *--.*\n")


@cache
def _text(name: str) -> str:
    return (files(__package__) / "lua" / f"{name}.lua").read_text(encoding="utf-8")


def _script(name: str, order: Order = "highest") -> Script:
    text = _text(name)
    include = _INCLUDE.match(text)
    names = [] if include is None else include[1].split()
    parts = [_text(f"parts/{order if each == 'order' else each}") for each in names]
    return Script(name, _COMMENT.sub("", "".join([*parts, text])))


APPLIED: Final = _script("applied")
APPLY: Final = _script("apply")
CONDEMN: Final = _script("condemn")
MEND: Final = _script("mend")
SEAL: Final = _script("seal")
CHANGE: Final = _script("change")
DEAD: Final = _script("dead")
DEPTH: Final = _script("depth")
FORGET: Final = _script("forget")
FORWARD: Final = _script("forward")
GROUPS: Final = _script("groups")
HELD: Final = _script("held")
OPEN: Final = _script("open")
PEEK: Final = _script("peek")
PURGE: Final = _script("purge")
PUT: Final = _script("put")
PUT_ONE: Final = _script("put_one")
READ: Final = _script("read")
RELEASE: Final = _script("release")
RENEW: Final = _script("renew")
RESERVE: Final = _script("reserve")
RESERVE_EXPIRED: Final = _script("reserve_expired")
REVISIONS: Final = _script("revisions")
SETTLE: Final = _script("settle")
SWEEP: Final = _script("sweep")
TRIM: Final = _script("trim")


@cache
def in_order(order: Order) -> Mapping[str, Script]:
    """Give all scripts by name, for brokers that serve priorities in this order; the constants are for the highest."""
    plain: list[Script] = [globals()[name] for name in __all__ if name.isupper()]
    return {script.name: script if order == "highest" else _script(script.name, order) for script in plain}
