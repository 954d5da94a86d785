"""The arguments of declarations: which values are valid, and when two declarations say the same."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

from dulse import errors
from dulse.broker import refusals

HIGHEST_PRIORITY = 255
"""The largest x-max-priority, and the highest priority of a message (an octet: AMQP 0-9-1 §4.2.6.1)."""

_LARGEST = 2**63 - 1
_OVERFLOWS = ("drop-head", "reject-publish", "reject-publish-dlx")
_QUEUE_TYPES = ("classic", "quorum")

_Check = Callable[[Any, Mapping[str, Any]], str | None]
"""Says what is wrong with a value, given all the arguments; None: nothing."""


def check_queue_arguments(queue: str, arguments: Mapping[str, Any], method: str) -> None:
    """Raise PreconditionFailed (406) naming argument and value where RabbitMQ would; unknown arguments are let pass.

    x-queue-type "stream" raises NotSupported: a stream is a log, and this is a broker of queues.
    """
    if arguments.get("x-queue-type") == "stream":
        text = f"queue {queue!r}: streams (x-queue-type) need a transport over a log; use classic or quorum here"
        raise errors.make(errors.NotSupported, text)
    for name, check in _QUEUE_CHECKS.items():
        if arguments.get(name) is not None:
            _refuse_if(check(arguments[name], arguments), name, f"queue {queue!r}", arguments[name], method)


def check_exchange_arguments(exchange: str, arguments: Mapping[str, Any], method: str) -> None:
    """Raise PreconditionFailed (406) if the alternate exchange is not a name."""
    name = "alternate-exchange"
    if arguments.get(name) is not None:
        _refuse_if(_text(arguments[name], arguments), name, f"exchange {exchange!r}", arguments[name], method)


def check_consumer_arguments(queue: str, arguments: Mapping[str, Any], method: str) -> int:
    """Raise PreconditionFailed (406) unless x-priority is an integer; give it, 0 where it is absent."""
    priority = arguments.get("x-priority")
    if priority is None:
        return 0
    _refuse_if(_integer(priority, arguments), "x-priority", f"a consumer of queue {queue!r}", priority, method)
    return int(priority)


def check_match_argument(exchange: str, arguments: Mapping[str, Any], method: str) -> None:
    """Raise PreconditionFailed (406) unless the x-match of a binding to a headers exchange is one of its four."""
    value = arguments.get("x-match", "all")
    _refuse_if(_is_match(value, arguments), "x-match", f"a binding of exchange {exchange!r}", value, method)


def assert_same(subject: str, name: str, current: Any, received: Any, method: str) -> None:
    """Raise PreconditionFailed (406) if a thing is declared again with another value of this property."""
    if _comparable(current) != _comparable(received):
        text = (
            f"inequivalent arg {name!r} for {subject}: received {_shown(received)} but current is {_shown(current)}; "
            "declare it as it is, or delete it first"
        )
        raise refusals.precondition_failed(text, method)


def assert_same_arguments(
    subject: str, names: tuple[str, ...], current: Mapping[str, Any], received: Mapping[str, Any], method: str
) -> None:
    """Compare those arguments that mean something to the broker; others may differ, as RabbitMQ has it."""
    for name in names:
        default = "classic" if name == "x-queue-type" else None
        before, after = current.get(name), received.get(name)
        assert_same(subject, name, default if before is None else before, default if after is None else after, method)


def _refuse_if(problem: str | None, name: str, subject: str, value: Any, method: str) -> None:
    if problem is not None:
        text = f"invalid arg {name!r} for {subject}: {value!r} {problem}"
        raise refusals.precondition_failed(text, method)


def _comparable(value: Any) -> Any:
    """Give what tells two values apart as RabbitMQ does: integers by value whatever their width, never from floats."""
    if isinstance(value, bool):
        return ("boolean", value)
    if isinstance(value, int | Decimal):
        return ("integer", value)
    if isinstance(value, float):
        return ("float", value)
    return value


def _shown(value: Any) -> str:
    return "none" if value is None else repr(value)


def _integer(value: Any, _arguments: Mapping[str, Any]) -> str | None:
    if isinstance(value, bool) or not isinstance(value, int):
        return f"is a {type(value).__name__}, not an integer"
    return None if -_LARGEST <= value <= _LARGEST else f"is beyond {_LARGEST}"


def _not_negative(value: Any, arguments: Mapping[str, Any]) -> str | None:
    return _integer(value, arguments) or ("is negative" if value < 0 else None)


def _positive(value: Any, arguments: Mapping[str, Any]) -> str | None:
    return _not_negative(value, arguments) or ("is zero: the queue could never be used" if value == 0 else None)


def _priority(value: Any, arguments: Mapping[str, Any]) -> str | None:
    return _integer(value, arguments) or (
        None if 1 <= value <= HIGHEST_PRIORITY else f"is not between 1 and {HIGHEST_PRIORITY}"
    )


def _text(value: Any, _arguments: Mapping[str, Any]) -> str | None:
    return None if isinstance(value, str) else f"is a {type(value).__name__}, not a name"


def _dead_letter_key(value: Any, arguments: Mapping[str, Any]) -> str | None:
    if arguments.get("x-dead-letter-exchange") is None:
        return "has no effect without x-dead-letter-exchange"
    return _text(value, arguments)


def _boolean(value: Any, _arguments: Mapping[str, Any]) -> str | None:
    return None if isinstance(value, bool) else f"is a {type(value).__name__}, not true or false"


def _one_of(*values: str) -> _Check:
    def check(value: Any, _arguments: Mapping[str, Any]) -> str | None:
        return None if value in values else f"is not one of {', '.join(values)}"

    return check


_is_match = _one_of("all", "any", "all-with-x", "any-with-x")

_QUEUE_CHECKS: Mapping[str, _Check] = {
    "x-queue-type": _one_of(*_QUEUE_TYPES),
    "x-expires": _positive,
    "x-message-ttl": _not_negative,
    "x-dead-letter-exchange": _text,
    "x-dead-letter-routing-key": _dead_letter_key,
    "x-max-length": _not_negative,
    "x-max-length-bytes": _not_negative,
    "x-max-priority": _priority,
    "x-overflow": _one_of(*_OVERFLOWS),
    "x-delivery-limit": _not_negative,
    "x-single-active-consumer": _boolean,
}

QUEUE_ARGUMENTS = tuple(_QUEUE_CHECKS)
"""The arguments of a queue that mean something to the broker."""

EXCHANGE_ARGUMENTS = ("alternate-exchange",)
"""The arguments of an exchange that mean something to the broker."""
