from __future__ import annotations

import threading

import pytest

from dulse import errors
from dulse.links import keeper as module
from dulse.links.keeper import Keeper
from tests.links.rig import LONG, Task, settle


@pytest.mark.parametrize("failure", [ZeroDivisionError, SystemExit])
def test_a_duty_that_raises_is_logged_and_the_others_go_on(
    keeper: Keeper, failure: type[BaseException], caplog: pytest.LogCaptureFixture
) -> None:
    def fail() -> None:
        raise failure

    bad = Task(0.0, fail)
    keeper.add(bad)
    bad.ran.get(timeout=LONG)
    settle(keeper)

    assert "<Task> failed in the background" in caplog.text
    assert failure.__name__ in caplog.text


def test_a_broker_that_is_away_takes_a_line_in_the_log_and_no_traceback(
    keeper: Keeper, caplog: pytest.LogCaptureFixture
) -> None:
    def fail() -> None:
        raise errors.make(errors.ConnectionLost, "nobody is there")

    bad = Task(0.0, fail)
    keeper.add(bad)
    bad.ran.get(timeout=LONG)
    settle(keeper)

    (record,) = caplog.records
    assert (record.levelname, record.exc_info) == ("WARNING", None)
    assert "nobody is there" in record.message


def test_a_duty_that_raises_is_not_run_again_at_once(keeper: Keeper) -> None:
    def fail() -> None:
        bad.next = 0.0
        raise ZeroDivisionError

    bad = Task(0.0, fail)
    keeper.add(bad)
    bad.ran.get(timeout=LONG)
    for _ in range(20):
        settle(keeper)

    assert bad.ran.empty()


def test_a_duty_that_raised_is_run_again_after_a_pause(keeper: Keeper, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_PAUSE", 0.01)

    def fail() -> None:
        bad.next = 0.0
        raise ZeroDivisionError

    bad = Task(0.0, fail)
    keeper.add(bad)

    for _ in range(3):
        bad.ran.get(timeout=LONG)


def test_a_duty_that_cannot_say_when_it_is_due_is_logged_and_asked_again(
    keeper: Keeper, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(module, "_PAUSE", 0.01)

    class Confused(Task):
        def due(self) -> float:
            if super().due() == 0.0 and self.asked < 3:
                raise ZeroDivisionError
            return self.next

    confused = Confused(due=0.0)
    keeper.add(confused)
    confused.ran.get(timeout=LONG)

    assert caplog.text.count("could not say when it is due") == 2


def test_a_thread_that_cannot_be_started_is_an_error_and_the_duty_is_not_served(
    keeper: Keeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    task = Task(due=0.0)
    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", fail)
        with pytest.raises(errors.OperationalError, match="can't start new thread"):
            keeper.add(task)
    assert repr(keeper) == "<Keeper without a thread, 0 duties>"

    keeper.add(task)
    task.ran.get(timeout=LONG)
