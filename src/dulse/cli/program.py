"""The command line's frame: its commands, and how each run of it ends."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Sequence
from typing import Any, NoReturn

import click

from dulse import __version__
from dulse.cli.consuming import consume, get, peek
from dulse.cli.declaring import bind, declare, delete, unbind
from dulse.cli.failures import FAILED, OK, exit_code, sentence
from dulse.cli.invocation import Invocation, broker_options, tell
from dulse.cli.output import ReaderGone
from dulse.cli.overseeing import move, ping, purge, queues
from dulse.cli.publishing import publish
from dulse.cli.stopping import Stopped

__all__ = ["program"]


class Program(click.Group):
    """Runs one command, and tells of a failure in one sentence on stderr.

    Exit codes: 0, all was done; 1, the broker, a file or a message did not do; 2, the command was not understood;
    130 and 143, it was stopped by SIGINT or SIGTERM.
    """

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
        **extra: Any,
    ) -> NoReturn:
        """Run, and end the process."""
        invocation = Invocation(url=os.environ.get("DULSE_URL"))
        try:
            with invocation.stop:
                done = super().main(args, prog_name, complete_var, standalone_mode=False, obj=invocation, **extra)
                code = done if isinstance(done, int) else OK
        except Stopped as stopped:
            code = stopped.exit_code
        except click.Abort:
            tell("not confirmed, so nothing was done: answer y, or say --yes")
            code = FAILED
        except ReaderGone:
            _leave_stdout_alone()
            code = OK
        except Exception as failure:  # noqa: BLE001 - a person wants a sentence, whatever it was
            if invocation.debug:
                traceback.print_exc()
            tell(sentence(failure))
            code = exit_code(failure)
        sys.exit(code)


def _leave_stdout_alone() -> None:
    """Keep Python from writing the rest, at its end, to a pipe that nobody reads."""
    try:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except (OSError, ValueError):
        return  # stdout is no file here


@click.group(
    "dulse",
    cls=Program,
    no_args_is_help=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(__version__, prog_name="dulse")
@broker_options
def program() -> None:
    """Publish, consume and look after queues.

    The broker is named by --url or DULSE_URL: amqp://user:password@host/vhost, redis://host, sqlite:///relative.db,
    sqlite:////absolute.db, filesystem:///absolute/folder.
    Times are seconds, or 500ms, 20s, 5m, 1h. Exit codes: 0 done, 1 failed, 2 not understood, 130 interrupted.
    """


for _command in (publish, consume, get, peek, queues, declare, bind, unbind, purge, move, delete, ping):
    program.add_command(_command)
