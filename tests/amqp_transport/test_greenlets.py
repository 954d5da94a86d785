"""The blocking API works where gevent or eventlet has patched sockets, threads and waits."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.amqp_transport.conftest import PATIENCE

PROGRAM = Path(__file__).with_name("greenlets.py")


@pytest.mark.slow
@pytest.mark.parametrize("library", ["gevent", "eventlet"])
def test_publishing_consuming_and_resting_under(library: str, rabbitmq_url: str) -> None:
    pytest.importorskip(library)
    command = [sys.executable, str(PROGRAM), library, rabbitmq_url]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=3 * PATIENCE, check=False)
    assert (ended.returncode, ended.stdout) == (0, "done\n"), ended.stderr
