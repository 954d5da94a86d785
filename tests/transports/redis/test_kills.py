"""Whoever is killed while using Redis, wherever: no message is lost, few are delivered again, and marked."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.faults.account import Account
from tests.faults.fray import Plan, describe
from tests.servers.redis import RedisServer

pytestmark = [pytest.mark.kill, pytest.mark.timeout(900)]

QUICK = [
    Plan(prefetch=10, messages=1000, mode="statements", last=120, step=10),
    Plan(prefetch=100, messages=1000, mode="random", last=10),
]
LONG = [
    *(Plan(prefetch=prefetch, messages=2000, mode="operations", last=40) for prefetch in (1, 10, 100)),
    Plan(prefetch=10, messages=2000, mode="statements", last=150, step=2),
    *(Plan(prefetch=prefetch, messages=2000, mode="random", last=20, seed=prefetch) for prefetch in (1, 10, 100)),
]


def check(folder: Path, url: str, plan: Plan, fleet: str = "dulse") -> None:
    (folder / "url").write_text(f"{url}?lease=1&fleet={fleet}")
    program = [sys.executable, "-m", "tests.transports.redis.fray", str(folder), describe(plan)]
    done = subprocess.run(program, check=False, capture_output=True, text=True, timeout=880)
    assert done.returncode == 0, done.stderr[-4000:]
    account = Account.of(folder)
    again = account.again()
    figures = f"{len(account.killed)} killed, {len(account.published)} sent, {account.interrupted()} interrupted"
    print(f"{plan}: {figures}, {sum(again.values())} handed out again")  # noqa: T201 - shown with -s and when it fails
    assert len(account.killed) >= 10
    assert len(account.published) >= plan.messages
    assert account.interrupted() > 0, "nobody was killed with anything in hand"
    assert account.lost() == []
    assert account.unsettled() == []
    assert account.wrongly_dead() == []
    assert account.unmarked() == []
    assert set(again) <= account.killed, "delivered again although their consumer lived"
    assert {worker: count for worker, count in again.items() if count > plan.prefetch} == {}


@pytest.mark.parametrize("plan", QUICK, ids=lambda plan: f"{plan.mode}-{plan.prefetch}")
def test_nothing_is_lost_when_processes_are_killed(tmp_path: Path, redis_server: RedisServer, plan: Plan) -> None:
    check(tmp_path, redis_server.url, plan)


@pytest.mark.slow
@pytest.mark.parametrize("plan", LONG, ids=lambda plan: f"{plan.mode}-{plan.prefetch}")
def test_nothing_is_lost_of_2000_when_processes_are_killed_at_every_step(
    tmp_path: Path, redis_server: RedisServer, plan: Plan
) -> None:
    check(tmp_path, redis_server.url, plan)


@pytest.mark.slow
@pytest.mark.parametrize("plan", [*QUICK, LONG[1]], ids=lambda plan: f"{plan.mode}-{plan.prefetch}")
def test_nothing_is_lost_in_a_mixed_fleet_when_processes_are_killed(
    tmp_path: Path, redis_server: RedisServer, plan: Plan
) -> None:
    check(tmp_path, redis_server.url, plan, "mixed")
