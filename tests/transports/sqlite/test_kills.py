"""Killed at any statement, a process leaves every step done or not done, and nothing in between."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.transports.sqlite.steps import OWNER, Run, State, state_of

pytestmark = [pytest.mark.kill, pytest.mark.slow]


def states_after_each_step(path: Path) -> list[State]:
    states = []
    run = Run(path)
    for step in run.steps():
        step()
        states.append(state_of(path))
    run.storage.close(5)
    return states


def test_a_kill_at_any_statement_leaves_each_step_whole_or_undone(tmp_path: Path) -> None:
    expected = states_after_each_step(tmp_path / "unkilled.sqlite")
    dying = [sys.executable, "-m", "tests.transports.sqlite.dying", str(tmp_path)]

    output = subprocess.run(dying, check=True, stdout=subprocess.PIPE, text=True, timeout=300).stdout

    runs = [json.loads(line) for line in output.splitlines()]
    assert len(runs) > 200
    assert runs[-1][1:] == [len(expected), False]
    for statement, steps, _ in runs:
        if steps == 0:
            continue  # the file may not be a broker yet; the next test opens such files
        found = state_of(tmp_path / f"{statement}.sqlite")
        assert found in expected[steps - 1 : steps + 1], f"killed at statement {statement}, after step {steps}"

    for statement, steps, _ in runs:
        run = Run(tmp_path / f"{statement}.sqlite")
        run.storage.open(5)
        run.put(b"life goes on", *[])
        while run.storage.forget(OWNER, force=True):
            pass
        assert state_of(tmp_path / f"{statement}.sqlite")["leased"] == []
        assert run.storage.depth(["q"])[0].leased == 0, steps
        run.storage.close(5)
