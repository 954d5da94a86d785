"""What a store does not declare in its `Capabilities`, refused here before anything is asked of it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from dulse import errors
from dulse.broker.routing import DELAYED, TYPES_OF_AMQP
from dulse.model.capabilities import Capabilities
from dulse.model.commands import Command, DeclareExchange, DeclareQueue
from dulse.model.records import Target


class Restrictions:
    """The limits of one store. What goes beyond them raises NotSupported, which names the limit."""

    def __init__(self, capabilities: Capabilities) -> None:
        self._capabilities = capabilities
        self.largest = capabilities.max_record
        """Bytes of one record; None: any."""
        self._priorities = capabilities.priorities
        self._longest_ms = None if capabilities.max_delay is None else int(capabilities.max_delay * 1000)

    def __repr__(self) -> str:
        return f"<Restrictions of {self._capabilities!r}>"

    def check_command(self, command: Command) -> None:
        """Refuse a declaration of what the store has not."""
        if isinstance(command, DeclareQueue) and not command.passive:
            self._check_queue(command)
        elif isinstance(command, DeclareExchange) and not command.passive:
            self._check_exchange(command)

    def _check_queue(self, command: DeclareQueue) -> None:
        if self._priorities == 0 and command.arguments.get("x-max-priority") is not None:
            text = f"queue {command.queue!r} asks for priorities (x-max-priority), and this store keeps none apart"
            raise _not_supported(f"{text}: leave the argument out, and use a queue for each priority")

    def _check_exchange(self, command: DeclareExchange) -> None:
        wanted: Any = command.arguments.get("x-delayed-type") if command.type == DELAYED else command.type
        offered = self._capabilities.exchange_types
        if isinstance(wanted, str) and wanted in TYPES_OF_AMQP - offered:
            text = f"exchange {command.exchange!r} is to be of type {wanted!r}, and this store has no such exchanges"
            raise _not_supported(f"{text}: it has {', '.join(sorted(offered))}")

    def fit(self, targets: Iterable[Target]) -> tuple[Target, ...]:
        """Give targets as the store can take them: a higher priority counts as the highest it keeps apart."""
        highest = self._priorities
        fitting = []
        for target in targets:
            if self._longest_ms is not None and target.delay_ms > self._longest_ms:
                text = f"a delay of {target.delay_ms / 1000:g} s for queue {target.queue!r} is beyond what this store"
                raise _not_supported(f"{text} can wait: at most {self._longest_ms / 1000:g} s")
            fitting.append(target if target.priority <= highest else target._replace(priority=highest))
        return tuple(fitting)

    def check_size(self, size: int) -> None:
        """Refuse a record of so many bytes, headers included, if it is too large."""
        if self.largest is not None and size > self.largest:
            text = f"the message takes {size} bytes with its headers, and this store takes at most {self.largest}"
            raise _not_supported(f"{text}: keep the content elsewhere and send its name, or compress it")

    def longest_hold(self, lease: float, max_hold: float | None) -> float | None:
        """Give the seconds for which a handler may hold a message; None: without limit."""
        longest = self._capabilities.max_lease
        for option, seconds in (("lease", lease), ("max_hold", max_hold)):
            if longest is not None and seconds is not None and seconds > longest:
                text = f"the option {option} of {seconds:g} s is beyond what this store keeps a message for a consumer"
                raise _not_supported(f"{text}: at most {longest:g} s")
        return longest if max_hold is None else max_hold


def _not_supported(text: str) -> Exception:
    return errors.make(errors.NotSupported, text)
