"""What went wrong, as one sentence and an exit code."""

from __future__ import annotations

import re

import click

from dulse import errors

OK = 0
FAILED = 1
"""The broker, a file or a message did not do."""
USAGE = 2
"""The command was not understood."""

_AMQP_WORD = re.compile(r"^[A-Z]+(?:_[A-Z]+)+ - ")


class Failed(Exception):
    """The command cannot do what it was asked to, in one sentence."""


def exit_code(failure: Exception) -> int:
    """Give the exit code: 2 where the command line is to be changed, 1 for all else."""
    if isinstance(failure, click.UsageError | errors.InvalidArgument):
        return USAGE
    return FAILED


def sentence(failure: Exception) -> str:
    """Say what went wrong in one line."""
    if isinstance(failure, click.UsageError):
        where = failure.ctx.command_path if failure.ctx is not None else "dulse"
        return _line(f"{failure.format_message().rstrip('.')} (see {where} --help)")
    if isinstance(failure, click.ClickException):
        return _line(failure.format_message())
    if isinstance(failure, errors.ChannelError):
        return _line(_AMQP_WORD.sub("", failure.text))
    if isinstance(failure, errors.DulseError | Failed):
        return _line(str(failure))
    if isinstance(failure, OSError) and failure.strerror:
        return _line(f"{failure.filename}: {failure.strerror}" if failure.filename else failure.strerror)
    return _line(
        f"an error of dulse itself ({type(failure).__name__}: {failure}): say --debug and report what it shows"
    )


def _line(text: str) -> str:
    return " ".join(text.split())
