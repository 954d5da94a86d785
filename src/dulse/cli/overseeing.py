"""`dulse queues`, `dulse purge`, `dulse move` and `dulse ping`."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Sequence

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from dulse.cli.invocation import Invocation, broker_options, counted, pass_invocation, tell
from dulse.cli.output import to_reader
from dulse.cli.progress import progress_bar
from dulse.model.inspection import QueueStatus

STEP = 100
"""Messages moved between two looks whether to stop."""

_COLUMNS = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())

_UNBOUNDED = 100_000
"""Columns of an output that is no terminal."""


@click.command()
@click.argument("names", nargs=-1)
@click.option("--json", "as_json", is_flag=True, help="Write a JSON array.")
@broker_options
@pass_invocation
def queues(invocation: Invocation, names: tuple[str, ...], as_json: bool) -> None:
    """Show what queues hold: all of them, or those named.

    Ready messages would be delivered next; leased ones were delivered and are not settled; delayed ones wait for their
    time. BYTES are those of the ready ones; a question mark stands for what the broker does not tell.
    """
    with invocation.connected() as connection:
        found = connection.manager.queues(*names)
    with to_reader():
        if as_json:
            click.echo(
                json.dumps([{**each._asdict(), "arguments": dict(each.arguments)} for each in found], default=str)
            )
        else:
            width = None if sys.stdout.isatty() else _UNBOUNDED
            Console(file=sys.stdout, width=width, highlight=False).print(_table(found))
        sys.stdout.flush()


def _table(found: Sequence[QueueStatus]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("QUEUE", overflow="fold")
    for heading in ("READY", "LEASED", "DELAYED", "BYTES", "CONSUMERS"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("RULES", overflow="fold")
    for each in found:
        numbers = (each.ready, each.leased, each.delayed, each.size, each.consumers)
        table.add_row(
            _printable(each.name),
            *("?" if number is None else f"{number:,}" for number in numbers),
            _printable(_rules(each)),
        )
    return table


def _rules(status: QueueStatus) -> str:
    words = ["exclusive"] if status.exclusive else []
    words += ["transient"] if status.durable is False and not status.exclusive else []
    words += ["auto-delete"] if status.auto_delete else []
    words += [f"{name.removeprefix('x-')}={value}" for name, value in sorted(status.arguments.items())]
    return " ".join(words)


def _printable(text: str) -> str:
    """Keep what others have named from steering the terminal, or rich."""
    shown = "".join(each if each.isprintable() else f"\\x{ord(each):02x}" for each in text)
    return shown.replace("[", "\\[")


@click.command()
@click.argument("queue")
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
@broker_options
@pass_invocation
def purge(invocation: Invocation, queue: str, yes: bool) -> None:
    """Delete the ready messages of QUEUE; asks before."""
    with invocation.connected() as connection:
        channel = connection.default_channel
        count = channel.queue_declare(queue, passive=True).message_count
        if count and not yes:
            click.confirm(f"Delete {counted(count)} of queue {queue!r}?", abort=True, err=True)
        deleted = channel.queue_purge(queue)
    tell(f"deleted {counted(deleted)} of queue {queue!r}")


@click.command()
@click.argument("source")
@click.argument("destination")
@click.option("-n", "--count", type=click.IntRange(min=1), help="Move so many at most; all that are there by default.")
@broker_options
@pass_invocation
def move(invocation: Invocation, source: str, destination: str, count: int | None) -> None:
    """Move the ready messages of queue SOURCE to queue DESTINATION, as for trying dead letters again.

    Killed midway it loses nothing, and the rest is where it was: each message is in one of the two at any moment.
    RabbitMQ cannot do that in one step: there, the few that were on their way may be in both.
    """
    moved = 0
    with invocation.connected() as connection:
        source_status, _ = connection.manager.queues(source, destination)
        wanted = source_status.ready if count is None else min(count, source_status.ready)
        if source == destination:
            raise click.UsageError(f"queue {source!r} is both the source and the destination: name two queues.")
        try:
            with invocation.stop.after_each_step(), progress_bar(*_COLUMNS) as progress:
                bar = progress.add_task(f"{source} → {destination}", total=wanted)
                while moved < max(wanted, 1):
                    done = connection.manager.move(source, destination, min(STEP, max(wanted - moved, 1)))
                    if not done:
                        break
                    moved += done
                    progress.update(bar, completed=moved)
                    invocation.stop.check()
        finally:
            tell(f"moved {moved:,} of {counted(wanted)} from queue {source!r} to queue {destination!r}")


@click.command()
@broker_options
@pass_invocation
def ping(invocation: Invocation) -> None:
    """Find out whether the broker answers."""
    with invocation.connected() as connection:
        started = time.perf_counter()
        connection.transport.transport.check()
        milliseconds = (time.perf_counter() - started) * 1000
        tell(f"{connection.as_uri()} answers within {milliseconds:.1f} ms")
