"""What came of running a case that did not fail."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple


class Verdict(StrEnum):
    """How a promise stands on one transport."""

    KEPT = "kept"
    REFUSED = "refused"
    """The transport does not declare what the case needs, and says so by NotSupported when that is used."""
    LEFT_OUT = "left out"
    """The transport does not declare what the case needs, and there is nothing to try."""


class Outcome(NamedTuple):
    """What came of running a case; a broken promise is an exception instead."""

    verdict: Verdict
    reason: str = ""
    """What the transport does not declare."""
