"""Whoever is killed, wherever: no message is lost, few are delivered again, and those are marked."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.faults.account import Account
from tests.faults.fray import Plan, describe

pytestmark = [pytest.mark.kill, pytest.mark.timeout(600)]


def account_of(folder: Path, plan: Plan) -> Account:
    program = [sys.executable, "-m", "tests.faults.fray", str(folder), describe(plan)]
    done = subprocess.run(program, check=False, capture_output=True, text=True, timeout=580)
    assert done.returncode == 0, done.stderr[-4000:]
    return Account.of(folder)


def check(account: Account, plan: Plan) -> None:
    again = account.again()
    figures = f"{len(account.killed)} killed, {len(account.published)} sent, {account.interrupted()} interrupted"
    print(f"{plan}: {figures}, {sum(again.values())} handed out again")  # noqa: T201 - shown with -s and when it fails
    assert len(account.published) >= plan.messages
    assert account.interrupted() > 0, "nobody was killed with anything in hand"
    assert account.lost() == []
    assert account.unsettled() == []
    assert account.wrongly_dead() == []
    assert account.unmarked() == []
    assert set(again) <= account.killed, "delivered again although their consumer lived"
    assert {worker: count for worker, count in again.items() if count > plan.prefetch} == {}


QUICK = [
    Plan(prefetch=10, messages=1500, mode="operations", last=30),
    Plan(prefetch=10, messages=1000, mode="statements", last=180, step=5),
    Plan(prefetch=100, messages=1500, mode="random", last=10),
    Plan(prefetch=10, messages=1000, mode="statements", last=400, step=20, store="filesystem"),
    Plan(prefetch=100, messages=1000, mode="random", last=10, store="filesystem"),
]

LONG = [
    *(Plan(prefetch=prefetch, messages=2000, mode="operations", last=60) for prefetch in (1, 10, 100)),
    *(Plan(prefetch=prefetch, messages=2000, mode="statements", last=300, step=1) for prefetch in (1, 10)),
    *(Plan(prefetch=prefetch, messages=2000, mode="random", last=20, seed=prefetch) for prefetch in (1, 10, 100)),
    *(
        Plan(prefetch=prefetch, messages=2000, mode="operations", last=60, store="filesystem")
        for prefetch in (1, 10, 100)
    ),
    Plan(prefetch=10, messages=2000, mode="statements", last=450, step=3, store="filesystem"),
    *(
        Plan(prefetch=prefetch, messages=2000, mode="random", last=20, seed=prefetch, store="filesystem")
        for prefetch in (1, 10, 100)
    ),
]


@pytest.mark.parametrize("plan", QUICK, ids=lambda plan: f"{plan.store}-{plan.mode}-{plan.prefetch}")
def test_nothing_is_lost_when_competing_processes_are_killed(tmp_path: Path, plan: Plan) -> None:
    account = account_of(tmp_path, plan)

    assert len(account.killed) >= 10
    check(account, plan)


@pytest.mark.slow
@pytest.mark.parametrize("plan", LONG, ids=lambda plan: f"{plan.store}-{plan.mode}-{plan.prefetch}")
def test_nothing_is_lost_of_2000_when_processes_are_killed_at_every_step(tmp_path: Path, plan: Plan) -> None:
    account = account_of(tmp_path, plan)

    assert len(account.killed) >= 20
    check(account, plan)
