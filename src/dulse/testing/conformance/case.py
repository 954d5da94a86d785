"""A case: one behaviour of a broker as a function, with the sentence that it proves."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from inspect import iscoroutinefunction
from typing import Any

from dulse.testing.conformance.completing import completed
from dulse.testing.conformance.outcome import Outcome
from dulse.testing.conformance.requirements import REQUIREMENTS
from dulse.testing.conformance.time_limit import time_limit

CASE_SECONDS = 50.0
"""Within these a case ends, whatever happens."""

CaseFunction = Callable[[Any], Any]
"""Takes a Broker of its form."""


@dataclass(frozen=True, slots=True)
class Case:
    """One behaviour, in one form of the API."""

    name: str
    """The module, which is the promise, and the function: the same in both forms."""
    sentence: str
    function: CaseFunction = field(repr=False)
    requires: tuple[str, ...] = ()
    slow: bool = False
    """It takes more than two seconds, for there is a time that must really pass."""

    @property
    def promise(self) -> str:
        """The promise that it belongs to."""
        return self.name.partition(".")[0]

    @property
    def form(self) -> str:
        """The form of the API: "aio" or "sync"."""
        return "aio" if iscoroutinefunction(self.function) else "sync"

    def run(self, url: str, transport_options: Mapping[str, Any] | None = None) -> Outcome:
        """Run it against the broker at `url`, within 50 seconds; deletes what it made, raises if it is not kept."""
        runner = import_module(f"dulse.testing.conformance.{self.form}.runner")
        with time_limit(CASE_SECONDS, self.name):
            outcome: Outcome = completed(runner.run(self.function, self.requires, url, dict(transport_options or {})))
        return outcome


def case(sentence: str, *, requires: tuple[str, ...] = (), slow: bool = False) -> Callable[[CaseFunction], Case]:
    """Make a case of a function, plain or async, that takes a Broker and asserts what `sentence` says.

    `requires` are names of REQUIREMENTS.
    """
    unknown = [name for name in requires if name not in REQUIREMENTS]
    if unknown:
        text = f"there is no requirement {unknown[0]!r}: there are {', '.join(REQUIREMENTS)}"
        raise ValueError(text)

    def made(function: CaseFunction) -> Case:
        promise = function.__module__.rpartition(".")[2]
        return Case(f"{promise}.{function.__name__}", sentence, function, requires, slow)

    return made
