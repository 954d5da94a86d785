"""Messages that shall be delivered later, on brokers that know no delay: a ladder of queues out of which they expire.

Each level holds what it is given for a fixed time, twice that of the level below it, so that nothing waits there
behind what has longer to wait. A message goes through those levels whose times add up to its delay, from the longest
on; what it passes is decided by exchanges of type headers, by a header for each level. So its routing key and CC stay
as they are.

Dead letters are quick to be lost where the broker dies, unless the queue that they leave waits for the confirms of
those that they come to: a quorum queue can. But it keeps what nobody takes, which would stop all the others, so that
another queue takes a copy of everything, and drops it. Out of the last level a message goes to its exchange by a
binding. If that has gone with the exchange, which may have come back since, the message goes to its *landing*: a queue
that hands on to the exchange by its name what it gets, and waits for no confirm.
"""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import sha256
from typing import Any, NamedTuple

from dulse import errors
from dulse.amqp.faults import misuse
from dulse.model.commands import BindExchange, BindQueue, Command, DeclareExchange, DeclareQueue
from dulse.model.message import Properties

PREFIX = "dulse.delay."
"""What the names of all exchanges and queues of the ladder begin with."""

OUT = f"{PREFIX}out"
"""The exchange below the lowest level, which messages come by where a binding hands them on."""

UNIT = 125
"""Milliseconds that the lowest level holds a message: delays are rounded up to multiples."""

LEVELS = 31
LONGEST = UNIT * ((1 << LEVELS) - 1)
"""Milliseconds: 2^28 seconds, some eight and a half years."""

MARK = "dulse-delay-to"
"""The header that names the exchange which a message was published to: it is on the ladder, or was."""
_KEPT = "dulse-delay-kept"
"""The header with those of the publisher's that would mean something to the broker on the way."""
_OURS = "dulse-delay-"
_KEY = "dulse-delay-key"
"""The header that names the queue, where the exchange is the default one: a queue is bound, as that cannot be."""
_TO = f"{PREFIX}to"
_LATE = f"{PREFIX}late"
_DRAIN = f"{PREFIX}drain"
_DEATHS = ("x-first-death-", "x-last-death-")
_MOST_NAME = 255 - len(_TO) - 1
_MOST_TARGETS = 1000


_NORMAL = 4
"""Higher priorities overtake in the quorum queues of RabbitMQ 4, and would be waited for there: they go apart."""


class Rung(NamedTuple):
    """One level, counted from 0, of one of the two ladders."""

    is_high: bool
    level: int

    @property
    def name(self) -> str:
        """The name of its exchange and of its queue."""
        return f"{PREFIX}{'high.' if self.is_high else ''}{UNIT << self.level}"


class Target(NamedTuple):
    """Where messages go in the end."""

    exchange: str
    queue: str | None
    """Behind the default exchange; None: any."""


class Postponed(NamedTuple):
    """A message as it is published to the ladder."""

    properties: Properties
    exchange: str
    rung: Rung
    """Where it begins."""
    target: Target


class Ladder:
    """What there is of the ladder on the broker, as far as one link has declared it. Not locked."""

    def __init__(self) -> None:
        self._levels = {False: 0, True: 0}
        self._targets: set[Target] = set()

    def __repr__(self) -> str:
        return f"<Ladder: {self._levels[False]} of {LEVELS} levels, {len(self._targets)} targets>"

    def missing(self, message: Postponed) -> list[list[Command]]:
        """Give what has to be declared before; nothing: it is all there.

        Of the second list, each may be refused without harm. NotFound: the exchange of the message is missing.
        """
        rung, target = message.rung, message.target
        levels = range(self._levels[rung.is_high], rung.level + 1)
        is_new = target not in self._targets
        if not levels and not is_new:
            return []
        needed = [*_FOOT, *_landing(target.exchange)] if is_new else []
        for level in levels:
            needed += _rung(Rung(rung.is_high, level))
        wanted = [_bound(target)] if is_new and (target.exchange or target.queue is not None) else []
        return [[*needed, *wanted], []] if target.exchange else [needed, wanted]

    def learn(self, message: Postponed) -> None:
        """Know that this was declared."""
        rung = message.rung
        if len(self._targets) >= _MOST_TARGETS:
            self._targets.clear()
        self._targets.add(message.target)
        self._levels[rung.is_high] = max(self._levels[rung.is_high], rung.level + 1)

    def forget(self) -> None:
        """Know of nothing that it is there."""
        self._levels = {False: 0, True: 0}
        self._targets.clear()

    def everything(self) -> list[Command]:
        """Give all that was declared, for another broker."""
        found: list[Command] = list(_FOOT) if self._targets else []
        for exchange in sorted({each.exchange for each in self._targets}):
            found += _landing(exchange)
        for is_high, levels in self._levels.items():
            for level in range(levels):
                found += _rung(Rung(is_high, level))
        found += [_bound(each) for each in self._targets if each.exchange or each.queue is not None]
        return found


def postponed(properties: Properties, exchange: str, routing_key: str) -> Postponed | None:
    """Give a message with the header x-delay (milliseconds) as the ladder takes it; None: it is due at once.

    InvalidArgument: the delay is no number; NotSupported: it is too long, or the message would not keep what it has.
    """
    headers = properties.get("headers")
    if not headers or "x-delay" not in headers:
        return None
    delay = _milliseconds(headers["x-delay"])
    if delay <= 0:
        return None
    _check(properties, headers, delay)
    units = -(-delay // UNIT)
    level = units.bit_length() - 1
    cleaned = restored(properties)["headers"]
    kept = {name: value for name, value in cleaned.items() if _is_told_of_deaths(name) or name == "x-delay"}
    carried = {name: value for name, value in cleaned.items() if name not in kept}
    carried.update({_OURS + str(UNIT << each): bool(units >> each & 1) for each in range(level + 1)})
    carried.update({MARK: exchange, _KEPT: kept})
    target = Target(exchange, None if exchange or "CC" in cleaned else routing_key)
    if target.queue is not None:
        carried[_KEY] = target.queue
    rung = Rung((properties.get("priority") or 0) > _NORMAL, level)
    return Postponed({**properties, "headers": carried}, rung.name, rung, target)


def exchange_of(properties: Properties, exchange: str) -> str:
    """Give the exchange that a message was published to, of one that may be on the ladder."""
    headers = properties.get("headers") or {}
    found = headers.get(MARK, exchange)
    return found if isinstance(found, str) else exchange


def restored(properties: Properties) -> Properties:
    """Give the properties as they were before the ladder, with the deaths that the message died elsewhere since."""
    headers = properties.get("headers") or {}
    if MARK not in headers:
        return properties
    kept = headers.get(_KEPT)
    before = dict(kept) if isinstance(kept, dict) else {}
    found = {name: value for name, value in headers.items() if not name.startswith((_OURS, *_DEATHS))}
    since = [each for each in _deaths(found.pop("x-death", None)) if not _is_ours(each)]
    found.update({name: value for name, value in before.items() if not _is_told_of_deaths(name)})
    deaths = [*since, *_deaths(before.get("x-death"))]
    if deaths:
        found["x-death"] = deaths
        found.update(_told(headers, before, since))
    return {**properties, "headers": found}


def _told(headers: Mapping[str, Any], before: Mapping[str, Any], since: list[Any]) -> dict[str, Any]:
    """Give what the headers say of the first death and the last, the ladder left out."""
    found = {name: value for name, value in before.items() if name.startswith(_DEATHS)}
    if not since:
        return found
    last = {name: value for name, value in headers.items() if name.startswith(_DEATHS[1])}
    if not str(last.get("x-last-death-queue", PREFIX)).startswith(PREFIX):
        found.update(last)
    if not any(name.startswith(_DEATHS[0]) for name in found):
        first = since[-1]
        parts = ("reason", "queue", "exchange")
        found.update({_DEATHS[0] + part: first[part] for part in parts if part in first})
    return found


def _is_told_of_deaths(name: str) -> bool:
    return name == "x-death" or name.startswith(_DEATHS)


def _deaths(value: Any) -> list[Any]:
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list | tuple) else []


def _is_ours(death: Mapping[str, Any]) -> bool:
    return str(death.get("queue", "")).startswith(PREFIX)


def _milliseconds(asked: Any) -> int:
    if isinstance(asked, float) and asked.is_integer():
        return int(asked)
    if isinstance(asked, int) and not isinstance(asked, bool):
        return asked
    if isinstance(asked, str) and asked.removeprefix("-").isdecimal():
        return int(asked)
    raise misuse(f"the header x-delay is {asked!r}: give the milliseconds to wait as a whole number")


def _check(properties: Properties, headers: Mapping[str, Any], delay: int) -> None:
    if delay > LONGEST:
        text = f"a delay of {delay / 1000:g} s is longer than a message can wait on this broker: {LONGEST // 1000} s"
    elif properties.get("expiration") is not None:
        text = (
            "a message with a delay cannot have an expiration, which RabbitMQ forgets when the delay is over: "
            "leave one of them out, or give the queue a time to live (x-message-ttl)"
        )
    elif "BCC" in headers:
        text = "a message with a delay cannot have the header BCC, which RabbitMQ forgets meanwhile: use CC"
    else:
        return
    raise errors.make(errors.NotSupported, text)


_FOOT: tuple[Command, ...] = (
    DeclareExchange(_LATE, "headers"),
    DeclareExchange(_TO, "headers", arguments={"alternate-exchange": _LATE}),
    DeclareExchange(OUT, "fanout"),
    DeclareQueue(_DRAIN, arguments={"x-queue-type": "classic", "x-message-ttl": 0}),
    BindQueue(_DRAIN, OUT),
    BindExchange(_TO, OUT),
)
"""What is below the lowest level."""


def _rung(rung: Rung) -> list[Command]:
    """Give what one level is made of: what comes to its exchange is held in its queue, or goes on to the next."""
    name, below = rung.name, rung._replace(level=rung.level - 1).name if rung.level else OUT
    held = {
        "x-queue-type": "quorum",
        "x-message-ttl": UNIT << rung.level,
        "x-dead-letter-exchange": below,
        "x-dead-letter-strategy": "at-least-once",
        "x-overflow": "reject-publish",
    }
    header = _OURS + str(UNIT << rung.level)
    return [
        DeclareExchange(name, "headers"),
        DeclareQueue(name, arguments=held),
        BindQueue(name, name, arguments={"x-match": "all", header: True}),
        BindExchange(below, name, arguments={"x-match": "all", header: False}),
    ]


def _landing(exchange: str) -> list[Command]:
    name = f"{_TO}.{exchange if len(exchange.encode()) <= _MOST_NAME else _digest(exchange)}"
    handed = {"x-queue-type": "quorum", "x-message-ttl": 0, "x-dead-letter-exchange": exchange}
    return [
        DeclareQueue(name, arguments=handed),
        BindQueue(name, _LATE, arguments={"x-match": "all", MARK: exchange}),
    ]


def _bound(target: Target) -> Command:
    meant = {"x-match": "all", MARK: target.exchange}
    if target.queue is not None:
        return BindQueue(target.queue, _TO, arguments={**meant, _KEY: target.queue})
    return BindExchange(target.exchange, _TO, arguments=meant)


def _digest(name: str) -> str:
    return sha256(name.encode()).hexdigest()
