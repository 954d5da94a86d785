"""Runs a case, or a program of a child process, with a Broker that it opens and closes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from dulse import errors
from dulse.testing.conformance.aio import programs, refusals
from dulse.testing.conformance.aio.broker import Broker
from dulse.testing.conformance.expecting import expected
from dulse.testing.conformance.outcome import Outcome, Verdict
from dulse.testing.conformance.parent import Parent
from dulse.testing.conformance.requirements import missing

BrokerFunction = Callable[[Broker], Awaitable[None]]


async def run(function: BrokerFunction, requires: tuple[str, ...], url: str, options: Mapping[str, Any]) -> Outcome:
    """Run a case; where a requirement is not met, see to it that its use is refused."""
    async with Broker(url, options) as broker:
        unmet = missing(requires, broker.capabilities)
        if unmet is None:
            await function(broker)
            return Outcome(Verdict.KEPT)
        if unmet.refusal is None:
            return Outcome(Verdict.LEFT_OUT, unmet.meaning)
        with expected(errors.NotSupported):
            await getattr(refusals, unmet.refusal)(broker)
        return Outcome(Verdict.REFUSED, unmet.meaning)


async def run_program(
    name: str, parent: Parent, url: str, options: Mapping[str, Any], arguments: Sequence[Any]
) -> None:
    """Run a program in a child process."""
    async with Broker(url, options) as broker:
        await getattr(programs, name)(broker, parent, *arguments)
