"""Every case of the conformance suite is proved by a mutation that it notices.

All of them, each on its own mutation alone, take about four minutes on two cores.
"""

from __future__ import annotations

import pytest

import mutations
from dulse.testing.conformance import cases


def test_every_case_has_its_mutation() -> None:
    proved = [name for mutation in mutations.read_table() for name in mutation.proves]
    assert sorted(proved) == sorted(case.name for case in cases("sync"))


def test_every_mutation_finds_what_it_replaces() -> None:
    assert mutations.problems(mutations.read_table()) == []


@pytest.mark.parametrize("name", ["direct_routing.keys_are_literal", "mandatory.raises", "bodies.empty"])
def test_a_case_notices_its_mutation(name: str) -> None:
    assert mutations.unproved(mutations.read_table(), [name]) == {}


@pytest.mark.slow
@pytest.mark.kill
@pytest.mark.timeout(3600)
def test_every_case_notices_its_mutation() -> None:
    assert mutations.unproved(mutations.read_table()) == {}
