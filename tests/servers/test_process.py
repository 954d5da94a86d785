"""Servers end with the tests, however those end; and the port of one that is down belongs to nobody else."""

from __future__ import annotations

import os
import select
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from tests.servers.absence import MARK, Absent, program, skip_or_fail, summary
from tests.servers.ports import HOST, accepts, reserve
from tests.servers.process import DidNotStart, Process, wait_until

ROOT = Path(__file__).resolve().parents[2]
SLEEP = ("sleep", "600")
SOON = 0.1
"""Seconds in which a signal would have come."""
PARENT = """
import sys, time
from pathlib import Path
from tests.servers.process import Process
server = Process(["sh", "-c", "echo ready; exec sleep 600"], Path(sys.argv[1]))
server.wait_until(lambda: "ready" in server.last_words())
print(server.pid, flush=True)
time.sleep(600)
"""


def has_ended(watched: int) -> bool:
    """Wait for a process that somebody else started."""
    return bool(select.select([watched], [], [], 20)[0])


@pytest.mark.kill
def test_a_server_ends_with_a_test_run_that_is_killed(tmp_path: Path) -> None:
    command = [sys.executable, "-c", PARENT, str(tmp_path / "log")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=ROOT) as parent:
        assert parent.stdout is not None
        watched = os.pidfd_open(int(parent.stdout.readline()))
        parent.kill()
    assert has_ended(watched)
    os.close(watched)


def test_a_server_outlives_the_thread_that_has_started_it(tmp_path: Path) -> None:
    started: list[Process] = []
    thread = threading.Thread(target=lambda: started.append(Process(SLEEP, tmp_path / "log")))
    thread.start()
    thread.join()
    (server,) = started
    wait_until(lambda: Path(f"/proc/{server.pid}/comm").read_text() == "sleep\n", "the program that was asked for")
    threading.Event().wait(SOON)
    assert server.is_alive
    server.kill()


@pytest.mark.kill
def test_killing_a_server_ends_what_it_has_started(tmp_path: Path) -> None:
    server = Process(["sh", "-c", "sleep 600 & echo $!; wait"], tmp_path / "log")
    server.wait_until(lambda: server.last_words().endswith("\n"))
    watched = os.pidfd_open(int(server.last_words()))
    server.kill()
    assert not server.is_alive
    assert has_ended(watched)
    os.close(watched)


def test_stopping_a_server_asks_it_to_end(tmp_path: Path) -> None:
    server = Process(
        ["sh", "-c", "trap 'echo asked; exit' TERM; echo ready; while :; do sleep 0.1; done"], tmp_path / "log"
    )
    server.wait_until(lambda: "ready" in server.last_words())
    server.stop()
    assert server.last_words() == "ready\nasked\n"


def test_a_frozen_server_can_be_killed(tmp_path: Path) -> None:
    server = Process(SLEEP, tmp_path / "log")
    server.signal(signal.SIGSTOP)
    server.kill()
    assert not server.is_alive


def test_a_server_that_ends_at_once_says_why(tmp_path: Path) -> None:
    server = Process(["sh", "-c", "echo no licence; exit 3"], tmp_path / "log")
    with pytest.raises(DidNotStart, match="no licence"):
        server.wait_until(lambda: False)


def test_a_server_that_is_never_ready_is_given_up(tmp_path: Path) -> None:
    server = Process(SLEEP, tmp_path / "log")
    with pytest.raises(DidNotStart, match="not ready within 0"):
        server.wait_until(lambda: False, within=0.01)
    server.kill()


def test_a_reserved_port_refuses_connections_until_a_server_has_it() -> None:
    port = reserve()
    assert not accepts(port)
    with socket.socket() as server:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        server.bind((HOST, port))
        server.listen()
        assert accepts(port)
    wait_until(lambda: not accepts(port), "the end of the server")


def test_a_laptop_skips_what_is_not_installed_and_ci_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(Absent, match="apt-get install some-package"):
        program("no-such-server", "some-package")
    monkeypatch.delenv("CI", raising=False)
    with pytest.raises(pytest.skip.Exception):
        skip_or_fail(Absent("why"))
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception):
        skip_or_fail(Absent("why"))
    with pytest.raises(pytest.skip.Exception):
        skip_or_fail(Absent("why"), even_in_ci=True)


def test_what_was_skipped_for_lack_of_a_server_is_counted() -> None:
    assert summary([f"Skipped: {MARK}a", "Skipped: other", f"Skipped: {MARK}a", f"Skipped: {MARK}b"]) == [
        "2 tests not run: a",
        "1 tests not run: b",
    ]
