"""The tool that tries mutations: what it takes for proof, and what not."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

import mutants
import mutations
from mutations import Mutation

CASE = "direct_routing.keys_are_literal"
FILE = "broker/routing.py"
MATCH = "return self._destinations.get(routing_key, ())"


@pytest.fixture(scope="module")
def sources() -> Iterator[mutants.Sources]:
    with mutants.copied_sources() as copied:
        yield copied


def outcome(sources: mutants.Sources, new: str) -> str:
    """What the case makes of a mutation of the direct exchange."""
    return Mutation(FILE, MATCH, new, (CASE,)).outcomes(sources, [CASE], 1)[CASE]


def test_a_case_that_fails_by_its_assertion_has_noticed(sources: mutants.Sources) -> None:
    assert outcome(sources, "return self._destinations.get(routing_key.lower(), ())") == mutants.NOTICED


def test_a_case_that_passes_all_the_same_has_not_noticed(sources: mutants.Sources) -> None:
    assert outcome(sources, "return self._destinations.get(str(routing_key), ())") == "kept"


def test_code_that_does_not_run_proves_nothing(sources: mutants.Sources) -> None:
    found = outcome(sources, "return self._no_such_name")
    assert found.startswith("the mutation merely breaks the code: AttributeError")


def test_a_child_that_crashes_proves_nothing(sources: mutants.Sources) -> None:
    crash = Mutation(FILE, MATCH, "__import__('os')._exit(7)", (CASE,))
    found = crash.outcomes(sources, [CASE], 1)
    assert found == {"": "the child ended with status 7"}
    assert mutations.Trial(crash, found).unproved([CASE]) == {CASE: f"the child ended with status 7 ({crash})"}


def test_a_child_that_does_not_end_proves_nothing(sources: mutants.Sources, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mutants, "SECONDS", 0)
    monkeypatch.setattr(mutants, "STARTING", 1)
    found = Mutation(FILE, MATCH, "__import__('time').sleep(60)", (CASE,)).outcomes(sources, [CASE], 1)
    assert found == {"": "the child was ended after 1 s"}


def test_a_mutation_that_does_not_find_what_it_replaces_says_so(sources: mutants.Sources) -> None:
    lost = Mutation(FILE, "no such text", "another", (CASE,))
    assert lost.outcomes(sources, [CASE], 1) == {"": f"{lost} is found 0 times, not once: adapt the table"}


def test_a_case_that_ran_out_of_time_has_not_noticed() -> None:
    overdue = "dulse.testing.conformance.time_limit.Overdue: it did not end within 30 seconds\n"
    assert dict(mutants.verdicts(iter([overdue, " 30.00 s  sync  a.b: BROKEN\n"]))) == {"a.b": "it did not end in time"}


def test_a_record_is_gone_on_from(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    record = tmp_path / "record.jsonl"
    table = [each for each in mutations.read_table() if CASE in each.proves]
    assert mutations.unproved(table, [CASE], record) == {}
    noted = record.read_text()
    assert CASE in noted
    assert mutations.unproved(table, [CASE], record) == {}
    assert record.read_text() == noted
    assert "1 of 1" in capsys.readouterr().out
