"""What every command is given: the broker's URL, the transport's options, and how it is told to stop."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import click

from dulse import Connection
from dulse.cli.stopping import Stop
from dulse.cli.values import OPTION
from dulse.model.parameters import Parameters, parse_url

F = TypeVar("F", bound=Callable[..., Any])

CONNECT_SECONDS = 10.0


@dataclass(slots=True)
class Invocation:
    """One run of the command line."""

    url: str | None = None
    options: dict[str, str] = field(default_factory=dict)
    debug: bool = False
    stop: Stop = field(default_factory=Stop)

    @contextmanager
    def connected(self, *, may_create: bool = False) -> Iterator[Connection]:
        """Give a connection that is open; closing it gives back what was taken.

        A file or folder that does not exist is made by commands that `may_create` only, so that a typing error is
        noticed.
        """
        if not self.url:
            raise click.UsageError("no broker is named: say --url sqlite:///path, or set DULSE_URL")
        if "://" not in self.url:
            raise click.UsageError("what names the broker is no URL: write one such as sqlite:///path")
        if not may_create:
            _check_place(self.url)
        with Connection(self.url, connect_timeout=CONNECT_SECONDS, transport_options=self.options) as connection:
            session = connection.connect()
            if not session.capabilities.shared:
                tell("warning: this broker ends with this command: no other process can see it")
            yield connection


_PLACES: dict[str, tuple[str, Callable[[Parameters], str | None]]] = {
    "sqlite": ("file", Parameters.file),
    "filesystem": ("folder", Parameters.folder),
}


def _check_place(url: str) -> None:
    kind, find = _PLACES.get(url.partition(":")[0], ("", None))
    path = None if find is None or ";" in url else find(parse_url(url))
    if path is not None and not Path(path).exists():
        text = f"there is no {kind} {path!r}: make it by `dulse declare queue NAME`, or correct the URL"
        raise click.ClickException(text)


def tell(text: str) -> None:
    """Say something to the person at the keyboard, not to whoever reads the output."""
    click.echo(f"dulse: {text}", err=True)


def counted(count: int) -> str:
    """Write a number of messages in words."""
    return f"{count:,} message{'' if count == 1 else 's'}"


def _set_url(context: click.Context, _: click.Parameter, url: str | None) -> None:
    if url is not None:
        context.ensure_object(Invocation).url = url


def _set_options(context: click.Context, _: click.Parameter, options: tuple[tuple[str, str], ...]) -> None:
    context.ensure_object(Invocation).options.update(options)


def _set_debug(context: click.Context, _: click.Parameter, debug: bool) -> None:
    if debug:
        context.ensure_object(Invocation).debug = True
        logging.basicConfig(level=logging.DEBUG, stream=sys.stderr)


def broker_options(command: F) -> F:
    """Give a command the options that say which broker is meant."""
    for option in reversed(
        (
            click.option(
                "--url",
                metavar="URL",
                expose_value=False,
                callback=_set_url,
                help="The broker, such as sqlite:///path/to.db; else the environment's DULSE_URL.",
            ),
            click.option(
                "-o",
                "--option",
                type=OPTION,
                multiple=True,
                expose_value=False,
                callback=_set_options,
                help="An option of the transport, such as durability=normal.",
            ),
            click.option(
                "--debug", is_flag=True, expose_value=False, callback=_set_debug, help="Log, and show tracebacks."
            ),
        )
    ):
        command = option(command)
    return command


pass_invocation = click.make_pass_decorator(Invocation, ensure=True)
