"""The `dulse` command: publish, consume and look after queues from a shell."""

from __future__ import annotations

import sys

CLIENTS = ("click", "rich")


def main() -> None:
    """Run the command line and end the process with its exit code."""
    try:
        from dulse.cli.program import program
    except ModuleNotFoundError as missing:
        if (missing.name or "").partition(".")[0] not in CLIENTS:
            raise
        print('dulse: the command line needs click and rich: pip install "dulse[cli]"', file=sys.stderr)  # noqa: T201 - there is nothing else to say it with
        sys.exit(2)
    program.main(prog_name="dulse")
