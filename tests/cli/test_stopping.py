"""What a signal does to a command, and when."""

from __future__ import annotations

import signal

import pytest

from dulse.cli.stopping import Stop, Stopped


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_stops_a_command_at_once(number: signal.Signals, code: int) -> None:
    with Stop(), pytest.raises(Stopped) as stopped:
        signal.raise_signal(number)
    assert stopped.value.exit_code == code


def test_between_steps_a_signal_waits_to_be_asked_for() -> None:
    with Stop() as stop, stop.after_each_step():
        stop.check()
        signal.raise_signal(signal.SIGTERM)
        with pytest.raises(Stopped, match="SIGTERM"):
            stop.check()


def test_a_second_signal_does_not_wait() -> None:
    with Stop() as stop, stop.after_each_step():
        signal.raise_signal(signal.SIGINT)
        with pytest.raises(Stopped):
            signal.raise_signal(signal.SIGINT)


def test_what_may_be_left_undone_is_interrupted() -> None:
    with Stop() as stop, stop.after_each_step():
        with pytest.raises(Stopped), stop.at_once():
            signal.raise_signal(signal.SIGINT)
        assert stop.number == signal.SIGINT


def test_what_may_be_left_undone_is_not_begun_after_a_signal() -> None:
    with Stop() as stop, stop.after_each_step():
        signal.raise_signal(signal.SIGINT)
        with pytest.raises(Stopped), stop.at_once():
            pytest.fail("it was begun")


def test_signals_are_handled_as_before_when_the_command_is_over() -> None:
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    with Stop():
        assert signal.getsignal(signal.SIGINT) != before[0]
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before
