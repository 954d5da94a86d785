"""Killed at any change of the disk, a process leaves every step done or not done, and nothing in between."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.transports.filesystem.steps import OWNER, QUEUES, Run, State, state_of

pytestmark = [pytest.mark.kill, pytest.mark.slow]


def states_after_each_step(path: Path) -> list[State]:
    states = []
    run = Run(path)
    for step in run.steps():
        step()
        states.append(state_of(path))
    run.storage.close(5)
    return states


def test_a_kill_at_any_change_leaves_each_step_whole_or_undone(tmp_path: Path) -> None:
    expected = states_after_each_step(tmp_path / "unkilled")
    dying = [sys.executable, "-m", "tests.transports.filesystem.dying", str(tmp_path)]

    output = subprocess.run(dying, check=True, stdout=subprocess.PIPE, text=True, timeout=300).stdout

    runs = [json.loads(line) for line in output.splitlines()]
    assert len(runs) > 200
    assert runs[-1][1:] == [len(expected), False]
    nothing = state_of(tmp_path / "nothing")
    for change, steps, _ in runs:
        path = tmp_path / str(change)
        found = state_of(path)
        assert found in [nothing, *expected][max(0, steps) : steps + 2], (
            f"killed at change {change}, after step {steps}"
        )

        run = Run(path)
        run.storage.open(5)
        run.put(b"life goes on", *[])
        while run.storage.forget(OWNER, force=True):
            pass
        assert [depth.leased for depth in run.storage.depth(QUEUES)] == [0] * len(QUEUES)
        run.storage.close(5)
