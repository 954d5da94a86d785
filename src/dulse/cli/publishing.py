"""`dulse publish`."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import click
from rich.progress import BarColumn, ProgressColumn, TextColumn, TimeElapsedColumn

from dulse import Connection, Message
from dulse.cli.failures import Failed
from dulse.cli.invocation import Invocation, broker_options, counted, pass_invocation, tell
from dulse.cli.progress import progress_bar
from dulse.cli.records import parse_property
from dulse.cli.sources import PARSERS, STDIN, Item, content_of, read_files, read_lines, size_of
from dulse.cli.values import DURATION, FIELD, OPTION

_FORMAT_HELP = (
    "What a message is: each of the lines, each line as a JSON document, each line as a message that "
    "'consume --format json' wrote, or each whole file."
)

_EXAMPLES = """\b
Examples:
  dulse publish --declare -q work -m "one message"
  tail -f log | dulse publish -x logs -k app.web
  dulse publish -q pictures --format files *.png
"""


@dataclass(slots=True)
class Sending:
    """How far publishing has come."""

    place: str
    started: float = field(default_factory=time.monotonic)
    sent: int = 0
    returned: list[tuple[str, str]] = field(default_factory=list)

    def on_return(self, _problem: Exception, exchange: str, routing_key: str, _message: Message[Any]) -> None:
        """Note a message that no queue wanted."""
        self.returned.append((exchange, routing_key))

    def summary(self) -> str:
        """Say how many were sent."""
        seconds = time.monotonic() - self.started
        return f"sent {counted(self.sent)} to {self.place} in {seconds:.1f} s"


@click.command(epilog=_EXAMPLES)
@click.argument("inputs", nargs=-1, type=click.Path(exists=True, dir_okay=False, allow_dash=True))
@click.option("-m", "--message", "messages", multiple=True, help="Publish this text; may be given again.")
@click.option("-q", "--queue", help="The queue to publish to.")
@click.option("-x", "--exchange", help="The exchange to publish to.")
@click.option("-k", "--routing-key", help="The routing key, with an exchange.")
@click.option(
    "-f",
    "--format",
    "form",
    type=click.Choice(["lines", "jsonl", "records", "files"]),
    default="lines",
    show_default=True,
    help=_FORMAT_HELP,
)
@click.option("--declare", is_flag=True, help="Make the queue if it does not exist.")
@click.option("-H", "--header", "headers", type=FIELD, multiple=True, help="A header: NAME=TEXT or NAME:=JSON.")
@click.option("-p", "--property", "properties", type=OPTION, multiple=True, help="A property, such as message_id=7.")
@click.option("--content-type", help="What the messages are, instead of what they look like.")
@click.option("--priority", type=click.IntRange(0, 255), help="For queues with priorities.")
@click.option("--expiration", type=DURATION, help="The time after which nobody wants them any more.")
@click.option("--delay", type=DURATION, help="The time before which nobody shall get them.")
@click.option("--transient", is_flag=True, help="They need not outlive the broker.")
@click.option("--compress", metavar="NAME", help="Compress the bodies: gzip, bzip2, lzma, zstd, brotli.")
@click.option("--mandatory/--no-mandatory", default=True, show_default=True, help="Fail if no queue takes a message.")
@click.option("--batch", type=click.IntRange(min=1), default=1000, show_default=True, help="Messages in one step.")
@click.option("--quiet", is_flag=True, help="Say nothing where all goes well.")
@broker_options
@pass_invocation
def publish(
    invocation: Invocation,
    inputs: tuple[str, ...],
    messages: tuple[str, ...],
    queue: str | None,
    exchange: str | None,
    routing_key: str | None,
    form: str,
    declare: bool,
    headers: tuple[tuple[str, Any], ...],
    properties: tuple[tuple[str, str], ...],
    content_type: str | None,
    priority: int | None,
    expiration: float | None,
    delay: float | None,
    transient: bool,
    compress: str | None,
    mandatory: bool,
    batch: int,
    quiet: bool,
) -> None:
    """Publish lines, JSON documents or files: from INPUTS (- is stdin), from stdin by default, or given by -m."""
    place, options = _destination(queue, exchange, routing_key, form, declare=declare)
    if messages and inputs:
        raise click.UsageError("messages are given both by -m and by files: use one of them")
    given: dict[str, Any] = {
        "priority": priority,
        "expiration": expiration,
        "delay": delay,
        "delivery_mode": 1 if transient else None,
        "content_type": content_type,
        "compression": compress,
    }
    options.update((name, value) for name, value in given.items() if value is not None)
    try:
        options.update((name, parse_property(name, text)) for name, text in properties)
    except Failed as failure:
        raise click.UsageError(str(failure)) from failure
    sending = Sending(place)
    with invocation.connected(may_create=declare) as connection:
        if declare and queue is not None:
            connection.default_channel.queue_declare(queue, durable=True)
        steps = _steps(invocation, inputs or (STDIN,), messages, form)
        total = None if messages else size_of(inputs or (STDIN,))
        try:
            with invocation.stop.after_each_step(), progress_bar(*_columns(total), hidden=quiet) as progress:
                publisher = _Publisher(connection, sending, {**options, "mandatory": mandatory}, dict(headers), batch)
                bar = progress.add_task(place, total=total, messages=0)
                for items, read in steps:
                    publisher.publish(items)
                    progress.update(bar, advance=read, messages=sending.sent)
                    invocation.stop.check()
        except BaseException:
            tell(sending.summary())
            raise
    if not quiet:
        tell(sending.summary())


def _destination(
    queue: str | None, exchange: str | None, routing_key: str | None, form: str, *, declare: bool
) -> tuple[str, dict[str, Any]]:
    """Tell where messages go: in words, and as arguments of `publish` that count before a record's own."""
    if queue is not None:
        if exchange is not None or routing_key is not None:
            raise click.UsageError("a queue is given and an exchange or routing key as well: use one of them")
        return f"queue {queue!r}", {"exchange": "", "routing_key": queue}
    if declare:
        raise click.UsageError("--declare makes a queue: name it by --queue")
    if exchange is None and form != "records":
        raise click.UsageError("nothing says where to publish: give --queue, or --exchange and --routing-key")
    options = {
        name: value for name, value in (("exchange", exchange), ("routing_key", routing_key)) if value is not None
    }
    if exchange is None:
        return "where each record says", options
    return f"exchange {exchange!r}", options


def _steps(
    invocation: Invocation, inputs: Sequence[str], messages: Sequence[str], form: str
) -> Iterator[tuple[list[Item], int]]:
    if not messages:
        return read_files(inputs) if form == "files" else read_lines(inputs, PARSERS[form], invocation.stop.at_once)
    bodies = [message.encode(errors="surrogateescape") for message in messages]
    if form == "files":
        return iter([([Item(body, content_of(body)) for body in bodies], 0)])
    found = (PARSERS[form](body) for body in bodies)
    return iter([([item for item in found if item is not None], 0)])


class _Publisher:
    """Publishes messages in steps, and stops at the first step in which one found no queue."""

    def __init__(
        self, connection: Connection, sending: Sending, options: dict[str, Any], headers: dict[str, Any], batch: int
    ) -> None:
        self._producer = connection.Producer(on_return=sending.on_return, auto_declare=False)
        self._sending = sending
        self._options = options
        self._headers = headers
        self._batch = batch

    def publish(self, items: Sequence[Item]) -> None:
        """Publish; what is counted as sent is with the broker."""
        for start in range(0, len(items), self._batch):
            part = items[start : start + self._batch]
            self._producer.publish_many([self._pair(item) for item in part], self._batch)
            self._producer.flush()
            returned = self._sending.returned
            self._sending.sent += len(part) - len(returned)
            if returned:
                exchange, routing_key = returned[0]
                raise Failed(_unwanted(len(returned), len(part), exchange, routing_key))

    def _pair(self, item: Item) -> tuple[Any, dict[str, Any]]:
        headers = {**item.options.get("headers", {}), **self._headers}
        return item.body, {**item.options, **self._options, "headers": headers}


def _unwanted(count: int, of: int, exchange: str, routing_key: str) -> str:
    if not exchange:
        return f"there is no queue {routing_key!r}: make it by `dulse declare queue {routing_key}`, or say --declare"
    return (
        f"{count} of the last {of} messages went nowhere: no queue is bound to exchange {exchange!r} for routing key "
        f"{routing_key!r}; bind one by `dulse bind`, or say --no-mandatory"
    )


def _columns(total: int | None) -> tuple[ProgressColumn, ...]:
    counted_messages = TextColumn("{task.fields[messages]:,} messages")
    description = TextColumn("{task.description}")
    return (description, *((BarColumn(),) if total else ()), counted_messages, TimeElapsedColumn())
