"""The cases of the conformance suite are proved by mutations that they notice."""

from __future__ import annotations

import pytest

import mutations
from dulse.testing.conformance import promises


def test_every_promise_has_mutations() -> None:
    assert {name for mutation in mutations.read_table() for name in mutation.promises} == set(promises("sync"))


def test_every_mutation_finds_what_it_replaces() -> None:
    problems = [mutation.problem() for mutation in mutations.read_table()]
    assert [problem for problem in problems if problem] == []


@pytest.mark.parametrize("promise", ["direct_routing", "mandatory"])
def test_cases_of_a_promise_notice_its_mutations(promise: str) -> None:
    chosen = [each for each in mutations.read_table() if each.promises == (promise,)][:3]
    assert mutations.proved(chosen) != set()


@pytest.mark.slow
@pytest.mark.kill
@pytest.mark.timeout(7200)
def test_at_least_120_cases_notice_a_mutation() -> None:
    assert len(mutations.proved(mutations.read_table())) >= 120
