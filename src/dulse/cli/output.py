"""Messages on stdout, in such a way that it is known of each whether it has left this process."""

from __future__ import annotations

import io
import os
import select
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

import click

from dulse import Message
from dulse.cli.records import write_record
from dulse.cli.stopping import Stop

Options = Callable[..., Any]

PIECE: Final = select.PIPE_BUF
"""Bytes that a pipe takes without waiting when it says that it is writable."""


class ReaderGone(Exception):
    """Nobody reads stdout any more."""


@contextmanager
def to_reader() -> Iterator[None]:
    """Tell by ReaderGone that writing to stdout makes no more sense."""
    try:
        yield
    except BrokenPipeError as broken:
        raise ReaderGone from broken


class Output:
    """Stdout, as messages are written to it. A signal may interrupt while it waits for the reader, else never."""

    def __init__(self, form: str, stop: Stop, *, null: bool) -> None:
        self._stream = sys.stdout.buffer
        self._stop = stop
        self._form = write_record if form == "json" else _body
        self._end = b"\0" if null else b"\n"
        try:
            self._descriptor: int | None = self._stream.fileno()
        except io.UnsupportedOperation:  # something of this process that stands in for stdout, and never waits
            self._descriptor = None

    def write(self, message: Message[Any]) -> None:
        """Write a message; when this returns, all of it has left this process."""
        with to_reader():
            self._write(self._form(message) + self._end)

    def _write(self, data: bytes) -> None:
        if self._descriptor is None:
            self._stream.write(data)
            self._stream.flush()
            return
        left = memoryview(data)
        while left:
            with self._stop.at_once():
                select.select((), (self._descriptor,), ())
            left = left[_written(self._descriptor, left[:PIECE]) :]


def _written(descriptor: int, data: memoryview) -> int:
    try:
        return os.write(descriptor, data)
    except BlockingIOError:
        return 0


def _body(message: Message[Any]) -> bytes:
    return bytes(message.body)


def output_options(command: Options) -> Options:
    """Give a command the options that say how messages are written."""
    command = click.option("-0", "--null", is_flag=True, help="End each with a NUL instead of a new line.")(command)
    return click.option(
        "-f",
        "--format",
        "form",
        type=click.Choice(["body", "json"]),
        default="body",
        show_default=True,
        help="The bodies as they are, or a line of JSON for each message with its headers and properties.",
    )(command)
