"""Whoever is killed, wherever: no message is lost, and none exists without the work that it belongs to."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from dulse import Connection, Queue
from tests.faults.account import Account
from tests.faults.fray import Plan, describe
from tests.faults.programs import Program
from tests.transports.django import selling

pytestmark = [pytest.mark.kill, pytest.mark.timeout(900)]

QUICK = Plan(prefetch=10, messages=300, mode="statements", last=180, step=20)
LONG = [
    *(Plan(prefetch=prefetch, messages=2000, mode="operations", last=40) for prefetch in (1, 10, 100)),
    Plan(prefetch=10, messages=2000, mode="statements", last=300, step=3),
    *(Plan(prefetch=prefetch, messages=2000, mode="random", last=20, seed=prefetch) for prefetch in (1, 10, 100)),
]


def check(folder: Path, alias: str, plan: Plan) -> None:
    (folder / "url").write_text(f"django://{alias}?lease=1")
    program = [sys.executable, "-m", "tests.transports.django.fray", str(folder), describe(plan)]
    done = subprocess.run(program, check=False, capture_output=True, text=True, timeout=880)
    assert done.returncode == 0, done.stderr[-4000:]
    account = Account.of(folder)
    again = account.again()
    assert len(account.killed) >= 10
    assert len(account.published) >= plan.messages
    assert account.interrupted() > 0, "nobody was killed with anything in hand"
    assert account.lost() == []
    assert account.unsettled() == []
    assert account.wrongly_dead() == []
    assert account.unmarked() == []
    assert set(again) <= account.killed, "delivered again although their consumer lived"
    assert {worker: count for worker, count in again.items() if count > plan.prefetch} == {}


def test_nothing_is_lost_when_processes_are_killed(tmp_path: Path, django_sqlite: str) -> None:
    check(tmp_path, django_sqlite, QUICK)


@pytest.mark.slow
@pytest.mark.parametrize("plan", LONG, ids=lambda plan: f"{plan.mode}-{plan.prefetch}")
def test_nothing_is_lost_of_2000_when_processes_are_killed_at_every_step(
    tmp_path: Path, alias: str, plan: Plan
) -> None:
    check(tmp_path, alias, plan)


@pytest.fixture
def programs() -> Iterator[list[Program]]:
    """Give a list: what is put in it is ended after the test."""
    started: list[Program] = []
    yield started
    for program in started:
        program.end()


def test_a_message_exists_exactly_if_the_transaction_of_a_killed_process_was_committed(
    alias: str, programs: list[Program]
) -> None:
    from tests.transports.django.shop.models import Order

    sold = Queue("sold")
    chance = random.Random(7)
    with Connection(f"django://{alias}") as connection:
        sold(connection.default_channel).declare()
        for _ in range(5):
            program = Program(selling.sell, alias)
            programs.append(program)
            assert program.hear(60) == "begun"
            time.sleep(chance.uniform(0, 0.2))  # the moment is to be any
            program.kill()

        told: list[str] = []
        orders: list[str] = []
        end = time.monotonic() + 30
        while time.monotonic() < end:  # a server ends the last commits of the dead in its own time
            while (message := sold(connection.default_channel).get()) is not None:
                told.append(message.payload)
                message.ack()
            orders = list(Order.objects.using(alias).values_list("what", flat=True))
            if sorted(told) == sorted(orders):
                break
        assert sorted(told) == sorted(orders)
        assert len({one.partition(":")[0] for one in told}) == 5
