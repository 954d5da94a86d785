"""Many processes on one queue of a database: no deadlock, no duplicate, nothing lost."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from dulse import Connection
from tests.faults.programs import Program
from tests.transports.sql.competing import EACH, WORK, compete

PROCESSES = 16


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("kind", ["postgresql", "mariadb", "sqlite"])
def test_sixteen_processes_share_a_queue(request: pytest.FixtureRequest, tmp_path: Path, kind: str) -> None:
    sqlite = f"sqla+sqlite:///{tmp_path}/broker.sqlite"
    url = sqlite if kind == "sqlite" else request.getfixturevalue(f"{kind}_url")
    with Connection(url) as connection:
        WORK(connection.default_channel).declare()
        for number in range(PROCESSES):
            connection.Producer().publish(f"early {number}", routing_key="work")
    programs = [Program(compete, url, number) for number in range(PROCESSES)]
    try:
        found = Counter(body for program in programs for body in program.hear(240))
        assert [program.finish(60) for program in programs] == [0] * PROCESSES, programs[0].stderr()
    finally:
        for program in programs:
            program.end()

    expected = [f"{number}:{step}" for number in range(PROCESSES) for step in range(EACH)]
    assert found == Counter([*expected, *(f"early {number}" for number in range(PROCESSES))])
