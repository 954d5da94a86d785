"""Each case of the conformance suite is proved by a mutation that it notices."""

from __future__ import annotations

from collections import Counter

import pytest

import mutations
from dulse.testing.conformance import cases


def test_every_case_is_in_the_table_once() -> None:
    named = Counter(name for mutation in mutations.read_table() for name in mutation.cases)
    assert named == Counter(case.name for case in cases("sync"))


def test_every_mutation_finds_what_it_replaces() -> None:
    problems = [mutation.problem() for mutation in mutations.read_table()]
    assert [problem for problem in problems if problem] == []


@pytest.mark.slow
@pytest.mark.kill
@pytest.mark.timeout(3600)
def test_every_case_fails_when_its_rule_is_switched_off() -> None:
    assert list(mutations.prove(mutations.read_table())) == []
