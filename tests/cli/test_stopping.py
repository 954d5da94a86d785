"""What a signal does to a command, and when."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator

import pytest

from dulse.cli.stopping import Stop, Stopped


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    reader, writer = os.pipe()
    yield reader, writer
    os.close(reader)
    os.close(writer)


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


def test_a_signal_ends_the_wait_for_something_to_read(pipe: tuple[int, int]) -> None:
    ask = threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGTERM))
    with Stop() as stop, stop.after_each_step():
        ask.start()
        with pytest.raises(Stopped), stop.at_once(pipe[0]):
            pytest.fail("there is nothing to read")
    ask.join()


def test_the_wait_for_something_to_read_goes_on_after_signals_of_others(pipe: tuple[int, int]) -> None:
    rung = []
    before = signal.signal(signal.SIGALRM, lambda number, _: rung.append(number))
    signal.setitimer(signal.ITIMER_REAL, 0.02, 0.02)
    data = threading.Timer(0.2, os.write, (pipe[1], b"line"))
    try:
        with Stop() as stop:
            data.start()
            with stop.at_once(pipe[0]):
                assert os.read(pipe[0], 10) == b"line"
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    data.join()
    assert rung


def test_signals_are_handled_as_before_when_the_command_is_over() -> None:
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    with Stop():
        assert signal.getsignal(signal.SIGINT) != before[0]
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before
    assert signal.set_wakeup_fd(-1) == -1
