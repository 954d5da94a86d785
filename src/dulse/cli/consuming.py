"""`dulse consume`, `dulse get` and `dulse peek`."""

from __future__ import annotations

from typing import Any

import click

from dulse import Connection, Message, Queue
from dulse.cli.failures import Failed
from dulse.cli.invocation import Invocation, broker_options, counted, pass_invocation
from dulse.cli.output import Output, output_options
from dulse.cli.stopping import Stop
from dulse.cli.values import DURATION

PREFETCH = 100
IDLE = 0.25
"""Seconds without a message after which a queue counts as empty, and between two looks whether to stop."""


@click.command()
@click.argument("queue")
@click.option("-n", "--count", type=click.IntRange(min=1), help="Stop after so many messages.")
@click.option("--follow", is_flag=True, help="Wait for more instead of stopping when the queue is empty.")
@click.option("--timeout", type=DURATION, help="With --follow: stop when none has come for so long.")
@click.option("--prefetch", type=click.IntRange(1, 65535), default=PREFETCH, show_default=True, help="Taken ahead.")
@output_options
@broker_options
@pass_invocation
def consume(
    invocation: Invocation,
    queue: str,
    count: int | None,
    follow: bool,
    timeout: float | None,
    prefetch: int,
    form: str,
    null: bool,
) -> None:
    """Write the messages of QUEUE to stdout, and remove each once it is written.

    What was not written, because nobody reads any more or on Ctrl-C, goes back to the queue. A pipe may hold some that
    its reader never reads: use --count for an exact number.
    """
    output = Output(form, invocation.stop, null=null)
    with invocation.connected() as connection, invocation.stop.after_each_step():
        consumer = connection.Consumer(
            [Queue(queue)], auto_declare=False, prefetch_count=min(prefetch, count or prefetch)
        )
        idle = 0.0
        left = count
        with consumer:
            while left is None or left > 0:
                written = _write_all(consumer.messages(left, IDLE), output, invocation.stop)
                left = None if left is None else left - written
                idle = 0.0 if written else idle + IDLE
                if not written and (not follow or (timeout is not None and idle >= timeout)):
                    break
                invocation.stop.check()


def _write_all(given: Any, output: Output, stop: Stop) -> int:
    """Write and acknowledge messages until none comes or the process is to stop."""
    written = 0
    for message in given:
        stop.check()
        output.write(message)
        message.ack()
        written += 1
    return written


@click.command()
@click.argument("queue")
@click.option("-n", "--count", type=click.IntRange(min=1), default=1, show_default=True, help="Take so many.")
@output_options
@broker_options
@pass_invocation
def get(invocation: Invocation, queue: str, count: int, form: str, null: bool) -> None:
    """Take the next message of QUEUE and write it to stdout; fails if there is none."""
    output = Output(form, invocation.stop, null=null)
    with invocation.connected() as connection, invocation.stop.after_each_step():
        for number in range(count):
            message = connection.default_channel.basic_get(queue)
            if message is None:
                raise Failed(f"queue {queue!r} is empty{f' after {counted(number)}' if number else ''}")
            invocation.stop.check()
            output.write(message)
            message.ack()


@click.command()
@click.argument("queue")
@click.option("-n", "--count", type=click.IntRange(min=1), default=10, show_default=True, help="Look at so many.")
@output_options
@broker_options
@pass_invocation
def peek(invocation: Invocation, queue: str, count: int, form: str, null: bool) -> None:
    """Write the next messages of QUEUE to stdout, and leave them there."""
    output = Output(form, invocation.stop, null=null)
    with invocation.connected() as connection:
        for message in _peeked(connection, queue, count):
            output.write(message)


def _peeked(connection: Connection, queue: str, count: int) -> list[Message[Any]]:
    return connection.manager.peek(queue, count)
