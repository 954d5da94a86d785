"""The conformance suite for pytest: a transport's own test is a URL.

::

    from dulse.testing.conformance.suite import ConformanceSuite

    class TestMyBroker(ConformanceSuite):
        @pytest.fixture
        def broker_url(self, tmp_path):
            return f"mine:///{tmp_path}/broker"

Each case is a test in each form of the API: `test_keeps[sync-acknowledging.multiple]`. Register two marks: `slow`, for
cases in which some seconds must really pass, and `kill`, for those that start processes and kill them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any, ClassVar

import pytest

pytest.register_assert_rewrite("dulse.testing.conformance.aio", "dulse.testing.conformance.sync")

from dulse.testing.conformance.case import Case  # noqa: E402 - asserts are rewritten at import
from dulse.testing.conformance.catalogue import FORMS, cases  # noqa: E402 - likewise
from dulse.testing.conformance.outcome import Verdict  # noqa: E402 - likewise

__all__ = ["ConformanceSuite"]


def _parameters() -> Iterator[Any]:
    for form in FORMS:
        for case in cases(form):
            marks = [pytest.mark.slow] if case.slow else []
            marks += [pytest.mark.kill] if "processes" in case.requires else []
            yield pytest.param(case, id=f"{form}-{case.name}", marks=marks)


class ConformanceSuite:
    """Every case as a test; a subclass has a fixture `broker_url`, of whatever scope."""

    transport_options: ClassVar[Mapping[str, Any]] = MappingProxyType({})
    """Options of the transport for all connections."""

    @pytest.mark.parametrize("case", tuple(_parameters()))
    def test_keeps(self, case: Case, broker_url: str) -> None:
        """Run one case; what the transport does not declare is skipped, with the reason, unless it can be refused."""
        outcome = case.run(broker_url, self.transport_options)
        if outcome.verdict is Verdict.LEFT_OUT:
            pytest.skip(f"the transport does not declare {outcome.reason}")
