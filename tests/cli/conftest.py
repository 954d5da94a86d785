"""The command line on an SQLite broker of the test's own: in this process by click's runner, or as a real process."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

import pytest
from click.testing import CliRunner, Result

from dulse import Connection
from dulse.cli.program import program


class Run(Protocol):
    """Runs a command in this process."""

    def __call__(self, *arguments: str, input: str | bytes | None = None, code: int = 0) -> Result: ...


class Start(Protocol):
    """Starts a command as a process."""

    def __call__(self, *arguments: str, **options: Any) -> subprocess.Popen[bytes]: ...


@pytest.fixture
def url(tmp_path: Path) -> str:
    """Name a broker that no other test has; it need not survive a power loss, and the dead are found at once."""
    return f"sqlite:///{tmp_path / 'broker.db'}?durability=normal&lease=1s"


@pytest.fixture
def run(url: str) -> Run:
    """Run a command and check its exit code, which is 0 unless the test says otherwise."""

    def run(*arguments: str, input: str | bytes | None = None, code: int = 0) -> Result:
        result = CliRunner().invoke(program, arguments, input=input, env={"DULSE_URL": url})
        assert result.exit_code == code, result.output
        return result

    return run


@pytest.fixture
def start(url: str) -> Iterator[Start]:
    """Start commands, and end those that the test leaves running."""
    started: list[subprocess.Popen[bytes]] = []

    def start(*arguments: str, **options: Any) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "dulse.cli", *arguments]
        environment = {**os.environ, "DULSE_URL": url}
        process = subprocess.Popen(command, **{"stderr": subprocess.PIPE, **options}, env=environment)
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.wait()
        for stream in (process.stdin, process.stdout, process.stderr):
            if stream is not None:
                stream.close()


@pytest.fixture
def connection(url: str) -> Iterator[Connection]:
    """Give a connection to the same broker."""
    with Connection(url) as connection:
        yield connection


@pytest.fixture
def work(connection: Connection) -> str:
    """Make a queue and name it."""
    connection.default_channel.queue_declare("work", durable=True)
    return "work"
