"""The steps by which everything comes back on a new connection: topology, channels, consumers, windows."""

from __future__ import annotations

from collections.abc import Generator
from typing import NamedTuple

from dulse.amqp.confirms import Window
from dulse.amqp.engine import Engine
from dulse.amqp.expected import Expected
from dulse.amqp.life import is_held
from dulse.amqp.messages import written_anew
from dulse.amqp.method import Method
from dulse.amqp.methods import basic, channel
from dulse.amqp.recheck import Recheck
from dulse.amqp.remembered import Remembered, RememberedChannel


class Step(NamedTuple):
    """One request on the way back: a channel.open, a channel.close, or any call on an open channel."""

    channel: int
    method: Method


class NotRestored(NamedTuple):
    """Something that the broker refused to bring back."""

    channel: int
    """0 for topology."""
    method: Method
    """A basic.Consume: its consumer has ended."""
    error: Exception


Restoration = Generator[Step, Exception | None, list[NotRestored]]
"""Gives steps, is sent None for each that was answered and the error that closed its channel for one that was not."""


def restoration(remembered: Remembered) -> Restoration:
    """Go through the steps that make a new connection what the lost one was, one after the other.

    Raises the error of a step that is worth another connection later: the broker has not noticed yet that the last one
    is gone, and keeps what was exclusive to it.
    """
    refused: list[NotRestored] = []
    scratch = min(remembered.channels, default=1)
    if topology := remembered.topology():
        yield from _declare(scratch, topology, refused)
    for number, each in list(remembered.channels.items()):
        yield from _open(number, each.methods(), list(map(each.starts, each.consumers)), refused)
    return refused


def starting(number: int, known: RememberedChannel) -> Restoration:
    """Go through the steps that start the consumers of a channel that was opened again without them."""
    refused: list[NotRestored] = []
    yield from _open(number, known.methods(), list(map(known.starts, known.consumers)), refused, is_open=True)
    return refused


def _declare(scratch: int, topology: list[Method], refused: list[NotRestored]) -> Generator[Step, Exception | None]:
    yield Step(scratch, channel.Open())
    for method in topology:
        error = yield Step(scratch, method)
        if error is not None:
            _raise_if_held(error)
            refused.append(NotRestored(0, method, error))
            yield Step(scratch, channel.Open())
    yield Step(scratch, channel.Close(200))


def _open(
    number: int, setup: list[Method], starts: list[list[Method]], refused: list[NotRestored], *, is_open: bool = False
) -> Generator[Step, Exception | None]:
    """Open a channel with its consumers; one that is refused closes it, so that it is done again without that one."""
    while True:
        if not is_open:
            yield Step(number, channel.Open())
        failed = None
        for group in starts if is_open else (setup, *starts):
            failed = yield from _first_failure(number, group)
            if failed is not None:
                blamed = next((each for each in group if isinstance(each, basic.Consume)), failed.method)
                refused.append(failed._replace(method=blamed))
                starts = [each for each in starts if each is not group]
                break
        if failed is None or not isinstance(refused[-1].method, basic.Consume):
            return
        is_open = False


def _first_failure(number: int, methods: list[Method]) -> Generator[Step, Exception | None, NotRestored | None]:
    for method in methods:
        error = yield Step(number, method)
        if error is not None:
            _raise_if_held(error)
            return NotRestored(number, method, error)
    return None


def _raise_if_held(error: Exception) -> None:
    if is_held(error):
        raise error


def ask(engine: Engine, step: Step) -> Expected:
    """Have an engine ask what a step asks."""
    if isinstance(step.method, channel.Open):
        return engine.open_channel(step.channel)
    if isinstance(step.method, channel.Close):
        return engine.close_channel(step.channel)
    return engine.call(step.channel, step.method)


def renew(window: Window, recheck: Recheck | None, number: int, frame_max: int, before: int) -> None:
    """Make a window begin again on a new connection: numbered from 1, none of it sent, in frames of its maximum."""
    if recheck is not None:
        if frame_max < before:
            recheck.rewrite(lambda data: written_anew(data, number, frame_max))
        return
    waiting = window.unconfirmed()
    if frame_max < before:
        waiting = [each._replace(data=written_anew(each.data, number, frame_max)) for each in waiting]
    window.restart(waiting)
